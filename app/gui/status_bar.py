"""The bottom line: what indexing does now, how fast, how long still, and what could not be read."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QPushButton, QWidget

from app.gui.records import Work, counted, scorer_name
from app.gui.theme import STATUS_HEIGHT, STEP

SHORTEST = 20 * STEP
PAUSED_BY = ("Paused", "Waiting")
"""How the reasons begin that the person has chosen: the pause, and the settings for battery and use."""


class StatusBar(QFrame):
    """Quiet while nothing is done."""

    pause_wanted = Signal()
    resume_wanted = Signal()
    retry_wanted = Signal()
    """Something stands in the way of indexing, and the person has dealt with it."""
    failures_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("status")
        self.setFixedHeight(STATUS_HEIGHT)
        self._work: Work | None = None
        self.doing = _Elided()
        self.doing.setObjectName("muted")
        self.bar = QProgressBar(textVisible=False)
        self.bar.setFixedSize(180, STEP)
        self.bar.setRange(0, 1000)
        self.bar.setAccessibleName(self.tr("Indexing"))
        self.pace = QLabel()
        self.pace.setObjectName("muted")
        self.pause = QPushButton(self.tr("Pause"))
        self.pause.clicked.connect(self._pause_or_resume)
        self.retry = QPushButton(self.tr("Try again"))
        self.retry.clicked.connect(self.retry_wanted)
        self.failures = QPushButton()
        self.failures.setObjectName("link")
        self.failures.clicked.connect(self.failures_wanted)
        self.models = _Elided()
        self.models.setObjectName("muted")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4 * STEP, 0, 4 * STEP, 0)
        layout.setSpacing(4 * STEP)
        for widget in (self.doing, self.bar, self.pace, self.pause, self.retry):
            layout.addWidget(widget, 0, Qt.AlignmentFlag.AlignVCenter)
        layout.addStretch(1)
        layout.addWidget(self.failures)
        layout.addWidget(self.models)
        self.show_work(None)
        self.show_failures(0)

    @property
    def working(self) -> bool:
        """Videos are being made searchable at this moment."""
        return self._work is not None and self._work.state == "working"

    @property
    def paused(self) -> bool:
        """Somebody wished that nothing goes on, or the settings did."""
        return self._work is not None and self._work.state == "paused" and not _is_stuck(self._work)

    def show_work(self, work: Work | None) -> None:
        """What goes on now; None when nothing does."""
        self._work = work
        working = self.working
        stuck = work is not None and _is_stuck(work)
        paused = self.paused
        self.bar.setVisible(working or paused)
        self.pace.setVisible(working)
        self.pause.setVisible(working or paused)
        self.retry.setVisible(stuck)
        self.doing.setText("" if work is None else self._sentence(work))
        self.doing.setToolTip("" if work is None else work.why or self.doing.text())
        if work is None:
            return
        self.bar.setRange(0, 1000 if work.share is not None else 0)
        if work.share is not None:
            self.bar.setValue(round(1000 * work.share))
        self.pace.setText(self._pace(work))
        self.pause.setText(self.tr("Resume") if paused else self.tr("Pause"))

    def _sentence(self, work: Work) -> str:
        if work.state == "working":
            stages = {
                "probe": self.tr("Opening {}"),
                "decode": self.tr("Watching {}"),
                "clip": self.tr("Watching {}"),
                "audio": self.tr("Listening to {}"),
                "vggish": self.tr("Listening to {}"),
                "s3d": self.tr("Following {}"),
                "speech": self.tr("Reading the words of {}"),
            }
            if not work.file:
                return self.tr("Loading the models")
            return stages.get(work.stage, self.tr("Working on {}")).format(work.file)
        if _is_stuck(work):
            return work.why
        return {
            "starting": self.tr("Opening the library"),
            "scanning": self.tr("Looking through the folders"),
            "paused": self.tr("Paused"),
        }.get(work.state, work.why)

    def show_failures(self, count: int) -> None:
        self.failures.setVisible(count > 0)
        self.failures.setText(
            counted(count, self.tr("{} file could not be read"), self.tr("{} files could not be read"))
        )

    def show_models(self, preset: str, scorer: str) -> None:
        """Which networks are in use, and which scorer."""
        self.models.setText(f"{preset} · {self.tr('scorer')} “{scorer_name(scorer)}”")
        self.models.setToolTip(scorer)

    def _pace(self, work: Work) -> str:
        parts = []
        if work.factor > 0:
            parts.append(self.tr("{:.1f}× real time").format(work.factor))
        if work.left_s is not None:
            minutes = round(work.left_s / 60)
            parts.append(
                self.tr("{} min left").format(minutes) if minutes else self.tr("less than a minute left")
            )
        return " · ".join(parts)

    def _pause_or_resume(self) -> None:
        if self._work is not None and self._work.state == "paused":
            self.resume_wanted.emit()
        else:
            self.pause_wanted.emit()


class _Elided(QLabel):
    """Gives way on a narrow window, by leaving out the middle of its words; the window never becomes wider for them."""

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        hint = super().minimumSizeHint()
        return QSize(min(hint.width(), SHORTEST), hint.height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        words = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideMiddle, self.width())
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, words)


def _is_stuck(work: Work) -> bool:
    """Indexing cannot go on by itself: a full disk, a worker that fails, another program. A pause is no trouble."""
    if work.state == "paused":
        return not work.why.startswith(PAUSED_BY)
    return work.state in ("failed", "idle") and bool(work.why)
