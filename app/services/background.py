"""The long-running side: folders are watched and videos made searchable until it is told to stop.

The window and `index --watch` hold one `Background`. It opens the library itself, in threads of its own; no call waits
for work, and what goes on is looked at through `snapshot()`, as often as anybody likes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from app.services import folders as folder_service
from app.services.background_post import Asked, BackgroundSnapshot, Post
from app.services.background_work import Work
from app.services.holding import set_paused
from app.services.library import Library, open_library
from app.services.opened import Opened
from app.workers.process import Limits
from app.workers.watcher import SETTLE_S
from m2hf_core.errors import Interrupted, KnownError
from m2hf_core.store import failures, wishes

__all__ = ["Background", "BackgroundSnapshot"]

Answer = TypeVar("Answer")


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
        self._post = Post(self._publish)
        self._opened = Opened()
        self._listening = False
        """Whether what is asked will be done; guarded by the lock."""
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; harmless when it has begun."""
        if self._thread is not None and self._thread.is_alive():
            return
        self._post.over.clear()
        self._publish(BackgroundSnapshot(state="starting"))
        with self._lock:
            self._listening = True
        self._thread = threading.Thread(target=self._run, name="background")
        self._thread.start()

    def stop(self, timeout_s: float | None = 0.0) -> bool:
        """Ask it to end, and wait so long for it (None: until it has). Whether it has ended."""
        self._post.over.set()
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
        return self._ask(lambda library: self._opened.look_at(library, chosen), more_to_do=False)

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
                self._post.asked.put(Asked(action, future, more_to_do))
                return future
        future.set_exception(self._gone())
        return future

    def _run(self) -> None:
        try:
            with open_library(self._data_dir, preset=self._preset, mode="create") as library:
                Work(
                    library,
                    self._post,
                    self._opened,
                    device=self._device,
                    limits=self._limits,
                    settle_s=self._settle_s,
                ).run()
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
        while not self._post.asked.empty():
            self._post.asked.get_nowait().refuse(self._gone())

    def _gone(self) -> KnownError:
        why = self.snapshot().why
        return KnownError(
            "That could not be done: indexing is not running.", why or "Start the program again."
        )

    def _publish(self, snapshot: BackgroundSnapshot) -> None:
        with self._lock:
            self._snapshot = snapshot


def _rescan(library: Library) -> None:
    with library.store.library.writing() as session:
        wishes.ask_for_rescan(session)


def _retry(library: Library, fingerprints: Sequence[str] | None) -> int:
    with library.store.library.writing() as session:
        return failures.retry_failed(session, fingerprints)
