"""The supervisor's end of one worker: starts it, hears it, notices when it is dead or stuck, and ends it.

A killed process can leave a shared queue corrupt, so each worker has a pipe of its own and nothing else.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from app.workers.given import Given, given, has_room
from app.workers.messages import Report, Task, WorkerConfig
from app.workers.parent import deaf_to_interrupts, die_with_parent
from app.workers.worker import PipeTo, worker_main
from m2hf_core.store.jobs import Lease

STOP_GRACE_S = 5.0
END_GRACE_S = 2.0
SETTLED_AFTER = 10
"""Files after which a worker has grown to its ordinary size; what it grows from there is a leak."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a worker may take before it counts as stuck, and when it is replaced by a fresh one."""

    silent_s: float = 300.0
    """Without any sign of life. One comes after each batch, of 8 frames at most: for the largest network on a slow
    processor that is a minute."""
    start_s: float = 600.0
    """Until the networks are loaded, from a cold and slow disk."""
    wall_s: float = 300.0
    wall_per_video_s: float = 60.0
    recycle_files: int = 2000
    """A worker is replaced after so many files; 0 never."""
    recycle_grown_bytes: int = 1 << 30
    """Or when it has grown by so much since its tenth file; 0 never."""

    def wall_for(self, duration_s: float) -> float:
        return self.wall_s + self.wall_per_video_s * duration_s


class WorkerProcess:
    """One spawned worker, its pipe, and the tasks that lie with it, in the order in which they were given."""

    def __init__(self, config: WorkerConfig, number: int) -> None:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        self.pipe: PipeTo = here
        self._process = context.Process(target=_begin, args=(there, config), name="m2hf-worker", daemon=True)
        with deaf_to_interrupts():
            self._process.start()
        there.close()  # ours must be the only other end, or its death would not close the pipe
        self.number = number
        self.owner = f"process {os.getpid()}, worker {number}"
        """Under which it leases jobs."""
        self.ready = False
        self.readers = 1
        """Files that it decodes at once, as it has said."""
        self.given: dict[int, Given] = {}
        self.finished = 0
        self._resident_when_settled = self._resident = 0
        self._suspended_at: float | None = None
        self._born = self._heard = time.monotonic()

    @property
    def idle(self) -> bool:
        return not self.given

    @property
    def has_room(self) -> bool:
        return has_room(self.given.values(), self.readers)

    def give(self, lease: Lease, wanted: frozenset[str], path: Path) -> None:
        """Send a task; a worker that died meanwhile is noticed at its next `receive`."""
        if self.idle:
            self._heard = time.monotonic()
        self.given[lease.job_id] = given(lease)
        try:
            self.pipe.send(Task(lease.job_id, path, lease.fingerprint, wanted))
        except (BrokenPipeError, ConnectionResetError):
            return

    def receive(self) -> Report | None:
        """The next message, or None when there is none yet. Raises `EOFError` when the worker is gone."""
        try:
            if not self.pipe.poll():
                if not self._process.is_alive() and not self.pipe.poll():
                    raise EOFError
                return None
            report: Report = self.pipe.recv()
        except (ConnectionResetError, BrokenPipeError, OSError) as error:
            raise EOFError from error
        self._heard = time.monotonic()
        return report

    def beat(self, job_id: int, stage: str, done_s: float, total_s: float) -> None:
        task = self.given.get(job_id)
        if task is None:
            return
        if not task.begun:
            task.began = time.monotonic()
        task.stage = stage
        # A later stage counts from the beginning again; what the person sees does not go backwards.
        task.done_s, task.total_s = max(task.done_s, done_s), max(task.total_s, total_s)

    def take_back(self, job_id: int, resident_bytes: int = 0) -> Given | None:
        """A task was answered; None for one that does not lie here any more."""
        self.finished += 1
        self._resident = resident_bytes or self._resident
        if self.finished <= SETTLED_AFTER:
            self._resident_when_settled = self._resident
        return self.given.pop(job_id, None)

    def to_blame(self) -> list[Given]:
        """Whom its death may be put down to: what had begun, else the first that it would have begun."""
        begun = [task for task in self.given.values() if task.begun]
        return begun or list(self.given.values())[:1]

    def stuck(self, limits: Limits) -> str | None:
        """Why this worker counts as stuck, or None."""
        now = time.monotonic()
        if self._suspended_at is not None:
            return None
        if not self.ready:
            return (
                f"did not start within {limits.start_s:.0f} s" if now - self._born > limits.start_s else None
            )
        if self.idle:
            return None
        if now - self._heard > limits.silent_s:
            return f"made no progress for {now - self._heard:.0f} s"
        begun = [task for task in self.given.values() if task.begun]
        allowed = limits.wall_for(sum(task.total_s for task in begun))
        longest = max((now - task.began for task in begun), default=0.0)
        return f"was not finished after {longest:.0f} s" if longest > allowed else None

    def worn_out(self, limits: Limits) -> bool:
        """Whether a fresh process should take its place once it is idle."""
        if limits.recycle_files and self.finished >= limits.recycle_files:
            return True
        grown = self._resident - self._resident_when_settled
        return bool(limits.recycle_grown_bytes) and grown > limits.recycle_grown_bytes

    def suspend(self) -> None:
        """Stand still at once, whatever it is doing; its memory stays."""
        if self._suspended_at is None:
            try:
                psutil.Process(self._process.pid).suspend()
            except psutil.NoSuchProcess:
                return  # the next `receive` finds it gone
            self._suspended_at = time.monotonic()

    def resume(self) -> None:
        """Go on; the time of standing still counts for no limit."""
        if self._suspended_at is not None:
            try:
                psutil.Process(self._process.pid).resume()
            except psutil.NoSuchProcess:
                return
            self.forgive(time.monotonic() - self._suspended_at)
            self._suspended_at = None

    def forgive(self, seconds: float) -> None:
        """Let no limit count these seconds, in which the worker or the machine stood still."""
        self._born += seconds
        self._heard += seconds
        for task in self.given.values():
            task.began += seconds

    @property
    def exit_code(self) -> int | None:
        """Negative for a signal, None while it runs. A closed pipe comes a moment before the end of the process."""
        self._process.join(END_GRACE_S)
        return self._process.exitcode

    def stop(self, *, at_once: bool) -> None:
        """Close the pipe, which asks the worker to leave; kill it when it must go now or will not."""
        self.pipe.close()
        if at_once:
            self._process.kill()
        elif self._suspended_at is not None:
            self.resume()
        self._process.join(STOP_GRACE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


def _begin(pipe: PipeTo, config: WorkerConfig) -> None:
    die_with_parent()
    worker_main(pipe, config)
