"""The long-running side: folders are watched and videos made searchable until it is told to stop.

The window and `index --watch` hold one `Background`. It opens the library itself, in threads of its own; no call waits
for work, and what goes on is looked at through `snapshot()`, as often as anybody likes.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from app.services import folders as folder_service
from app.services.holding import Holding, LiveSettings, set_paused
from app.services.indexing import anything_to_do, queue_missing, set_aside_short, worker_configs
from app.services.library import Library, open_library, weights_here
from app.workers.process import Limits
from app.workers.supervisor import Supervisor, estimated_left
from app.workers.watcher import SETTLE_S, Watcher
from m2hf_core.errors import DiskFull, Interrupted, KnownError, LibraryBusy
from m2hf_core.progress import Progress
from m2hf_core.store import WriterLock, failures, files, jobs, status, wishes

State = Literal["starting", "scanning", "working", "idle", "paused", "stopped", "failed"]
Answer = TypeVar("Answer")

ROUND_S = 0.1
COUNT_EVERY_S = 1.0
LOOK_SHARE = 20
"""Looking over the whole library takes no more than one part in so many of the time."""
KEEP_WORKERS_S = 60.0
"""Idle workers hold a gigabyte of networks each: after so long without work they leave."""
TRY_AGAIN_S = 15.0
"""After a full disk or a busy database."""
WEIGHTS_EVERY_S = 10.0
RATE_OVER_S = 120.0


@dataclass(frozen=True, slots=True)
class BackgroundSnapshot:
    """One moment of the work in the background."""

    state: State = "stopped"
    why: str = ""
    """In words, where the state asks for a reason: who paused, what failed and what to do."""
    file: Path | None = None
    stage: str = ""
    ready: int = 0
    failed: int = 0
    queued: int = 0
    """Waiting or being read."""
    offline: int = 0
    done_s: float = 0.0
    """Seconds of video that are searchable."""
    left_s: float = 0.0
    rate: float = 0.0
    """Seconds of video per second, of late; 0 while nothing is known."""
    eta_s: float | None = None
    notices: tuple[str, ...] = ()
    """Sentences that the owner may want to know, the newest last."""
    rounds: int = 0
    """Full looks at the folders so far."""


class Background:
    """Thread-safe. Every call returns at once; those with an answer give a `Future`."""

    def __init__(
        self,
        data_dir: Path | None,
        preset: str | None = None,
        *,
        device: str | None = None,
        limits: Limits | None = None,
        settle_s: float = SETTLE_S,
    ) -> None:
        """`data_dir` None is the usual place; `preset` and `device` override the settings."""
        self._data_dir, self._preset, self._device = data_dir, preset, device
        self._limits, self._settle_s = limits, settle_s
        self._lock = threading.Lock()
        self._snapshot = BackgroundSnapshot()
        self._asked: queue.SimpleQueue[_Asked] = queue.SimpleQueue()
        self._listening = False
        """Whether what is asked will be done; guarded by the lock."""
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; harmless when it has begun."""
        if self._thread is not None and self._thread.is_alive():
            return
        self._over.clear()
        self._publish(BackgroundSnapshot(state="starting"))
        with self._lock:
            self._listening = True
        self._thread = threading.Thread(target=self._run, name="background")
        self._thread.start()

    def stop(self, timeout_s: float | None = 0.0) -> bool:
        """Ask it to end, and wait so long for it (None: until it has). Whether it has ended."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
            return not self._thread.is_alive()
        return True

    def snapshot(self) -> BackgroundSnapshot:
        with self._lock:
            return self._snapshot

    def pause(self) -> Future[bool]:
        """Stand still, whichever program indexes this library; answers whether it was not paused before."""
        return self._ask(lambda library: set_paused(library.store, True))

    def resume(self) -> Future[bool]:
        return self._ask(lambda library: set_paused(library.store, False))

    def look_at(self, videos: Iterable[int | Path]) -> Future[int]:
        """Take these videos (ids, paths or folders) before all others, and no longer those named earlier; how many."""
        chosen = list(videos)
        return self._ask(lambda library: look_at(library, chosen), more_to_do=False)

    def rescan(self) -> Future[None]:
        """Look through all folders now."""
        return self._ask(_rescan)

    def retry(self, fingerprints: Sequence[str] | None = None) -> Future[int]:
        """Try failed videos again, those with these fingerprints or all; answers how many."""
        return self._ask(lambda library: _retry(library, fingerprints))

    def add_folder(self, path: Path) -> Future[list[dict[str, object]]]:
        """Watch a folder; the future raises what is wrong with it."""
        return self._ask(lambda library: folder_service.add_folders(library, [path]))

    def remove_folder(self, path: Path) -> Future[list[dict[str, object]]]:
        return self._ask(lambda library: folder_service.remove_folders(library, [path]))

    def forget(self, target: Path) -> Future[int]:
        """Purge a video or folder for good; answers how many videos went."""
        return self._ask(lambda library: folder_service.forget_target(library, target))

    def _ask(self, action: Callable[[Library], Answer], *, more_to_do: bool = True) -> Future[Answer]:
        """The future fails with `KnownError` when nobody is there, or leaves before it was this one's turn.

        `more_to_do`: afterwards the library is looked over for work.
        """
        future: Future[Answer] = Future()
        with self._lock:
            if self._listening:
                self._asked.put(_Asked(action, future, more_to_do))
                return future
        future.set_exception(self._gone())
        return future

    def _run(self) -> None:
        try:
            with open_library(self._data_dir, preset=self._preset, mode="create") as library:
                _Work(self, library).run()
            self._publish(replace(self.snapshot(), state="stopped", file=None, stage=""))
        except Interrupted:
            self._publish(replace(self.snapshot(), state="stopped", file=None, stage=""))
        except KnownError as error:
            self._publish(replace(self.snapshot(), state="failed", why=str(error), file=None, stage=""))
        except BaseException as error:
            why = f"The program failed ({type(error).__name__}: {error}). Please report it."
            self._publish(replace(self.snapshot(), state="failed", why=why, file=None, stage=""))
            raise
        finally:
            self._leave()

    def _leave(self) -> None:
        """Nobody may wait for an answer that will not come."""
        with self._lock:
            self._listening = False
        while not self._asked.empty():
            self._asked.get_nowait().refuse(self._gone())

    def _gone(self) -> KnownError:
        why = self.snapshot().why
        return KnownError(
            "That could not be done: indexing is not running.", why or "Start the program again."
        )

    def _publish(self, snapshot: BackgroundSnapshot) -> None:
        with self._lock:
            self._snapshot = snapshot


class _Asked:
    """Something to be done with the library in the background thread, and who waits for it."""

    def __init__(self, action: Callable[[Library], Any], future: Future[Any], more_to_do: bool) -> None:
        self._action, self._future, self.more_to_do = action, future, more_to_do

    def answer(self, library: Library) -> None:
        if not self._future.set_running_or_notify_cancel():
            return
        try:
            self._future.set_result(self._action(library))
        except BaseException as error:  # noqa: BLE001 - it is raised where the future is asked
            self._future.set_exception(error)

    def refuse(self, error: KnownError) -> None:
        if self._future.set_running_or_notify_cancel():
            self._future.set_exception(error)


class _Work:
    """What the background thread does, with everything that lives only there."""

    def __init__(self, owner: Background, library: Library) -> None:
        self._owner, self._library = owner, library
        self._progress = Progress()
        self._settings = settings = LiveSettings(library.paths)
        self._hold = Holding(library.store, library.paths, settings)
        self._supervisor = Supervisor(
            library.store,
            worker_configs(library, owner._device),
            self._progress,
            owner._limits,
            on_ready=lambda ready: queue_missing(library, ready),
            hold=self._hold,
            settle=lambda video_id: set_aside_short(library, video_id, settings),
        )
        self._changed = threading.Event()
        self._watcher = Watcher(
            library.store, lambda: _patterns(settings), self._changed.set, settle_s=owner._settle_s
        )
        self._queued = False
        self._held: str | None = None
        self._working_at = time.monotonic()
        self._weights: list[tuple[str, str, int, int]] = weights_here(library.preset)
        self._weights_again = self._try_again = 0.0
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
                while not self._owner._over.is_set():
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
        while not self._owner._over.is_set():
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
                self._owner._over.wait(ROUND_S)
            else:
                return True
        return False

    def _answer(self) -> None:
        """Do what was asked for since the last round."""
        while True:
            try:
                asked = self._owner._asked.get_nowait()
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
            self._owner._over.wait(ROUND_S)
            return
        try:
            self._notice_new_weights()
            if self._changed.is_set() and time.monotonic() >= self._look_again:
                self._changed.clear()
                began = time.monotonic()
                # What is being worked on is not queued any more: only a round can say that there is no more to do.
                self._queued = anything_to_do(self._library, self._settings) or self._queued
                self._look_again = time.monotonic() + LOOK_SHARE * (time.monotonic() - began)
            if self._queued:
                self._queued = self._supervisor.step()
                self._held = self._supervisor.held
                self._working_at = time.monotonic()
                self._now = self._supervisor.now or self._now
                self._count_again = 0.0
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
            self._owner._over.wait(ROUND_S)
        else:
            self._changed.wait(ROUND_S)

    def _notice_new_weights(self) -> None:
        """Weights that were prepared meanwhile wake a branch without a restart of the program."""
        if time.monotonic() < self._weights_again:
            return
        self._weights_again = time.monotonic() + WEIGHTS_EVERY_S
        here = weights_here(self._library.preset)
        if here != self._weights:
            self._weights = here
            self._supervisor.close()
            self._changed.set()

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
        self._owner._publish(
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
        return "idle", watched.trouble

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


def look_at(library: Library, videos: Sequence[int | Path]) -> int:
    """Give these videos, or what waits in these folders, the highest priority; those that had it become ordinary.

    Answers how many videos that are.
    """
    with library.store.library.writing() as session:
        ids: list[int] = []
        for video in videos:
            if isinstance(video, int):
                ids.append(video)
            elif found := files.video_of_path(session, video):
                ids.append(found.video_id)
            else:
                ids += [id_ for id_, path in jobs.waiting(session) if video in Path(path).parents]
        jobs.reset_opened(session)
        jobs.set_priority(session, ids, jobs.OPENED)
    return len(set(ids))


def _rescan(library: Library) -> None:
    with library.store.library.writing() as session:
        wishes.ask_for_rescan(session)


def _retry(library: Library, fingerprints: Sequence[str] | None) -> int:
    with library.store.library.writing() as session:
        return failures.retry_failed(session, fingerprints)


def _patterns(settings: LiveSettings) -> Sequence[str]:
    ignore = settings.get("ignore")
    assert isinstance(ignore, tuple)
    return ignore
