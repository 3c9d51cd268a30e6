"""Keeps the store in step with the watched folders: a thread that listens to the system and looks for itself.

The system's events say where to look; what is there is always found by looking (reconcile), so a lost event costs
time and never a file. Network drives report nothing and are looked through from time to time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from watchfiles import Change, watch

from app.workers.machine import is_network
from app.workers.settling import Settling
from m2hf_core.errors import Interrupted, KnownError
from m2hf_core.ingest.reconcile import Reconciled, reconcile
from m2hf_core.ingest.scan import VIDEO_SUFFIXES
from m2hf_core.ingest.sidecars import SUFFIXES as SUBTITLE_SUFFIXES
from m2hf_core.progress import Progress
from m2hf_core.store import Store, files, folders, wishes

SETTLE_S = 2.0
LISTEN_MS = 400
LOOK_EVERY_S = 3600.0
"""A full look at every folder, in case an event was lost."""
POLL_EVERY_S = 60.0
POLL_SHARE = 0.05
"""A drive that has to be polled is looked through for no more than this share of the time."""
MANY = 2000
"""So many changed paths are found sooner by looking through the whole folder."""
TROUBLE_S = 10.0
MAX_NOTICES = 20

Events = Iterator[set[tuple[Change, str]]]


@dataclass(slots=True)
class _Root:
    folder_id: int
    path: Path
    network: bool
    look_at: float = 0.0
    """When to look through it next, on the monotonic clock."""
    place: tuple[int, int] | None = None
    offline: bool = False


@dataclass(slots=True)
class Watched:
    """What the watcher has noted so far; read by others."""

    scanning: bool = True
    rounds: int = 0
    """Full looks at all folders."""
    trouble: str = ""
    """Why it cannot go on at present."""
    notices: list[str] = field(default_factory=list)


class Watcher:
    """One thread. `changed` is called after every look that may have brought or taken a file."""

    def __init__(
        self,
        store: Store,
        ignore: Callable[[], Sequence[str]],
        changed: Callable[[], None],
        *,
        settle_s: float = SETTLE_S,
        poll_every_s: float = POLL_EVERY_S,
    ) -> None:
        self.watched = Watched()
        self.progress = Progress()
        self._store, self._ignore, self._changed = store, ignore, changed
        self._settling = Settling(settle_s)
        self._settle_s, self._poll_every_s = settle_s, poll_every_s
        self._roots: dict[Path, _Root] = {}
        self._listened: tuple[Path, ...] = ()
        self._events: Events | None = None
        self._deaf = False
        self._rescans = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns once the thread has ended; a look that is under way is cut short."""
        self._over.set()
        self.progress.cancel()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                try:
                    self._round()
                    self.watched.trouble = ""
                except Interrupted:
                    return
                except KnownError as error:
                    # The database is busy or its disk full: that passes. What was not noted is found by looking.
                    self.watched.trouble = str(error)
                    for root in self._roots.values():
                        root.look_at = 0.0
                    self._over.wait(TROUBLE_S)
        finally:
            self.watched.scanning = False
            self._hush()

    def _round(self) -> None:
        self._follow_folders()
        self._listen()
        for root in list(self._roots.values()):
            if time.monotonic() >= root.look_at or _place(root.path) != root.place:
                self._look(root)
        if self.watched.scanning:
            self.watched.scanning = False
            self.watched.rounds += 1
        self._look_at_settled()

    def _follow_folders(self) -> None:
        """Folders may be added, removed, or asked to be looked at anew by any program on this library."""
        with self._store.library.reading() as session:
            rows = {Path(row.path): row for row in folders.list_folders(session) if row.watched}
            rescans = wishes.wishes(session).rescans
        for path in [path for path in self._roots if path not in rows]:
            del self._roots[path]
        for path, row in rows.items():
            if path not in self._roots:
                self._roots[path] = _Root(row.folder_id, path, is_network(path))
        if rescans != self._rescans:
            self._rescans = rescans
            for root in self._roots.values():
                root.look_at = 0.0

    def _listen(self) -> None:
        """Wait a moment for events, and note which paths they are about."""
        there = tuple(
            sorted(path for path, root in self._roots.items() if not root.network and path.is_dir())
        )
        if there != self._listened:
            self._hush()
            self._listened, self._deaf = there, False
        if not there or self._deaf:
            self._over.wait(LISTEN_MS / 1000)
            return
        if self._events is None:
            self._events = self._hear(there)
        try:
            for change, name in next(self._events, ()):
                path = self._without_links(Path(name))
                if change == Change.deleted or _may_matter(path):
                    self._settling.touch(path)
        except OSError as error:
            self._hush()
            self._deaf = True
            self._note(
                f"The system does not report changes here ({error}): folders are looked through every "
                f"{self._poll_every_s:.0f} s instead."
            )

    def _without_links(self, path: Path) -> Path:
        """The way to `path` that leads through no link inside a root: events may come by any way, round a loop too."""
        real = os.path.join(os.path.realpath(path.parent), path.name)
        for root in self._roots:
            real_root = os.path.realpath(root)
            if real.startswith(real_root + os.sep):
                return root / os.path.relpath(real, real_root)
        return path

    def _hear(self, roots: tuple[Path, ...]) -> Events:
        return watch(
            *roots,
            watch_filter=None,
            debounce=LISTEN_MS,
            step=50,
            stop_event=self._over,
            rust_timeout=LISTEN_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
            ignore_permission_denied=True,
        )

    def _hush(self) -> None:
        events, self._events = self._events, None
        if events is not None:
            events.close()  # type: ignore[attr-defined]

    def _look(self, root: _Root) -> None:
        began = time.monotonic()
        self.watched.scanning = True
        root.place = _place(root.path)
        self._reconcile(root, None)
        took_s = time.monotonic() - began
        polled = root.network or self._deaf
        wait_s = max(self._poll_every_s, took_s / POLL_SHARE) if polled else LOOK_EVERY_S
        root.look_at = time.monotonic() + wait_s

    def _look_at_settled(self) -> None:
        settled = self._settling.settled()
        if not settled:
            return
        if any(path.suffix.lower() in SUBTITLE_SUFFIXES for path in settled):
            self._changed()  # no video is another one by it, but what is said in one may be
        inner_first = sorted(self._roots.values(), key=lambda root: len(root.path.parts), reverse=True)
        for root in inner_first:
            mine = {path for path in settled if path == root.path or root.path in path.parents}
            settled -= mine
            if len(mine) > MANY or root.path in mine:
                self._reconcile(root, None)
                continue
            worth = [path for path in mine if self._is_worth_a_look(path)]
            if worth:
                self._reconcile(root, worth)

    def _is_worth_a_look(self, path: Path) -> bool:
        """A video, a folder, or what was one: not every file that comes and goes in a folder is about us."""
        if path.suffix.lower() in VIDEO_SUFFIXES or path.is_dir():
            return True
        with self._store.library.reading() as session:
            return files.any_below(session, path)

    def _reconcile(self, root: _Root, only: list[Path] | None) -> None:
        found = reconcile(
            self._store,
            root.folder_id,
            root.path,
            self._ignore(),
            self.progress,
            only=only,
            settle_s=self._settle_s,
        )
        for path in found.unsettled:
            self._settling.touch(path)
        self._tell(root, found)
        self._changed()

    def _tell(self, root: _Root, found: Reconciled) -> None:
        if found.offline and root.offline:
            return
        root.offline = found.offline
        for notice in found.notices:
            self._note(notice)

    def _note(self, notice: str) -> None:
        if notice in self.watched.notices:
            self.watched.notices.remove(notice)
        self.watched.notices.append(notice)
        del self.watched.notices[:-MAX_NOTICES]


def _may_matter(path: Path) -> bool:
    return path.suffix.lower() in (*VIDEO_SUFFIXES, *SUBTITLE_SUFFIXES) or path.is_dir()


def _place(root: Path) -> tuple[int, int] | None:
    try:
        status = root.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
