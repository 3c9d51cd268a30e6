"""The background thread, round after round: look for work, have it done, tell how it stands."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Sequence

from app.services.background_post import BackgroundSnapshot, Post, State
from app.services.holding import Holding, LiveSettings
from app.services.indexing import anything_to_do, queue_missing, set_aside_short, worker_configs
from app.services.library import Library, weights_here
from app.services.opened import Opened
from app.workers.messages import Ready, WorkerConfig
from app.workers.process import Limits
from app.workers.supervisor import Supervisor, estimated_left
from app.workers.watcher import Watcher
from m2hf_core.errors import DiskFull, Interrupted, KnownError, LibraryBusy
from m2hf_core.progress import Progress
from m2hf_core.store import WriterLock, status

ROUND_S = 0.1
COUNT_EVERY_S = 1.0
LOOK_SHARE = 20
"""Looking over the whole library takes no more than one part in so many of the time."""
KEEP_WORKERS_S = 60.0
"""Idle workers hold a gigabyte of networks each: after so long without work they leave."""
TRY_AGAIN_S = 15.0
"""After a full disk or a busy database."""
INGREDIENTS_EVERY_S = 10.0
RATE_OVER_S = 120.0


class Work:
    """One opened library, and everything that lives only in the background thread."""

    def __init__(
        self,
        library: Library,
        post: Post,
        opened: Opened,
        *,
        device: str | None,
        limits: Limits | None,
        settle_s: float,
    ) -> None:
        self._library, self._post, self._opened, self._device = library, post, opened, device
        self._progress = Progress()
        self._settings = settings = LiveSettings(library.paths)
        self._hold = Holding(library.store, library.paths, settings)
        self._made_of = self._ingredients()
        self._supervisor = Supervisor(
            library.store,
            self._made_of[1],
            self._progress,
            limits,
            on_ready=self._welcome,
            hold=self._hold,
            settle=lambda video_id: set_aside_short(library, video_id, settings),
        )
        self._changed = threading.Event()
        self._watcher = Watcher(
            library.store, lambda: _patterns(settings), self._changed.set, settle_s=settle_s
        )
        self._queued = False
        self._held: str | None = None
        self._working_at = time.monotonic()
        self._made_of_again = self._try_again = 0.0
        self._trouble: KnownError | None = None
        self._seen: deque[tuple[float, float]] = deque()
        self._now: status.Status | None = None
        self._count_again = self._look_again = 0.0

    def run(self) -> None:
        """Until the owner stops it. Raises `KnownError` when this library cannot be worked on at all."""
        lock = WriterLock(self._library.paths.writer_lock)
        if not self._wait_for(lock):
            return
        try:
            self._supervisor.open()
            self._watcher.start()
            try:
                while not self._post.over.is_set():
                    self._answer()
                    self._round()
                    self._tell()
            finally:
                self._watcher.stop()
                self._supervisor.close()
        finally:
            lock.release()

    def _wait_for(self, lock: WriterLock) -> bool:
        """Take the writer lock; while another program has it, that one does the work and we only look on."""
        while not self._post.over.is_set():
            try:
                lock.acquire()
            except LibraryBusy as error:
                self._answer()
                why = error.sentence
                try:
                    self._count()
                except KnownError as trouble:  # it may pass, and the other program goes on meanwhile
                    why = trouble.sentence
                self._tell(why)
                self._post.over.wait(ROUND_S)
            else:
                return True
        return False

    def _answer(self) -> None:
        """Do what was asked for since the last round."""
        while True:
            try:
                asked = self._post.asked.get_nowait()
            except queue.Empty:
                return
            asked.answer(self._library)
            if not asked.more_to_do:
                continue
            self._trouble = None  # the owner may just have mended it
            self._changed.set()
            self._look_again = 0.0  # somebody waits for it

    def _round(self) -> None:
        if self._trouble is not None and time.monotonic() < self._try_again:
            self._post.over.wait(ROUND_S)
            return
        try:
            self._notice_new_ingredients()
            if self._changed.is_set() and time.monotonic() >= self._look_again:
                self._changed.clear()
                self._look_over()
            if self._queued:
                self._queued = self._supervisor.step()
                self._held = self._supervisor.held
                self._working_at = time.monotonic()
                self._now = self._supervisor.now or self._now
                self._count_again = 0.0
                if not self._queued:
                    self._count()  # who reads that it is done shall not read that something waits
            else:
                self._rest()
            self._trouble = None
        except Interrupted:
            raise
        except KnownError as error:
            self._supervisor.close()
            self._trouble = error
            passes = isinstance(error, DiskFull | LibraryBusy)
            self._try_again = time.monotonic() + (TRY_AGAIN_S if passes else float("inf"))
            self._changed.set()

    def _rest(self) -> None:
        if self._supervisor.running and time.monotonic() - self._working_at > KEEP_WORKERS_S:
            self._supervisor.close(cleanly=True)
        self._count()
        self._held = self._hold()
        if self._changed.is_set():  # it was looked at so lately that it waits for its turn
            self._post.over.wait(ROUND_S)
        else:
            self._changed.wait(ROUND_S)

    def _look_over(self) -> None:
        began = time.monotonic()
        # What is being worked on is not queued any more: only a round can say that there is no more to do.
        self._queued = anything_to_do(self._library, self._settings) or self._queued
        self._opened.keep_first(self._library)
        self._look_again = time.monotonic() + LOOK_SHARE * (time.monotonic() - began)

    def _welcome(self, ready: Ready) -> None:
        queue_missing(self._library, ready, self._settings)
        self._opened.keep_first(self._library)

    def _notice_new_ingredients(self) -> None:
        """Weights that were prepared meanwhile wake a branch, and a new setting holds, without a restart."""
        if time.monotonic() < self._made_of_again:
            return
        self._made_of_again = time.monotonic() + INGREDIENTS_EVERY_S
        now = self._ingredients()
        if now != self._made_of:
            self._made_of = now
            self._supervisor.replace_workers(now[1])
            self._changed.set()

    def _ingredients(self) -> tuple[list[tuple[str, str, int, int]], list[WorkerConfig]]:
        """What workers are made of: the weights that are here, and what the settings ask of them."""
        configs = worker_configs(self._library, self._device, self._settings)
        return weights_here(self._library.preset), configs

    def _count(self) -> None:
        if time.monotonic() < self._count_again:
            return
        began = time.monotonic()
        with self._library.store.library.reading() as session:
            self._now = status.status(session)
        self._count_again = time.monotonic() + max(COUNT_EVERY_S, LOOK_SHARE * (time.monotonic() - began))

    def _tell(self, elsewhere: str = "") -> None:
        """Publish how things stand; `elsewhere` says that another program does the work."""
        state, why = self._state(elsewhere)
        at_work = self._supervisor.at_work()
        current = at_work[0] if at_work else None
        now = self._now
        counts = now.videos if now else dict.fromkeys(status.VIDEO_STATES, 0)
        done_s = (now.seconds_done if now else 0.0) + sum(done for _, _, done in at_work)
        left_s = max(0.0, estimated_left(now) - sum(done for _, _, done in at_work)) if now else 0.0
        rate = self._rate(done_s) if state == "working" and current else 0.0
        stage = current[1] if current else self._progress.snapshot().stage
        self._post.publish(
            BackgroundSnapshot(
                state=state,
                why=why,
                file=current[0] if current else None,
                stage=stage if state in ("working", "paused") else "",
                ready=counts["ready"],
                failed=counts["failed"],
                queued=counts["queued"] + counts["running"],
                offline=counts["offline"],
                done_s=done_s,
                left_s=left_s,
                rate=rate,
                eta_s=left_s / rate if rate > 0 else None,
                notices=(*self._library.notices, *self._watcher.watched.notices, *self._settings.notices),
                rounds=self._watcher.watched.rounds,
            )
        )

    def _state(self, elsewhere: str) -> tuple[State, str]:
        watched = self._watcher.watched
        if elsewhere:
            return "idle", elsewhere
        if self._trouble is not None:
            passes = isinstance(self._trouble, DiskFull | LibraryBusy)
            return ("paused" if passes else "failed"), str(self._trouble)
        if self._held is not None:
            return "paused", self._held
        if self._queued:
            return "working", ""
        if watched.scanning:
            return "scanning", ""
        return ("paused", watched.trouble) if watched.trouble else ("idle", "")

    def _rate(self, done_s: float) -> float:
        """Seconds of video per second over the last two minutes of work."""
        now = time.monotonic()
        if self._seen and now - self._seen[-1][0] > RATE_OVER_S / 4:
            self._seen.clear()  # it rested in between
        self._seen.append((now, done_s))
        while now - self._seen[0][0] > RATE_OVER_S:
            self._seen.popleft()
        began, before = self._seen[0]
        return max(0.0, (done_s - before) / (now - began)) if now > began else 0.0


def _patterns(settings: LiveSettings) -> Sequence[str]:
    ignore = settings.get("ignore")
    assert isinstance(ignore, tuple)
    return ignore
