"""What supervisor and worker say to each other over their pipe: frozen records, nothing else."""

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


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life: the stage, and seconds of video done of those in the file."""

    job_id: int
    stage: str
    done_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class Done:
    job_id: int
    staged: Path


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
