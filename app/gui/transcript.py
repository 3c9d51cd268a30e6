"""What is said in the chosen video: a line per sentence, the words that were asked for marked, its time a link."""

from __future__ import annotations

import html
from collections.abc import Sequence

from PySide6.QtCore import QUrl, Signal
from PySide6.QtWidgets import QTextBrowser, QWidget

from app.gui.records import clock
from app.gui.theme import Theme
from m2hf_core.records import Line


class Transcript(QTextBrowser):
    """Writes again by itself when the colours change."""

    sought = Signal(float)
    """The second of a line that was chosen."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._lines: Sequence[Line] = ()
        self._words: tuple[str, ...] = ()
        self.setOpenLinks(False)
        self.document().setDocumentMargin(0)
        self.setAccessibleName(self.tr("What is said"))
        self.anchorClicked.connect(self._go_to)
        theme.changed.connect(self._write)

    def show_lines(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._write()

    def mark(self, words: Sequence[str]) -> None:
        """The words that the query shares. The page stays where it was scrolled to when they are the same."""
        if tuple(words) != self._words:
            self._words = tuple(words)
            self._write()

    def _go_to(self, link: QUrl) -> None:
        self.sought.emit(float(link.toString().removeprefix("at:")))

    def _write(self) -> None:
        colours = self._theme.colours
        wash = colours.wash("speech", over=colours.panel).name()
        rows = []
        for line in self._lines:
            text = _marked(line.text, self._words, f"background-color:{wash};color:{colours.text}")
            rows.append(
                f'<tr><td style="padding-right:10px"><a href="at:{line.start_s:.2f}" '
                f'style="color:{colours.muted};text-decoration:none">{clock(line.start_s)}</a></td>'
                f'<td style="color:{colours.muted}">{text}</td></tr>'
            )
        self.setHtml(f'<table cellspacing="0" cellpadding="2">{"".join(rows)}</table>')


def _marked(text: str, words: Sequence[str], style: str) -> str:
    """HTML of a line with these words marked, also as the beginning of a longer form (dog, dogs)."""
    parts = []
    for word in text.split(" "):
        bare = word.strip(".,!?;:\"“”'()").lower()
        found = any(
            bare == known.lower() or (bare.startswith(known.lower()) and len(bare) <= len(known) + 2)
            for known in words
        )
        safe = html.escape(word)
        parts.append(f'<span style="{style}">{safe}</span>' if found and bare else safe)
    return " ".join(parts)
