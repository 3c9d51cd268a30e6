"""Gives queued jobs to worker processes, has their results stored, and keeps going whatever happens to them.

One thread in one process, which holds the library's writer lock: the only writer of features. A worker that dies or
stands still costs its file one attempt, never the queue.
"""

from __future__ import annotations

import multiprocessing.connection
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from app.workers.desk import LEASE_S, RETRY_HINT, Desk
from app.workers.messages import Beat, Done, Failed, Ready, Report, WorkerConfig
from app.workers.process import Limits, WorkerProcess
from m2hf_core.errors import KnownError
from m2hf_core.progress import Progress
from m2hf_core.store import Store, jobs, status
from m2hf_core.store.trouble import translating

LOOK_EVERY_S = 0.1
ASK_EVERY_S = 0.5
"""How often it is asked whether work should hold."""
COUNT_EVERY_S = 1.0
COUNT_SHARE = 0.05
"""Counting a large library takes a while; no more than this share of the time goes into it."""
ASLEEP_S = 30.0
"""A gap in our own rounds, beyond which the machine must have slept, not the worker."""
MAX_FALSE_STARTS = 3
MAX_ATTEMPTS_TOGETHER = 1
"""A file that was with a dead worker before is tried alone, so that no other is blamed for it."""
UNKNOWN_S = 60.0
"""What an unopened file counts in the estimate before any is finished."""


@dataclass(slots=True)
class DrainReport:
    """What one run of the supervisor did."""

    ready: int = 0
    failed: int = 0
    respawned: int = 0
    """Workers replaced because they died or stood still."""
    recycled: int = 0
    """Workers replaced because they had worked or grown enough."""
    peak_bytes: int = 0
    """The most memory that one worker took."""
    notices: list[str] = field(default_factory=list)
    """What the workers want the person to know, each sentence once."""
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
        *,
        on_ready: Callable[[Ready], None],
        hold: Callable[[], str | None] = lambda: None,
        settle: Callable[[int], None] = lambda video_id: None,
    ) -> None:
        """One worker per configuration, that is per device.

        `on_ready` hears what each fresh set of workers offers, and queues the jobs. `hold` says why work should
        stand still at present, or None. `settle` is called with every video that was made searchable.
        """
        self.report = DrainReport()
        self.held: str | None = None
        self.now: status.Status | None = None
        """The last count of the library."""
        self._configs, self._progress = configs, progress
        self._limits = limits or Limits()
        self._on_ready, self._hold, self._settle = on_ready, hold, settle
        self._desk = Desk(store, progress, configs[0].posters)
        self._workers: list[WorkerProcess] = []
        self._offered: Ready | None = None
        self._false_starts = 0
        self._one_by_one = False
        self._last_round = time.monotonic()
        self._ask_again = self._count_again = 0.0
        self._renew_again = time.monotonic() + LEASE_S / 3

    def drain(self) -> DrainReport:
        """Work until no job is queued. The caller holds the writer lock.

        Raises `KnownError` when workers cannot start, `Interrupted` when cancelled; what was finished stays.
        """
        self.open()
        cleanly = False
        try:
            while self.step():
                pass
            cleanly = True
        finally:
            self.close(cleanly=cleanly)
        return self.report

    def open(self) -> None:
        """Put right what an earlier run left behind."""
        for config in self._configs:
            with translating(config.staging):
                config.staging.mkdir(parents=True, exist_ok=True)
                config.posters.mkdir(parents=True, exist_ok=True)
        self._sweep()
        with self._desk.store.library.writing() as session:
            jobs.release_abandoned(session)  # we hold the lock, so whoever leased them is gone
        self._progress.start("load models")

    def step(self) -> bool:
        """One round, of about a tenth of a second; False when nothing is queued and nothing is being done."""
        self._progress.check()
        self._notice_sleep()
        self._ask_whether_to_hold()
        if self.held is None:
            self._start_missing()
            working = self._give_work() or self.busy or not self._all_ready
        else:
            working = True
        self._hear()
        self._replace_broken()
        self._renew()
        self._show_progress()
        return working

    def close(self, *, cleanly: bool = False) -> None:
        """End all workers, at once unless they are idle; what they were at is queued again, without blame."""
        unfinished = [given.lease for worker in self._workers for given in worker.given.values()]
        for worker in self._workers:
            worker.stop(at_once=not cleanly or not worker.idle)
        self._workers, self._offered, self.held = [], None, None
        self._ask_again = 0.0  # before others are started, it is asked whether work should hold
        with suppress(KnownError):
            self._sweep()  # what a worker was writing when it died
        # Where the store cannot be written now they stay leased, and the next start queues them.
        with suppress(KnownError):
            self._desk.give_back(unfinished)

    def replace_workers(self, configs: Sequence[WorkerConfig]) -> None:
        """End all workers; the next round starts others, with these configurations."""
        self.close()
        self._configs = configs

    def _sweep(self) -> None:
        """Delete what lies in the staging folders. Only while no worker writes there. Raises `KnownError`."""
        for config in self._configs:
            with translating(config.staging):
                for leftover in config.staging.iterdir():
                    leftover.unlink()

    @property
    def busy(self) -> bool:
        return any(not worker.idle for worker in self._workers)

    @property
    def running(self) -> bool:
        """Whether there are workers, which hold their networks in memory."""
        return bool(self._workers)

    def at_work(self) -> list[tuple[Path, str, float]]:
        """(file, stage, seconds of it done) of what has begun."""
        return [
            (Path(given.lease.path), given.stage, given.done_s)
            for worker in self._workers
            for given in worker.given.values()
            if given.begun
        ]

    @property
    def _all_ready(self) -> bool:
        return all(worker.ready for worker in self._workers)

    def _notice_sleep(self) -> None:
        gap = time.monotonic() - self._last_round
        self._last_round = time.monotonic()
        if gap > ASLEEP_S:
            for worker in self._workers:
                worker.forgive(gap)

    def _ask_whether_to_hold(self) -> None:
        if time.monotonic() < self._ask_again:
            return
        self._ask_again = time.monotonic() + ASK_EVERY_S
        self.held = self._hold()
        for worker in self._workers:
            if self.held is None:
                worker.resume()
            else:
                worker.suspend()

    def _start_missing(self) -> None:
        there = {worker.number for worker in self._workers}
        for number, config in enumerate(self._configs):
            if number not in there:
                self._workers.append(WorkerProcess(config, number))

    def _give_work(self) -> bool:
        """Lease jobs for workers that have room, one round after the other; False when nothing is queued."""
        if not self._workers_with_room():
            return True
        while self._workers_with_room():
            for worker in self._workers_with_room():
                lease = self._desk.take(worker.owner)
                if lease is None:
                    self._one_by_one = False
                    return False
                alone = lease.attempts > MAX_ATTEMPTS_TOGETHER
                if alone and not worker.idle:
                    self._desk.give_back([lease])
                    self._one_by_one = True  # until a worker is empty
                    return True
                worker.give(lease, self._desk.missing(lease), Path(lease.path))
                self._one_by_one = alone
        return True

    def _workers_with_room(self) -> list[WorkerProcess]:
        able = [
            worker
            for worker in self._workers
            if worker.ready and self._has_room(worker) and not worker.worn_out(self._limits)
        ]
        return sorted(able, key=lambda worker: len(worker.given))

    def _has_room(self, worker: WorkerProcess) -> bool:
        return worker.idle if self._one_by_one else worker.has_room

    def _hear(self) -> None:
        """Take every message that is there, waiting a tenth of a second for the first."""
        pipes = [worker.pipe for worker in self._workers]
        if pipes:
            multiprocessing.connection.wait(pipes, LOOK_EVERY_S)
        else:
            time.sleep(LOOK_EVERY_S)
        self._progress.check()
        for worker in list(self._workers):
            try:
                while (report := worker.receive()) is not None:
                    self._take(worker, report)
            except EOFError:
                died = _died(worker.exit_code)
                self._lose(worker, f"The program that reads videos ended unexpectedly ({died}).")

    def _take(self, worker: WorkerProcess, report: Report) -> None:
        match report:
            case Ready():
                self._note(report.notices)
                self._welcome(worker, report)
            case Beat():
                worker.beat(report.job_id, report.stage, report.done_s, report.total_s)
            case Done():
                self._progress.step("save")
                self.report.peak_bytes = max(self.report.peak_bytes, report.peak_bytes)
                self._note(report.notices)
                given = worker.take_back(report.job_id, report.resident_bytes)
                if given is not None:
                    self._commit(given.lease, report.staged)
            case Failed(stage=""):
                raise KnownError(report.reason, report.hint, report.detail)
            case Failed(kind="machine"):
                raise KnownError(report.reason, report.hint, report.detail)
            case Failed():
                given = worker.take_back(report.job_id)
                if given is not None:
                    self._fail(given.lease, report.stage, report.reason, report.hint)

    def _note(self, notices: Sequence[str]) -> None:
        self.report.notices += [notice for notice in notices if notice not in self.report.notices]

    def _welcome(self, worker: WorkerProcess, report: Ready) -> None:
        worker.ready, worker.readers = True, report.readers
        self._false_starts = 0
        if self._offered is None:
            self._offered = report
            self._on_ready(report)
            self._progress.start("index", 0, "s")

    def _commit(self, lease: jobs.Lease, staged: Path) -> None:
        """Store a result. One that the store cannot hold is this file's failure, not the run's."""
        clip_extractor = self._offered.offered.get("clip") if self._offered else None
        try:
            extraction = self._desk.commit(lease, staged, clip_extractor)
        except ValueError as error:
            staged.unlink(missing_ok=True)
            self._fail(lease, "save", f"The result cannot be stored ({error}).", RETRY_HINT)
            return
        if extraction is None:
            self.report.failed += 1
            return
        for stage, seconds in extraction.seconds.items():
            self.report.seconds[stage] = self.report.seconds.get(stage, 0.0) + seconds
        self.report.ready += 1
        self._settle(lease.video_id)

    def _fail(self, lease: jobs.Lease, stage: str, reason: str, hint: str) -> None:
        self.report.failed += self._desk.fail(lease, stage, reason, hint)

    def _replace_broken(self) -> None:
        for worker in list(self._workers):
            why = worker.stuck(self._limits)
            if why is not None:
                self._lose(worker, f"Reading this file {why}.")
            elif worker.idle and worker.worn_out(self._limits):
                worker.stop(at_once=False)
                self._workers.remove(worker)
                self.report.recycled += 1

    def _lose(self, worker: WorkerProcess, reason: str) -> None:
        """Give the files of a dead or stuck worker back, or up; the next round starts another in its place."""
        self._workers.remove(worker)
        exit_code = None if worker.ready else worker.exit_code
        worker.stop(at_once=True)
        if not worker.ready:
            self._false_starts += 1
            by_itself = exit_code is not None and exit_code > 0  # then it would do so again
            if by_itself or self._false_starts >= MAX_FALSE_STARTS:
                raise KnownError(
                    f"The worker process did not start ({_died(exit_code)}).",
                    "Run `m2hf-app doctor` to see what is wrong.",
                )
        suspects = worker.to_blame()
        blamed = {given.lease.job_id for given in suspects}
        self._desk.give_back([given.lease for job_id, given in worker.given.items() if job_id not in blamed])
        for given in suspects:
            self.report.failed += self._desk.blame(given.lease, given.stage, reason)
        self.report.respawned += 1

    def _renew(self) -> None:
        if time.monotonic() < self._renew_again:
            return
        self._renew_again = time.monotonic() + LEASE_S / 3
        self._desk.renew(
            [(given.lease, worker.owner) for worker in self._workers for given in worker.given.values()]
        )

    def _show_progress(self) -> None:
        """Once a second is often enough to count the whole library, and less often where that takes long."""
        if time.monotonic() < self._count_again:
            return
        began = time.monotonic()
        self.now = self._desk.status()
        took_s = time.monotonic() - began
        self._count_again = time.monotonic() + max(COUNT_EVERY_S, took_s / COUNT_SHARE)
        if self.held is not None:
            self._progress.step(self.held)
        running = sum(done_s for _, _, done_s in self.at_work())
        self._progress.update(
            self.now.seconds_done + running, self.now.seconds_done + estimated_left(self.now)
        )


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
