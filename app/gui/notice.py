"""A line that says what has just happened, with the way back, and leaves by itself."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.gui.theme import STEP

STAYS_MS = 8000


class Notice(QWidget):
    """Below the results; nothing waits for it. Its margins come and go with it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        frame = QFrame()
        frame.setObjectName("notice")
        around = QVBoxLayout(self)
        around.setContentsMargins(4 * STEP, STEP, 4 * STEP, 3 * STEP)
        around.addWidget(frame)
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.button = QPushButton()
        self.button.setObjectName("link")
        self.button.clicked.connect(self._act)
        self._action: Callable[[], None] | None = None
        layout = QHBoxLayout(frame)
        layout.setContentsMargins(3 * STEP, 2 * STEP, 3 * STEP, 2 * STEP)
        layout.setSpacing(3 * STEP)
        layout.addWidget(self.words, 1)
        layout.addWidget(self.button)
        self._leave = QTimer(self, singleShot=True, interval=STAYS_MS)
        self._leave.timeout.connect(self.hide)
        self.hide()

    def say(self, sentence: str, button: str = "", action: Callable[[], None] | None = None) -> None:
        """Show a sentence, with a button if there is something to do about it."""
        self.words.setText(sentence)
        self.button.setText(button)
        self.button.setVisible(bool(button))
        self._action = action
        self.show()
        self._leave.start()

    def _act(self) -> None:
        self.hide()
        if self._action is not None:
            self._action()
