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
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

from app.workers.memory import hand_back_large_blocks, memory
from app.workers.messages import Beat, Done, Failed, Ready, Task, WorkerConfig
from m2hf_core.errors import DiskFull, KnownError
from m2hf_core.ingest.extract import Effort, Outcome, extract_all
from m2hf_core.ingest.staging import write_staged
from m2hf_core.ingest.video import Request, speech_fingerprint
from m2hf_core.progress import Progress
from m2hf_core.store.trouble import disk_full

NICENESS = 10
BEAT_EVERY_S = 0.25
PARENT_CHECK_S = 1.0

PipeTo: TypeAlias = "Connection[Any, Any]"


class _BeatingProgress(Progress):
    """Sends what the work reports through the pipe, at most four times a second and at every new stage.

    Decoding reports the stages, the networks how far they are: two threads, so one at a time may send.
    """

    def __init__(self, pipe: PipeTo, task: Task, sending: threading.Lock) -> None:
        super().__init__()
        self.task, self.stage = task, ""
        self._pipe, self._sending = pipe, sending
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
        with self._sending:
            self._pipe.send(Beat(self.task.job_id, self.stage, done, total))


def worker_main(pipe: PipeTo, config: WorkerConfig) -> None:
    """Entry point of the process; returns when the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor decides
    threading.Thread(target=_leave_with_parent, args=(os.getppid(),), daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    hand_back_large_blocks()
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
    from m2hf_core.text import load_nouns

    torch.set_num_threads(config.threads)
    try:
        device = resolve_device(config.device)
        extractors = load_extractors(get_preset(config.preset), device, ocr=config.read_text)
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
    offered["speech"] = speech_fingerprint(extractors, nouns)
    told = len(extractors.notices)
    at_a_time = effort_for(device, os.cpu_count() or 1)
    notices = tuple(extractors.notices[:told])
    pipe.send(Ready(offered, dict(extractors.asleep), notices, at_a_time.readers))
    sending = threading.Lock()
    try:
        for outcome in extract_all(_requests(pipe, config, sending), extractors, nouns, at_a_time):
            answer = _answer(outcome, config)
            if isinstance(answer, Done):
                answer = replace(answer, notices=tuple(extractors.notices[told:]))
                told += len(answer.notices)
            with sending:
                pipe.send(answer)
    finally:
        if extractors.speech is not None:
            extractors.speech.close()


def effort_for(device: str, processors: int) -> Effort:
    """A GPU wants large batches, and more than one file decoded at once to be kept busy."""
    if device == "cpu":
        return Effort()
    return Effort(batch=64, runs=16, ahead_bytes=1 << 30, readers=max(1, min(4, processors // 4)))


def _requests(pipe: PipeTo, config: WorkerConfig, sending: threading.Lock) -> Iterator[Request | None]:
    """Tasks as they come; None before a wait. Raises `EOFError` when the supervisor is gone."""
    while True:
        if not pipe.poll():
            yield None
        task: Task = pipe.recv()
        progress = _BeatingProgress(pipe, task, sending)
        yield Request(task.path, task.wanted, config.posters / f"{task.fingerprint}.jpg", progress)


def _answer(outcome: Outcome, config: WorkerConfig) -> Done | Failed:
    """Write a result aside, or tell why there is none."""
    progress = outcome.request.progress
    assert isinstance(progress, _BeatingProgress)
    task = progress.task
    if outcome.error is not None:
        return _failed(task, outcome.stage, config, outcome.error)
    assert outcome.extraction is not None
    progress.start("write")
    staged = config.staging / f"{task.job_id}-{task.fingerprint}.safetensors"
    try:
        write_staged(outcome.extraction, staged)
    except OSError as error:
        return _failed(task, "write", config, error)
    return Done(task.job_id, staged, *memory())


def _failed(task: Task, stage: str, config: WorkerConfig, error: Exception) -> Failed:
    """A failure in words, and whose it is."""
    match error:
        case EOFError() | BrokenPipeError() | ConnectionResetError():
            raise error  # a sign of life found no reader: the supervisor is gone
        case DiskFull():
            return Failed(task.job_id, stage, error.sentence, error.hint, error.detail, "machine")
        case KnownError():
            return Failed(task.job_id, stage, error.sentence, error.hint, error.detail)
        case OSError():
            return _operating_system(task, stage, config, error)
    reason = f"The program failed on this file ({type(error).__name__})."
    hint = "Please report it; the rest of the library is not affected."
    return Failed(task.job_id, stage, reason, hint, "".join(traceback.format_exception(error)))


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
