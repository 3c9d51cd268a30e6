"""The supervisor's end of one worker: starts it, hears it, notices when it is dead or stuck, and ends it.

A killed process can leave a shared queue corrupt, so each worker has a pipe of its own and nothing else.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import dataclass

from app.workers.messages import Report, Task, WorkerConfig
from app.workers.worker import PipeTo, worker_main

STOP_GRACE_S = 5.0
END_GRACE_S = 2.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a worker may take before it counts as stuck."""

    silent_s: float = 300.0
    """Without any sign of life. One comes after each batch, of 8 frames at most: for the largest network on a slow
    processor that is a minute."""
    wall_s: float = 300.0
    wall_per_video_s: float = 60.0

    def wall_for(self, duration_s: float) -> float:
        return self.wall_s + self.wall_per_video_s * duration_s


class WorkerProcess:
    """One spawned worker and its pipe; `task` is what it is doing now."""

    def __init__(self, config: WorkerConfig, number: int) -> None:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        self.pipe: PipeTo = here
        self._process = context.Process(
            target=worker_main, args=(there, config), name="m2hf-worker", daemon=True
        )
        self._process.start()
        there.close()  # ours must be the only other end, or its death would not close the pipe
        self.number = number
        self.owner = f"process {os.getpid()}, worker {number}"
        """Under which it leases jobs, one at a time."""
        self.task: Task | None = None
        self.stage = "start"
        self.done_s = 0.0
        self._duration_s = 0.0
        self._began = self._heard = time.monotonic()

    @property
    def idle(self) -> bool:
        return self.task is None

    def give(self, task: Task) -> None:
        """Send a task; a worker that died meanwhile is noticed at its next `receive`."""
        self.task, self.stage = task, "start"
        self.done_s = self._duration_s = 0.0
        self._began = self._heard = time.monotonic()
        try:
            self.pipe.send(task)
        except (BrokenPipeError, ConnectionResetError):
            self.stage = "start"

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

    def beat(self, stage: str, done_s: float, total_s: float) -> None:
        self.stage, self.done_s = stage, done_s
        self._duration_s = max(self._duration_s, total_s)

    def finish_task(self) -> None:
        self.task = None
        self.done_s = 0.0

    def stuck(self, limits: Limits) -> str | None:
        """Why this worker counts as stuck, or None."""
        if self.task is None:
            return None
        now = time.monotonic()
        if now - self._heard > limits.silent_s:
            return f"made no progress for {now - self._heard:.0f} s"
        if now - self._began > limits.wall_for(self._duration_s):
            return f"was not finished after {now - self._began:.0f} s"
        return None

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
        self._process.join(STOP_GRACE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()
