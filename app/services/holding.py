"""Why extraction should stand still at present: the owner paused it, the battery, somebody at work, a full disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from app.workers import machine
from m2hf_core.config.paths import Paths
from m2hf_core.config.settings import Settings
from m2hf_core.errors import KnownError
from m2hf_core.store import Store, wishes

PAUSED = "Paused. Go on with: m2hf-app resume"
LOW_DISK_BYTES = 200 << 20
IN_USE_S = 120.0
"""Somebody who touched nothing for two minutes is away."""
ASK_MACHINE_EVERY_S = 5.0


class LiveSettings:
    """The settings as they are now: the window, a terminal or an editor may change them while extraction runs.

    While the file cannot be read, because somebody is half way through a change, the last good settings hold.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._stamp: tuple[int, int] | None = None
        self._settings = Settings.load(paths)
        self.notices: tuple[str, ...] = ()
        """What is wrong with the file at present."""

    def get(self, name: str) -> object:
        stamp = _stamp(self._paths.settings)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._settings, self.notices = Settings.load(self._paths), ()
            except KnownError as error:
                self.notices = (f"{error.sentence} Until then the settings before it hold.",)
        return self._settings.get(name)


def set_paused(store: Store, paused: bool) -> bool:
    """Hold or let go whichever program indexes into this library; whether that changed anything."""
    with store.library.writing() as session:
        return wishes.set_paused(session, paused)


def paused_by_owner(store: Store) -> Callable[[], str | None]:
    """For work that the owner asked for right now: only a pause holds it."""

    def hold() -> str | None:
        with store.library.reading() as session:
            return PAUSED if wishes.wishes(session).paused else None

    return hold


class Holding:
    """For work in the background: also what the settings and the machine say."""

    def __init__(self, store: Store, paths: Paths, settings: LiveSettings) -> None:
        self._paused = paused_by_owner(store)
        self._data, self._settings = paths.data, settings
        self._asked_at = float("-inf")
        self._machine_says: str | None = None

    def __call__(self) -> str | None:
        """A reason in words, or None when nothing speaks against working."""
        why = self._paused()
        if why is not None:
            return why
        if time.monotonic() - self._asked_at > ASK_MACHINE_EVERY_S:
            self._machine_says = self._ask_machine()
            self._asked_at = time.monotonic()
        return self._machine_says

    def _ask_machine(self) -> str | None:
        free = machine.free_bytes(self._data)
        if free < LOW_DISK_BYTES:
            return f"Waiting: only {free >> 20} MB are free on the disk of the library."
        if self._settings.get("on_battery") == "wait" and machine.on_battery():
            return "Waiting for mains power (setting on_battery)."
        if self._settings.get("while_in_use") == "wait":
            idle_s = machine.idle_seconds()
            if idle_s is not None and idle_s < IN_USE_S:
                return "Waiting until nobody uses the computer (setting while_in_use)."
        return None


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
