"""What supervisor and worker say to each other over their pipe: frozen records, nothing else.

The supervisor may send several tasks ahead. The worker begins them in the order in which they came and answers each
with exactly one `Done` or `Failed`, not always in that order. It decodes ahead and fills its batches from several
videos, so more than one task can be begun at a time: a task is begun when its first `Beat` arrives. A worker that
dies leaves everything it had been sent: what was not begun is not to blame, and of what was begun only a task that
was alone with a worker surely is. So the suspects get their second attempt one at a time.

The worker knows only the tasks that it has been sent: when its pipe is empty it finishes what it has begun without
waiting for fuller batches. It tells its memory with every result; whoever finds it too large, or its work long
enough, sends no further task, waits for the last answer and closes the pipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Everything a worker needs to know at birth; it has no database and no settings file."""

    preset: str
    device: str
    threads: int
    staging: Path
    posters: Path
    read_text: bool = False
    """Whether writing in the picture is read and becomes words of the speech branch."""


@dataclass(frozen=True, slots=True)
class Task:
    """Extract `wanted` (extractor fingerprints) from one file."""

    job_id: int
    path: Path
    fingerprint: str
    wanted: frozenset[str]


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has its models. `offered` maps kind to fingerprint, `asleep` kind to the reason in words."""

    offered: Mapping[str, str]
    asleep: Mapping[str, str]
    notices: tuple[str, ...] = ()
    """Sentences for the person."""
    readers: int = 1
    """Files that it decodes at once."""


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life: the stage it is in, and seconds of video done of those in the file."""

    job_id: int
    stage: str
    done_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class Done:
    """The result lies at `staged`. Memory is that of the whole process: at this moment, and at most so far."""

    job_id: int
    staged: Path
    resident_bytes: int
    peak_bytes: int
    notices: tuple[str, ...] = ()
    """What has come up since the last message, such as that a card is full and the processor goes on."""


@dataclass(frozen=True, slots=True)
class Failed:
    """`stage` is empty when the worker itself could not start.

    `kind` says whether this file is at fault, or the machine (a full disk), so that no file is blamed for it.
    """

    job_id: int
    stage: str
    reason: str
    hint: str
    detail: str
    kind: Literal["file", "machine"] = "file"


Report = Ready | Beat | Done | Failed
