"""Hovering over a card goes through its clip: where the pointer is on the card chooses the second that is shown.

It watches the pointer from beside the view. Were the view's own handling of a move called from Python, it would hold
the interpreter all the time that a moment is dragged, since Qt waits for the end of a drag inside of it: the search
and the indexing would stand still, and a player whose video ends meanwhile would wait for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QPointF
from PySide6.QtGui import QMouseEvent

if TYPE_CHECKING:
    from app.gui.results_view import ResultsView

SCRUBS = 8
"""Pictures that hovering shows of one clip."""


class Scrubbing(QObject):
    """Tells the view's cards which clip is gone through, and where in it."""

    def __init__(self, view: ResultsView) -> None:
        super().__init__(view)
        self._view = view
        view.viewport().installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Only looks on."""
        if event.type() == QEvent.Type.Leave:
            self._show(None)
        elif isinstance(event, QMouseEvent) and event.type() == QEvent.Type.MouseMove:
            self._show(self._under(event.position()))
        return False

    def _under(self, place: QPointF) -> tuple[int, float] | None:
        """Row and second below the pointer."""
        index = self._view.indexAt(place.toPoint())
        hit = self._view.results.hit(index.row()) if index.isValid() else None
        if hit is None:
            return None
        area = self._view.visualRect(index)
        part = (place.x() - area.left()) / max(1, area.width())
        slot = max(0, min(SCRUBS - 1, int(part * SCRUBS)))
        return index.row(), hit.start_s + (slot + 0.5) / SCRUBS * (hit.end_s - hit.start_s)

    def _show(self, scrubbed: tuple[int, float] | None) -> None:
        if scrubbed != self._view.cards.scrubbed:
            self._view.cards.scrubbed = scrubbed
            self._view.viewport().update()
