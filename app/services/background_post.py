"""What passes between the background thread and those who ask it for something or look on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from app.services.library import Library
from m2hf_core.errors import KnownError

State = Literal["starting", "scanning", "working", "idle", "paused", "stopped", "failed"]


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


class Asked:
    """Something to be done with the library in the background thread, and who waits for it."""

    def __init__(self, action: Callable[[Library], Any], future: Future[Any], more_to_do: bool) -> None:
        """`more_to_do`: afterwards the library is looked over for work."""
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


@dataclass(slots=True)
class Post:
    """The one side sets `over` and puts into `asked`, the other calls `publish`."""

    publish: Callable[[BackgroundSnapshot], None]
    over: threading.Event = field(default_factory=threading.Event)
    asked: queue.SimpleQueue[Asked] = field(default_factory=queue.SimpleQueue)
