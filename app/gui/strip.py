"""The query's score over the time of the video, a row per branch, with one cursor; and the seek bar above it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.gui.theme import SMALL_PX, STEP, Theme, sized
from m2hf_core.records import BRANCHES

Curve = Sequence[tuple[float, float]]
ROW, LABEL = 8 * STEP - 2, 14 * STEP
KEY_STEP_S = 5.0


class Timed(QWidget):
    """Something drawn over the time of a video, with the player's position in it. `sought` in seconds."""

    sought = Signal(float)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._at_s, self._length_s = 0.0, 0.0
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        theme.changed.connect(self.update)

    def set_length(self, length_s: float) -> None:
        self._length_s = length_s
        self.update()

    def set_position(self, at_s: float) -> None:
        self._at_s = at_s
        self.update()

    def _share(self, second: float) -> float:
        """Where a second lies in the video, 0 to 1."""
        return min(1.0, max(0.0, second / self._length_s)) if self._length_s > 0 else 0.0

    def _seek_to(self, share: float) -> None:
        if self._length_s > 0:
            self.sought.emit(min(1.0, max(0.0, share)) * self._length_s)


class SeekBar(Timed):
    """A thin line with the matched range on it."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(theme, parent)
        self._range = (0.0, 0.0)
        self.setFixedHeight(5 * STEP)
        self.setMinimumWidth(60)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Position"))

    def show_range(self, start_s: float, end_s: float, length_s: float) -> None:
        self._range, self._length_s = (start_s, end_s), length_s
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        colours = self._theme.colours
        middle = self.height() / 2
        painter.setBrush(QColor(colours.line))
        painter.drawRoundedRect(QRectF(0, middle - 2, self.width(), 4), 2, 2)
        if self._length_s <= 0:
            return
        accent = QColor(colours.accent)
        left, right = (self._x(second) for second in self._range)
        accent.setAlpha(150)
        painter.setBrush(accent)
        painter.drawRect(QRectF(left, middle - 2, max(2.0, right - left), 4))
        accent.setAlpha(255)
        painter.setBrush(accent)
        painter.drawEllipse(QPointF(self._x(self._at_s), middle), 5.5, 5.5)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(accent, 1.5))
            painter.drawEllipse(QPointF(self._x(self._at_s), middle), 8.5, 8.5)

    def _x(self, second: float) -> float:
        return 6 + self._share(second) * (self.width() - 12)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self._seek(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._seek(event.position().x())

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        step = {Qt.Key.Key_Left: -KEY_STEP_S, Qt.Key.Key_Right: KEY_STEP_S}.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
        else:
            self.sought.emit(max(0.0, min(self._length_s, self._at_s + step)))

    def _seek(self, x: float) -> None:
        self._seek_to((x - 6) / max(1, self.width() - 12))


class Strip(Timed):
    """Four rows; a branch that abstains has an empty one."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(theme, parent)
        self._curves: Mapping[str, Curve] = {}
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Where in the video each branch finds the query"))

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(300, len(BRANCHES) * ROW + 3 * STEP)

    def show_curves(self, curves: Mapping[str, Curve], length_s: float) -> None:
        self._curves, self._length_s = curves, length_s
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = self._theme.colours
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.raised))
        painter.drawRoundedRect(QRectF(self.rect()), 10, 10)
        painter.setFont(sized(self.font(), SMALL_PX + 1))
        for row, branch in enumerate(BRANCHES):
            top = 2 * STEP + row * ROW
            painter.setPen(colours.ink(branch))
            painter.drawText(
                QRectF(2.5 * STEP, top, LABEL, ROW - STEP),
                Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft,
                branch.value,
            )
            area = QRectF(LABEL + 2 * STEP, top, self.width() - LABEL - 4.5 * STEP, ROW - STEP)
            self._row(painter, area, branch.value)
        if self._length_s > 0 and any(self._curves.values()):
            x = LABEL + 2 * STEP + self._share(self._at_s) * (self.width() - LABEL - 4.5 * STEP)
            painter.setPen(QPen(QColor(colours.text), 1.5))
            painter.drawLine(QPointF(x, 1.5 * STEP), QPointF(x, self.height() - 1.5 * STEP))

    def _row(self, painter: QPainter, area: QRectF, branch: str) -> None:
        colours = self._theme.colours
        curve = self._curves.get(branch) or ()
        colour = QColor(colours.branch(branch))
        if not curve or self._length_s <= 0:
            painter.setPen(QPen(QColor(colours.line), 1))
            painter.drawLine(area.bottomLeft(), area.bottomRight())
            return
        low = min(score for _, score in curve)
        spread = max(score for _, score in curve) - low
        height = area.height() - 2
        points = [
            QPointF(
                area.left() + self._share(second) * area.width(),
                area.bottom() - ((score - low) / spread * height if spread > 0 else 0.0),
            )
            for second, score in curve
        ]
        points = [QPointF(area.left(), points[0].y()), *points, QPointF(area.right(), points[-1].y())]
        wash = QColor(colour)
        wash.setAlpha(90)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(wash)
        painter.drawPolygon(QPolygonF([*points, area.bottomRight(), area.bottomLeft()]))
        painter.setPen(QPen(colour, 1.5))
        painter.drawPolyline(QPolygonF(points))

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        left, width = LABEL + 2 * STEP, self.width() - LABEL - 4.5 * STEP
        self._seek_to((event.position().x() - left) / max(1.0, width))
