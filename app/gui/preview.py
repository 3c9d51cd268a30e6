"""The right column: the moment itself, where else the video matches, why it was found, and what is said in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from app.gui.captions_panel import CaptionsPanel
from app.gui.play_bar import PlayBar
from app.gui.player import Player
from app.gui.records import Moment, Trouble
from app.gui.stage import Stage
from app.gui.strip import Curve, Strip
from app.gui.theme import STEP, Theme
from app.gui.thumbnails import Thumbnails
from app.gui.transcript import Transcript
from app.gui.why import Why
from m2hf_core.records import Line, SearchHit

SETTLE_MS = 120
"""A place that the pointer only passes is not fetched."""


class Preview(QWidget):
    """Shows one hit; what the buttons at its foot ask for, the window does."""

    captions_wanted = Signal()
    similar_wanted = Signal()
    export_wanted = Signal()

    def __init__(self, theme: Theme, thumbnails: Thumbnails, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._theme = theme
        self.hit: SearchHit | None = None
        self._length_s, self._on = 0.0, False
        self._sought_s = 0.0
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._show_sought)
        self.player = Player(thumbnails.bridge.ask_drive, self)
        self.stage = Stage(theme, thumbnails)
        self.controls = PlayBar(theme)
        self.strip = Strip(theme)
        self.why = Why(theme)
        self.trouble = QLabel()
        self.trouble.setObjectName("muted")
        self.trouble.setWordWrap(True)
        self.again = QPushButton(self.tr("Try again"))
        self.again.setObjectName("link")
        self.again.clicked.connect(self._try_again)
        self._unplayable(False)
        self.transcript = Transcript(theme)
        self.captions = CaptionsPanel(theme)
        self.captions.closed.connect(lambda: self.show_captions(False))
        self.below = QStackedWidget()
        # It scrolls, so on a low screen it gives way to the reasons above.
        self.below.setMinimumHeight(12 * STEP)
        self.empty = QLabel(self.tr("Choose a moment to see it here."))
        self.empty.setObjectName("muted")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._assemble()
        self._connect()
        self.show_hit(None)

    def show_hit(self, hit: SearchHit | None) -> None:
        """Show a moment, or the invitation to choose one."""
        former, self.hit = self.hit, hit
        same_video = hit is not None and former is not None and hit.video == former.video
        if hit is not None and former is not None and hit.clip_id == former.clip_id:
            self._tell_why(hit)
            if self._on or hit.best_s == former.best_s:
                return  # a new answer never disturbs what is looked at
        self._settle.stop()
        self._body.setVisible(hit is not None)
        self.empty.setVisible(hit is None)
        self._unplayable(False)
        if hit is None:
            self.player.stop()
            return
        self.stage.show_still(Moment.of(hit))
        self.show_captions(False)
        if not same_video:
            self._length_s = 0.0
            self.player.stop()
            self.strip.show_curves({}, 0.0)
            self.show_lines(())
        self.player.show_moment(hit.video, hit.best_s, hit.start_s, hit.end_s)
        self.controls.show_range(hit.start_s, hit.end_s, max(hit.end_s, self._length_s))
        self._move(hit.best_s)
        self._tell_why(hit)

    def still_found(self, on: bool) -> None:
        """Whether the newest answer has this moment."""
        if self.hit is not None:
            self.why.show_hit(self.hit, found=on)

    def _tell_why(self, hit: SearchHit) -> None:
        self.why.show_hit(hit, found=True)
        self.transcript.mark(hit.words)

    def show_curves(self, curves: Mapping[str, Curve]) -> None:
        """The strip's four rows; the video is at least as long as its last second with a score."""
        last = max((second for curve in curves.values() for second, _ in curve), default=0.0)
        end = max(last, self.hit.end_s if self.hit is not None else 0.0)
        self._set_length(max(end, self._length_s))
        self.strip.show_curves(curves, self._length_s)

    def show_lines(self, lines: Sequence[Line]) -> None:
        """The transcript, with the words that the query shares marked."""
        self.transcript.show_lines(lines)

    def show_captions(self, on: bool) -> None:
        """The nearest captions in place of the words, and of the reasons, which leave them no room on a low screen."""
        self.below.setCurrentWidget(self.captions if on else self.transcript)
        for widget in (self.strip, self.why):
            widget.setVisible(not on)

    def play_or_pause(self) -> None:
        if self.hit is None:
            return
        screen = self.player.screen()
        if screen is not None:
            self.player.toggle()

    def _set_length(self, length_s: float) -> None:
        self._length_s = length_s
        self.controls.show_length(length_s)
        self.strip.set_length(length_s)

    def _move(self, at_s: float) -> None:
        self.controls.show_place(at_s)
        self.strip.set_position(at_s)

    def _assemble(self) -> None:
        self._body = QWidget()
        body = QVBoxLayout(self._body)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(3 * STEP)
        body.addWidget(self.stage)
        body.addWidget(self.controls)
        body.addWidget(self.trouble)
        body.addWidget(self.again, 0, Qt.AlignmentFlag.AlignLeft)
        body.addWidget(self.strip)
        body.addWidget(self.why)
        self.below.addWidget(self.transcript)
        self.below.addWidget(self.captions)
        body.addWidget(self.below, 1)
        foot = QHBoxLayout()
        foot.setSpacing(2 * STEP)
        self.buttons = {}
        for key, text, signal in (
            ("captions", self.tr("Similar captions"), self.captions_wanted),
            ("similar", self.tr("Similar moments"), self.similar_wanted),
            ("export", self.tr("Export…"), self.export_wanted),
        ):
            button = QPushButton(text)
            button.clicked.connect(signal)
            self.buttons[key] = button
            foot.addWidget(button)
        foot.addStretch(1)
        body.addLayout(foot)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4 * STEP, 4 * STEP, 4 * STEP, 3 * STEP)
        layout.addWidget(self._body, 1)
        layout.addWidget(self.empty, 1)

    def _connect(self) -> None:
        player, controls = self.player, self.controls
        self.stage.clicked.connect(self.play_or_pause)
        controls.play_wanted.connect(self.play_or_pause)
        controls.loop_wanted.connect(self._set_loop)
        controls.speed_wanted.connect(player.set_speed)
        controls.sought.connect(self._seek)
        self.strip.sought.connect(self._seek)
        self.transcript.sought.connect(self._seek)
        player.moved.connect(self._move)
        player.length.connect(self._set_length)
        player.playing.connect(self._playing)
        player.pictured.connect(self._show_playing)
        player.failed.connect(self._tell)

    def _playing(self, on: bool) -> None:
        self._on = on
        if self.player.over:
            self.stage.hide_screen()
        self.controls.show_playing(on)

    def _show_playing(self) -> None:
        screen = self.player.screen()
        if screen is not None:
            self.stage.show_screen(screen)

    def _set_loop(self, on: bool) -> None:
        self.player.looping = on

    def _seek(self, at_s: float) -> None:
        """Go there; what does not play shows its picture as soon as the pointer rests."""
        self.player.seek(at_s)
        self._sought_s = at_s
        self._settle.start()

    def _show_sought(self) -> None:
        if self.player.over and self.hit is not None:
            self.stage.show_still(Moment(self.hit.video, round(self._sought_s, 1)))

    def _tell(self, trouble: Trouble) -> None:
        self.trouble.setText(f"{trouble.sentence} {trouble.hint}")
        self._unplayable(True)

    def _unplayable(self, on: bool) -> None:
        self.trouble.setVisible(on)
        self.again.setVisible(on)

    def _try_again(self) -> None:
        self._unplayable(False)
        self.play_or_pause()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._theme.colours.panel))
