"""The right column: the moment itself, where else the video matches, why it was found, and what is said in it."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from PySide6.QtCore import QRectF, QSize, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QTextBrowser,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.gui.captions_panel import CaptionsPanel
from app.gui.cards import draw_covering
from app.gui.icons import icon
from app.gui.player import SPEEDS, Player
from app.gui.receipts import explanation, headline, in_full
from app.gui.records import Moment, Trouble, clock
from app.gui.strip import Curve, SeekBar, Strip
from app.gui.theme import PICTURE_RADIUS, STEP, Theme
from app.gui.thumbnails import Thumbnails
from m2hf_core.records import Line, SearchHit

SETTLE_MS = 120
"""A place that the pointer only passes is not fetched."""


class Stage(QWidget):
    """16 by 9: the still picture of the moment until it plays."""

    clicked = Signal()

    def __init__(self, theme: Theme, thumbnails: Thumbnails, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._thumbnails = theme, thumbnails
        self._moment: Moment | None = None
        self._last: QPixmap | None = None
        """What was painted last; it stays until the picture of another place in the same video is there."""
        self._screen: QWidget | None = None
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        thumbnails.arrived.connect(lambda moment: self.update() if moment == self._moment else None)
        theme.changed.connect(self.update)

    def hasHeightForWidth(self) -> bool:  # noqa: N802
        return True

    def heightForWidth(self, width: int) -> int:  # noqa: N802
        return width * 9 // 16

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(368, 207)

    def show_still(self, moment: Moment) -> None:
        if self._moment is None or self._moment.video != moment.video:
            self._last = None
        self._moment = moment
        self.hide_screen()
        self.update()

    def hide_screen(self) -> None:
        """The still again: the player's own picture is black before the first frame and after the last."""
        if self._screen is not None:
            self._screen.hide()

    def show_screen(self, screen: QWidget) -> None:
        """Put the player's picture over the still."""
        if self._screen is None:
            self._screen = screen
            screen.setParent(self)
            screen.setGeometry(self.rect())
        screen.show()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        if self._screen is not None:
            self._screen.setGeometry(self.rect())

    def mousePressEvent(self, event: object) -> None:  # noqa: N802
        self.clicked.emit()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self._theme.colours.raised))
        painter.drawRoundedRect(QRectF(self.rect()), PICTURE_RADIUS, PICTURE_RADIUS)
        picture = self._thumbnails.get(self._moment) if self._moment is not None else None
        if picture is None:
            picture = self._last
        self._last = picture
        if picture is not None and not picture.isNull():
            draw_covering(painter, QRectF(self.rect()), picture, PICTURE_RADIUS)


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
        self._lines: Sequence[Line] = ()
        self._length_s, self._on = 0.0, False
        self._found = True
        self._sought_s = 0.0
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._show_sought)
        self.player = Player(thumbnails.bridge.ask_drive, self)
        self.stage = Stage(theme, thumbnails)
        self.seek = SeekBar(theme)
        self.strip = Strip(theme)
        self.play = self._button(self.tr("Play or pause (Space)"))
        self.at = QLabel("0:00")
        self.length = QLabel()
        self.length.setObjectName("muted")
        self.speed = self._button(self.tr("Speed"))
        self.speed.setText("1×")
        self.speed.setAccessibleName(self.tr("Speed {}").format("1×"))
        self.loop = self._button(self.tr("Loop the moment"))
        self.loop.setCheckable(True)
        self.receipt = QLabel()
        self.receipt.setWordWrap(True)
        self.receipt.setTextFormat(Qt.TextFormat.RichText)
        self.unfold = QPushButton(self.tr("All branches"))
        self.unfold.setObjectName("link")
        self.unfold.setCheckable(True)
        self.full = QLabel()
        self.full.setTextFormat(Qt.TextFormat.RichText)
        self.full.setWordWrap(True)
        self.full.hide()
        self.trouble = QLabel()
        self.trouble.setObjectName("muted")
        self.trouble.setWordWrap(True)
        self.again = QPushButton(self.tr("Try again"))
        self.again.setObjectName("link")
        self.again.clicked.connect(self._try_again)
        self._unplayable(False)
        self.transcript = QTextBrowser()
        self.transcript.setOpenLinks(False)
        self.transcript.document().setDocumentMargin(0)
        self.transcript.setAccessibleName(self.tr("What is said"))
        self.captions = CaptionsPanel(theme)
        self.captions.closed.connect(lambda: self.show_captions(False))
        self.below = QStackedWidget()
        self.empty = QLabel(self.tr("Choose a moment to see it here."))
        self.empty.setObjectName("muted")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._assemble()
        self._connect()
        theme.changed.connect(self._dress)
        self._dress()
        self.show_hit(None)

    def show_hit(self, hit: SearchHit | None) -> None:
        """Show a moment, or the invitation to choose one."""
        former, self.hit, self._found = self.hit, hit, True
        same_video = hit is not None and former is not None and hit.video == former.video
        if hit is not None and former is not None and hit.clip_id == former.clip_id:
            self._write_receipt()
            self._write_lines()
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
            self.player.stop()
            self.strip.show_curves({}, 0.0)
            self.show_lines(())
        self.player.show_moment(hit.video, hit.best_s, hit.start_s, hit.end_s)
        self.seek.show_range(hit.start_s, hit.end_s, max(hit.end_s, self._known_length(same_video)))
        self._move(hit.best_s)
        self._write_receipt()

    def still_found(self, on: bool) -> None:
        """Whether the newest answer has this moment; why it stood in a former one is not told as if it did now."""
        self._found = on
        self._write_receipt()

    def show_curves(self, curves: Mapping[str, Curve]) -> None:
        """The strip's four rows; the video is at least as long as its last second with a score."""
        last = max((second for curve in curves.values() for second, _ in curve), default=0.0)
        end = max(last, self.hit.end_s if self.hit is not None else 0.0)
        self._set_length(max(end, self._length_s))
        self.strip.show_curves(curves, self._length_s)

    def show_lines(self, lines: Sequence[Line]) -> None:
        """The transcript, with the words that the query shares marked."""
        self._lines = lines
        self._write_lines()

    def show_captions(self, on: bool) -> None:
        """The nearest captions in place of the words, and of the reasons, which leave them no room on a low screen."""
        self.below.setCurrentWidget(self.captions if on else self.transcript)
        for widget in (self.strip, self.receipt, self.unfold):
            widget.setVisible(not on)
        self.full.setVisible(not on and self.unfold.isChecked())

    def play_or_pause(self) -> None:
        if self.hit is None:
            return
        screen = self.player.screen()
        if screen is not None:
            self.player.toggle()

    def _known_length(self, same_video: bool) -> float:
        if not same_video:
            self._length_s = 0.0
        return self._length_s

    def _set_length(self, length_s: float) -> None:
        self._length_s = length_s
        self.length.setText(clock(length_s))
        self.seek.set_length(length_s)
        self.strip.set_length(length_s)

    def _move(self, at_s: float) -> None:
        self.at.setText(clock(at_s))
        self.seek.set_position(at_s)
        self.strip.set_position(at_s)

    def _assemble(self) -> None:
        self._body = QWidget()
        body = QVBoxLayout(self._body)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(3 * STEP)
        controls = QHBoxLayout()
        controls.setSpacing(2 * STEP)
        for widget in (self.play, self.at, self.seek, self.length, self.speed, self.loop):
            controls.addWidget(widget, 1 if widget is self.seek else 0)
        body.addWidget(self.stage)
        body.addLayout(controls)
        body.addWidget(self.trouble)
        body.addWidget(self.again, 0, Qt.AlignmentFlag.AlignLeft)
        body.addWidget(self.strip)
        body.addWidget(self.receipt)
        body.addWidget(self.unfold, 0, Qt.AlignmentFlag.AlignLeft)
        body.addWidget(self.full)
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
        self.stage.clicked.connect(self.play_or_pause)
        self.play.clicked.connect(self.play_or_pause)
        self.loop.toggled.connect(self._set_loop)
        self.speed.clicked.connect(self._next_speed)
        self.seek.sought.connect(self._seek)
        self.strip.sought.connect(self._seek)
        self.player.moved.connect(self._move)
        self.player.length.connect(self._set_length)
        self.player.playing.connect(self._playing)
        self.player.pictured.connect(self._show_playing)
        self.player.failed.connect(self._tell)
        self.unfold.toggled.connect(self.full.setVisible)
        self.transcript.anchorClicked.connect(self._go_to)

    def _playing(self, on: bool) -> None:
        self._on = on
        if self.player.over:
            self.stage.hide_screen()
        self._dress_play()

    def _show_playing(self) -> None:
        screen = self.player.screen()
        if screen is not None:
            self.stage.show_screen(screen)

    def _set_loop(self, on: bool) -> None:
        self.player.looping = on

    def _next_speed(self) -> None:
        shown = [f"{speed:g}×" for speed in SPEEDS]
        following = (shown.index(self.speed.text()) + 1) % len(SPEEDS)
        self.speed.setText(shown[following])
        self.speed.setAccessibleName(self.tr("Speed {}").format(shown[following]))
        self.player.set_speed(SPEEDS[following])

    def _go_to(self, link: QUrl) -> None:
        self._seek(float(link.toString().removeprefix("at:")))

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

    def _button(self, name: str) -> QToolButton:
        button = QToolButton()
        button.setAccessibleName(name)
        button.setToolTip(name)
        button.setIconSize(QSize(18, 18))
        return button

    def _write_receipt(self) -> None:
        if self.hit is None:
            return
        self.unfold.setEnabled(self._found)
        if not self._found:
            self.receipt.setText(html.escape(self.tr("This moment is not among what is found now.")))
            self.full.clear()
            return
        colours = self._theme.colours
        lane = self.hit.won_by[0] if self.hit.won_by else ""
        style = f"color:{colours.ink(lane).name()};font-weight:600"
        start = f'<span style="{style}">{html.escape(headline(self.hit))}</span>'
        self.receipt.setText(f"{start} — {html.escape(explanation(self.hit))}")
        rows = "".join(
            f'<tr><td style="color:{colours.ink(name).name()};padding-right:12px">{html.escape(name)}</td>'
            f"<td>{html.escape(text)}</td></tr>"
            for name, text in in_full(self.hit)
        )
        self.full.setText(f"<table>{rows}</table>")

    def _write_lines(self) -> None:
        colours = self._theme.colours
        words = self.hit.words if self.hit is not None else ()
        wash = colours.wash("speech", over=colours.panel).name()
        rows = []
        for line in self._lines:
            text = _marked(line.text, words, f"background-color:{wash};color:{colours.text}")
            rows.append(
                f'<tr><td style="padding-right:10px"><a href="at:{line.start_s:.2f}" '
                f'style="color:{colours.muted};text-decoration:none">{clock(line.start_s)}</a></td>'
                f'<td style="color:{colours.muted}">{text}</td></tr>'
            )
        self.transcript.setHtml(f'<table cellspacing="0" cellpadding="2">{"".join(rows)}</table>')

    def _dress(self) -> None:
        self.loop.setIcon(icon("loop", self._theme.colours.muted))
        self._dress_play()
        self._write_receipt()
        self._write_lines()

    def _dress_play(self) -> None:
        self.play.setIcon(icon("pause" if self._on else "play", self._theme.colours.text))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._theme.colours.panel))


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
