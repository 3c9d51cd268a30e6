"""Looking at one moment: where in its video the words are found, and what is said in it, come when they are there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from app.gui.bridge import Bridge
from app.gui.preview import Preview
from m2hf_core.records import Line, SearchHit

if TYPE_CHECKING:
    from app.services.library import Library
    from app.services.searching import Searcher

Curves = dict[str, list[tuple[float, float]]]


class Looking(QObject):
    """Fills the preview; what arrives for a video that is no longer shown is dropped."""

    def __init__(self, bridge: Bridge, preview: Preview) -> None:
        super().__init__(preview)
        self._bridge, self._preview = bridge, preview
        self._drawn: tuple[Path, str] | None = None
        """The video and the words that the strip shows."""

    def show(self, hit: SearchHit, words: str) -> None:
        """Show a moment; `words` empty where it was not found by words."""
        if self._preview.hit is None or self._preview.hit.video != hit.video:
            self._bridge.look_at(hit.video)
        self._preview.show_hit(hit)
        if (hit.video, words) == self._drawn:
            return
        self._drawn = (hit.video, words)
        self._fetch_lines(hit.video)
        if words:
            self._fetch_curves(hit.video, words)

    def _fetch_lines(self, video: Path) -> None:
        def lines(library: Library) -> tuple[Line, ...]:
            from app.services.overview import spoken_lines

            return spoken_lines(library, video)

        def show(found: tuple[Line, ...]) -> None:
            if self._shows(video):
                self._preview.show_lines(found)

        self._bridge.run(lines, show)

    def _fetch_curves(self, video: Path, words: str) -> None:
        def curves(searcher: Searcher) -> Curves:
            return searcher.timeline(video, words)

        def show(found: Curves) -> None:
            if self._shows(video):
                self._preview.show_curves(found)

        # A query that the strip cannot draw has already been told to the person by the search itself.
        self._bridge.with_searcher(curves, show, lambda _: None)

    def _shows(self, video: Path) -> bool:
        return self._preview.hit is not None and self._preview.hit.video == video
