"""Why the chosen moment was found: one plain sentence, and below it, when unfolded, every branch."""

from __future__ import annotations

import html

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from app.gui.receipts import explanation, headline, in_full
from app.gui.theme import STEP, Theme
from m2hf_core.records import SearchHit


class Why(QWidget):
    """Writes again by itself when the colours change."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._hit: SearchHit | None = None
        self._found = True
        self.receipt = _words()
        self.unfold = QPushButton(self.tr("All branches"))
        self.unfold.setObjectName("link")
        self.unfold.setCheckable(True)
        self.full = _words()
        self.full.hide()
        self.unfold.toggled.connect(self.full.setVisible)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3 * STEP)
        column.addWidget(self.receipt)
        column.addWidget(self.unfold, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.full)
        theme.changed.connect(self._write)

    def show_hit(self, hit: SearchHit, *, found: bool) -> None:
        """`found`: the newest answer has this moment; why it stood in a former one is not told as if it did now."""
        self._hit, self._found = hit, found
        self._write()

    def _write(self) -> None:
        if self._hit is None:
            return
        self.unfold.setEnabled(self._found)
        if not self._found:
            self.receipt.setText(html.escape(self.tr("This moment is not among what is found now.")))
            self.full.clear()
            return
        colours = self._theme.colours
        lane = self._hit.won_by[0] if self._hit.won_by else ""
        style = f"color:{colours.ink(lane).name()};font-weight:600"
        start = f'<span style="{style}">{html.escape(headline(self._hit))}</span>'
        self.receipt.setText(f"{start} — {html.escape(explanation(self._hit))}")
        rows = "".join(
            f'<tr><td style="color:{colours.ink(name).name()};padding-right:12px">{html.escape(name)}</td>'
            f"<td>{html.escape(text)}</td></tr>"
            for name, text in in_full(self._hit)
        )
        self.full.setText(f"<table>{rows}</table>")


def _words() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.RichText)
    return label
