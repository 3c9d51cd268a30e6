"""The row below the picture: play, where one is in the video, how fast, and round and round the moment.

It shows what the player does and says what a hand wishes; the player itself is not known here.
"""

from __future__ import annotations

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QWidget

from app.gui.icons import icon
from app.gui.player import SPEEDS
from app.gui.records import clock
from app.gui.strip import SeekBar
from app.gui.theme import STEP, Theme


class PlayBar(QWidget):
    """Seconds everywhere."""

    play_wanted = Signal()
    speed_wanted = Signal(float)
    loop_wanted = Signal(bool)
    sought = Signal(float)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._on = False
        self.play = _button(self.tr("Play or pause (Space)"))
        self.at = QLabel("0:00")
        self.seek = SeekBar(theme)
        self.length = QLabel()
        self.length.setObjectName("muted")
        self.speed = _button(self.tr("Speed"))
        self.loop = _button(self.tr("Loop the moment"))
        self.loop.setCheckable(True)
        self._write_speed(1.0)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2 * STEP)
        for widget in (self.play, self.at, self.seek, self.length, self.speed, self.loop):
            row.addWidget(widget, 1 if widget is self.seek else 0)
        self.play.clicked.connect(self.play_wanted)
        self.speed.clicked.connect(self._next_speed)
        self.loop.toggled.connect(self.loop_wanted)
        self.seek.sought.connect(self.sought)
        theme.changed.connect(self._dress)
        self._dress()

    def show_range(self, start_s: float, end_s: float, length_s: float) -> None:
        """The matched range in a video that is this long, as far as known."""
        self.seek.show_range(start_s, end_s, length_s)

    def show_length(self, length_s: float) -> None:
        self.length.setText(clock(length_s))
        self.seek.set_length(length_s)

    def show_place(self, at_s: float) -> None:
        self.at.setText(clock(at_s))
        self.seek.set_position(at_s)

    def show_playing(self, on: bool) -> None:
        self._on = on
        self._dress()

    def _next_speed(self) -> None:
        shown = [f"{speed:g}×" for speed in SPEEDS]
        following = SPEEDS[(shown.index(self.speed.text()) + 1) % len(SPEEDS)]
        self._write_speed(following)
        self.speed_wanted.emit(following)

    def _write_speed(self, speed: float) -> None:
        shown = f"{speed:g}×"
        self.speed.setText(shown)
        self.speed.setAccessibleName(self.tr("Speed {}").format(shown))

    def _dress(self) -> None:
        self.loop.setIcon(icon("loop", self._theme.colours.muted))
        self.play.setIcon(icon("pause" if self._on else "play", self._theme.colours.text))


def _button(name: str) -> QToolButton:
    button = QToolButton()
    button.setAccessibleName(name)
    button.setToolTip(name)
    button.setIconSize(QSize(18, 18))
    return button
