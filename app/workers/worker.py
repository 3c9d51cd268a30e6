"""A worker process: decodes and runs the extractors for one file after another, and may die at any moment.

It has no database. It reads tasks from its own pipe, writes results aside and renames them, and leaves as soon as
the pipe closes or its parent is gone. Its priority is low: the owner's own work comes first.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

from app.workers.memory import memory
from app.workers.messages import Beat, Done, Failed, Ready, Task, WorkerConfig
from m2hf_core.errors import DiskFull, KnownError
from m2hf_core.progress import Progress
from m2hf_core.store.trouble import disk_full

NICENESS = 10
BEAT_EVERY_S = 0.25
PARENT_CHECK_S = 1.0

PipeTo: TypeAlias = "Connection[Any, Any]"


class _BeatingProgress(Progress):
    """Sends what the work reports through the pipe, at most four times a second and at every new stage."""

    def __init__(self, pipe: PipeTo, job_id: int) -> None:
        super().__init__()
        self.stage = ""
        self._pipe, self._job_id = pipe, job_id
        self._last = 0.0

    def start(self, stage: str, total: float = 0.0, unit: str = "") -> None:
        self.stage = stage
        self._send(0.0, total)  # first, so that a worker that dies in this stage is known to have entered it
        super().start(stage, total, unit)

    def update(self, done: float, total: float) -> None:
        super().update(done, total)
        if time.monotonic() - self._last >= BEAT_EVERY_S:
            self._send(done, total)

    def _send(self, done: float, total: float) -> None:
        self._last = time.monotonic()
        self._pipe.send(Beat(self._job_id, self.stage, done, total))


def worker_main(pipe: PipeTo, config: WorkerConfig) -> None:
    """Entry point of the process; returns when the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor decides
    threading.Thread(target=_leave_with_parent, args=(os.getppid(),), daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    try:
        _work(pipe, config)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the supervisor is gone: whatever was unfinished will be leased again


def _leave_with_parent(parent: int) -> None:
    """A killed supervisor cannot say goodbye; without this a long forward pass would outlive it."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_S)
    os._exit(0)


def _work(pipe: PipeTo, config: WorkerConfig) -> None:
    import torch

    from m2hf_core.features import load_extractors
    from m2hf_core.features.device import resolve_device
    from m2hf_core.hub import get_preset
    from m2hf_core.ingest.extract import extract
    from m2hf_core.ingest.staging import write_staged
    from m2hf_core.text import load_nouns

    torch.set_num_threads(config.threads)
    try:
        extractors = load_extractors(get_preset(config.preset), resolve_device(config.device))
        nouns = load_nouns()
    except KnownError as error:
        pipe.send(Failed(0, "", error.sentence, error.hint, error.detail))
        return
    offered = {
        kind: extractor.fingerprint
        for kind, extractor in (
            ("clip", extractors.clip),
            ("vggish", extractors.audio),
            ("s3d", extractors.motion),
        )
        if extractor is not None
    }
    offered["speech"] = nouns.fingerprint
    pipe.send(Ready(offered, dict(extractors.asleep)))
    while True:
        task: Task = pipe.recv()
        progress = _BeatingProgress(pipe, task.job_id)
        try:
            poster = config.posters / f"{task.fingerprint}.jpg"
            extraction = extract(task.path, extractors, nouns, task.wanted, poster, progress)
            progress.start("write")
            staged = config.staging / f"{task.job_id}-{task.fingerprint}.safetensors"
            write_staged(extraction, staged)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except DiskFull as error:
            pipe.send(
                Failed(task.job_id, progress.stage, error.sentence, error.hint, error.detail, "machine")
            )
        except KnownError as error:
            pipe.send(Failed(task.job_id, progress.stage, error.sentence, error.hint, error.detail))
        except OSError as error:
            pipe.send(_operating_system(task, progress.stage, config, error))
        except Exception as error:  # noqa: BLE001 - the border of the process: a bug costs one file, and is told
            reason = f"The program failed on this file ({type(error).__name__})."
            hint = "Please report it; the rest of the library is not affected."
            pipe.send(Failed(task.job_id, progress.stage, reason, hint, traceback.format_exc()))
        else:
            pipe.send(Done(task.job_id, staged, *memory()))


def _operating_system(task: Task, stage: str, config: WorkerConfig, error: OSError) -> Failed:
    """Writing a result is the machine's affair and ends the run; anything else is about this file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        full = disk_full(config.staging)
        return Failed(task.job_id, stage, full.sentence, full.hint, str(error), "machine")
    trouble = error.strerror or type(error).__name__
    if stage == "write":
        reason = f"Results cannot be written below {config.staging.parent} ({trouble})."
        return Failed(
            task.job_id, stage, reason, "Check the folder, then index again.", str(error), "machine"
        )
    reason = f"The file, or one that belongs to it, cannot be read ({trouble})."
    return Failed(task.job_id, stage, reason, "Check the file and your rights, then retry.", str(error))
