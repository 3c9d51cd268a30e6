"""What can be taken back: each change goes to the desk thread, and so does its reverse."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtGui import QUndoCommand

from app.gui.bridge import Bridge

if TYPE_CHECKING:
    from app.services.library import Library


class Change(QUndoCommand):
    """`do` and `undo` are services; `after` tells the panels which of the two happened."""

    def __init__(
        self,
        text: str,
        bridge: Bridge,
        do: Callable[[Library], object],
        undo: Callable[[Library], object],
        after: Callable[[bool], None] = lambda done: None,
    ) -> None:
        super().__init__(text)
        self._bridge, self._do, self._undo, self._after = bridge, do, undo, after

    def redo(self) -> None:
        self._bridge.run(self._do, lambda _: self._after(True))

    def undo(self) -> None:
        self._bridge.run(self._undo, lambda _: self._after(False))
