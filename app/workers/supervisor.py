"""Gives queued jobs to worker processes, commits what they finish, and keeps going whatever happens to them.

One thread in one process, which holds the library's writer lock: the only writer of features. A worker that dies or
stands still costs its file one attempt, never the queue.
"""

from __future__ import annotations

import multiprocessing.connection
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.workers.messages import Beat, Done, Failed, Ready, Task, WorkerConfig
from app.workers.process import Limits, WorkerProcess
from m2hf_core.errors import KnownError
from m2hf_core.ingest.commit import commit_staged
from m2hf_core.progress import Progress
from m2hf_core.store import Store, features, jobs, status
from m2hf_core.store.trouble import translating

LEASE_S = 600.0
LOOK_EVERY_S = 0.1
COUNT_EVERY_S = 1.0
MAX_ATTEMPTS = 2
UNKNOWN_S = 60.0
"""What an unopened file counts in the estimate before any is finished."""
RETRY_HINT = "Try again with: m2hf-app failures --retry"


@dataclass(slots=True)
class DrainReport:
    """What one run of the supervisor did."""

    ready: int = 0
    failed: int = 0
    respawned: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall seconds per stage, summed over files."""


class Supervisor:
    """Drains the job queue of one library with one worker per device."""

    def __init__(
        self,
        store: Store,
        configs: Sequence[WorkerConfig],
        progress: Progress,
        limits: Limits | None = None,
    ) -> None:
        """One worker per configuration, that is per device."""
        self._store, self._configs, self._progress = store, configs, progress
        self._limits = limits or Limits()
        self._workers: list[WorkerProcess] = []
        self._leases: dict[int, jobs.Lease] = {}
        self._clip_extractor: str | None = None
        self._count_again = 0.0
        self.report = DrainReport()

    def drain(self, on_ready: Callable[[Ready], None]) -> DrainReport:
        """Work until no job is queued. `on_ready` hears once what the workers offer, and queues the jobs.

        The caller holds the writer lock. Raises `KnownError` when workers cannot start, `Interrupted` when cancelled.
        """
        self._sweep_staging()
        with self._store.library.writing() as session:
            jobs.release_abandoned(session)  # we hold the lock, so whoever leased them is gone
        self._progress.start("load models")
        self._workers = [WorkerProcess(config, number) for number, config in enumerate(self._configs)]
        cleanly = False
        try:
            offers = [self._await_ready(worker) for worker in self._workers]
            self._clip_extractor = offers[0].offered.get("clip")
            on_ready(offers[0])
            self._progress.start("index", 0, "s")
            while self._give_work() or any(not worker.idle for worker in self._workers):
                self._hear()
                self._replace_broken()
                self._show_progress()
            cleanly = True
        finally:
            # Whatever they were at stays leased in the store; the next start, which holds the lock, queues it again.
            for worker in self._workers:
                worker.stop(at_once=not cleanly)
            self._workers = []
        return self.report

    def _await_ready(self, worker: WorkerProcess) -> Ready:
        while True:
            self._progress.check()
            try:
                report = worker.receive()
            except EOFError:
                raise KnownError(
                    f"The worker process did not start ({_died(worker.exit_code)}).",
                    "Run `m2hf-app doctor` to see what is wrong.",
                ) from None
            if isinstance(report, Ready):
                return report
            if isinstance(report, Failed):
                raise KnownError(report.reason, report.hint, report.detail)
            time.sleep(LOOK_EVERY_S / 4)

    def _give_work(self) -> bool:
        """Lease a job for every idle worker; False when nothing is queued."""
        for worker in self._workers:
            if not worker.idle:
                continue
            with self._store.library.writing() as session:
                lease = jobs.lease_next(session, worker.owner, time.time(), LEASE_S)
            if lease is None:
                return False
            self._leases[lease.job_id] = lease
            worker.give(Task(lease.job_id, Path(lease.path), lease.fingerprint, self._missing(lease)))
        return True

    def _missing(self, lease: jobs.Lease) -> frozenset[str]:
        """What is wanted and not stored: a crash may have left features whose job never heard of them."""
        with self._store.features.reading() as session:
            stored = features.extractors_of(session, lease.fingerprint)
        return frozenset(lease.wanted) - stored

    def _hear(self) -> None:
        """Take every message that is there, waiting a tenth of a second for the first."""
        multiprocessing.connection.wait([worker.pipe for worker in self._workers], LOOK_EVERY_S)
        self._progress.check()
        for worker in list(self._workers):
            try:
                while (report := worker.receive()) is not None:
                    self._take(worker, report)
            except EOFError:
                self._lose(
                    worker, f"The program that reads videos ended unexpectedly ({_died(worker.exit_code)})."
                )

    def _take(self, worker: WorkerProcess, report: object) -> None:
        match report:
            case Beat():
                worker.beat(report.stage, report.done_s, report.total_s)
            case Done():
                self._progress.step("save")
                self._commit(self._leases.pop(report.job_id), report.staged)
                worker.finish_task()
            case Failed(kind="machine"):
                raise KnownError(report.reason, report.hint, report.detail)
            case Failed():
                with self._store.library.writing() as session:
                    jobs.fail(
                        session, report.job_id, report.stage, report.reason, report.hint, quarantine=True
                    )
                self._leases.pop(report.job_id)
                self.report.failed += 1
                worker.finish_task()

    def _commit(self, lease: jobs.Lease, staged: Path) -> None:
        """Store a result. One that the store cannot hold is this file's failure, not the run's."""
        try:
            extraction = commit_staged(self._store, lease, staged, self._clip_extractor)
        except ValueError as error:
            staged.unlink(missing_ok=True)
            self._fail(lease, "save", f"The result cannot be stored ({error}).", RETRY_HINT)
            return
        for stage, seconds in extraction.seconds.items():
            self.report.seconds[stage] = self.report.seconds.get(stage, 0.0) + seconds
        self.report.ready += 1

    def _fail(self, lease: jobs.Lease, stage: str, reason: str, hint: str) -> None:
        """Record a failure. A file that has gone away meanwhile is not at fault: the next run tries it again."""
        there = os.access(lease.path, os.R_OK)
        with self._store.library.writing() as session:
            jobs.fail(session, lease.job_id, stage, reason, hint, quarantine=there)
        self.report.failed += 1

    def _replace_broken(self) -> None:
        for worker in list(self._workers):
            why = worker.stuck(self._limits)
            if why is not None:
                self._lose(worker, f"Reading this file {why}.")

    def _lose(self, worker: WorkerProcess, reason: str) -> None:
        """Give the file of a dead or stuck worker back, or up, and start another worker in its place."""
        task, stage = worker.task, worker.stage
        worker.stop(at_once=True)
        if task is not None:
            lease = self._leases.pop(task.job_id)
            if lease.attempts >= MAX_ATTEMPTS:
                self._fail(lease, stage, reason, RETRY_HINT)
            else:
                with self._store.library.writing() as session:
                    jobs.release_owned_by(session, worker.owner)
        self._workers.remove(worker)
        replacement = WorkerProcess(self._configs[worker.number], worker.number)
        self._workers.append(replacement)
        self.report.respawned += 1
        self._await_ready(replacement)

    def _show_progress(self) -> None:
        """Once a second is often enough to count the whole library."""
        if time.monotonic() < self._count_again:
            return
        self._count_again = time.monotonic() + COUNT_EVERY_S
        with self._store.library.reading() as session:
            now = status.status(session)
        running = sum(worker.done_s for worker in self._workers)
        self._progress.update(now.seconds_done + running, now.seconds_done + estimated_left(now))

    def _sweep_staging(self) -> None:
        config = self._configs[0]
        with translating(config.staging):
            config.staging.mkdir(parents=True, exist_ok=True)
            config.posters.mkdir(parents=True, exist_ok=True)
            for leftover in config.staging.iterdir():
                leftover.unlink()


def estimated_left(now: status.Status) -> float:
    """Seconds of video left; a file that nobody has opened yet counts as an average one."""
    measured = now.videos["ready"]
    average = now.seconds_done / measured if measured else UNKNOWN_S
    return now.seconds_left + average * now.unmeasured


def _died(exit_code: int | None) -> str:
    if exit_code is None:
        return "its connection closed"
    if exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name}"
    return f"exit code {exit_code}"
