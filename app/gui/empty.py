"""What stands in the middle when there are no results: a sentence that explains, and one button."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from app.gui.theme import STEP

EXAMPLES = 3


class EmptyState(QWidget):
    """One sentence, what to do about it, one main button and at most one quiet one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("ground")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.sentence = QLabel()
        self.sentence.setObjectName("title")
        self.hint = QLabel()
        self.hint.setObjectName("muted")
        self.hint.setTextFormat(Qt.TextFormat.RichText)
        for label in (self.sentence, self.hint):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setWordWrap(True)
        self.button = QPushButton()
        self.button.setObjectName("main")
        self.other = QPushButton()
        self.other.setObjectName("link")
        self.examples = [QPushButton() for _ in range(EXAMPLES)]
        for example in self.examples:
            example.setObjectName("link")
        self._actions: dict[QPushButton, Callable[[], None]] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16 * STEP, 0, 16 * STEP, 0)
        layout.setSpacing(3 * STEP)
        layout.addStretch(2)
        for widget in (self.sentence, self.hint):
            layout.addWidget(widget)
        for button in (*self.examples, self.button, self.other):
            layout.addWidget(button, 0, Qt.AlignmentFlag.AlignHCenter)
            button.clicked.connect(lambda _=False, pressed=button: self._actions[pressed]())
        layout.addStretch(3)

    def say(
        self,
        sentence: str,
        hint: str = "",
        button: tuple[str, Callable[[], None]] | None = None,
        other: tuple[str, Callable[[], None]] | None = None,
        examples: Sequence[tuple[str, Callable[[], None]]] = (),
    ) -> None:
        """Show this state."""
        self.sentence.setText(sentence)
        self.hint.setText(hint)
        self.hint.setVisible(bool(hint))
        padded = [*examples, *[None] * (EXAMPLES - len(examples))]
        offers = zip((self.button, self.other, *self.examples), (button, other, *padded), strict=True)
        for widget, offer in offers:
            widget.setVisible(offer is not None)
            if offer is not None:
                widget.setText(offer[0])
                self._actions[widget] = offer[1]
