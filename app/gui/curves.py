"""How a training goes: the loss of each branch over the steps, and how many held-out moments come first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.gui.theme import SMALL_PX, STEP, Theme, sized

if TYPE_CHECKING:
    from app.services.own_training import Figures

Points = Sequence[tuple[int, float]]
SCALE_WIDTH = 7 * STEP
WIDTHS = (6.0, 4.5, 3.0, 1.5)
"""Of the pens of four curves: where they lie on each other, each can still be seen below the next."""


class Curves(QWidget):
    """Two small charts side by side over the same steps."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._figures: Figures | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("How the training goes"))
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(100 * STEP, 40 * STEP)

    def show_figures(self, figures: Figures | None) -> None:
        """Also told in words, for whoever cannot see the curves."""
        self._figures = figures
        self.setAccessibleDescription(self.last())
        self.update()

    def last(self) -> str:
        """The newest figures in words."""
        figures = self._figures
        if figures is None or not figures.loss:
            return ""
        step, loss = figures.loss[-1]
        words = self.tr("Step {}, loss {:.2f}").format(step, loss)
        if figures.found:
            words += self.tr(" · {:.0f} % of the held-out moments come first").format(figures.found[-1][1])
        return words

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = self._theme.colours
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.raised))
        painter.drawRoundedRect(QRectF(self.rect()), 10, 10)
        between = 6 * STEP
        half = (self.width() - 6 * STEP - between) / 2
        left = QRectF(3 * STEP, 3 * STEP, half, self.height() - 6 * STEP)
        right = left.translated(half + between, 0)
        figures = self._figures
        last = figures.loss[-1][0] if figures is not None and figures.loss else 1
        branches = dict(figures.branches) if figures is not None else {}
        found = figures.found if figures is not None else ()
        loss = [(name, QColor(colours.branch(name)), curve) for name, curve in branches.items()]
        self._chart(painter, left, self.tr("Loss"), loss, last, None)
        first = self.tr("Held-out moments found first (%)")
        self._chart(painter, right, first, [("", QColor(colours.accent), found)], last, 100.0)

    def _chart(
        self,
        painter: QPainter,
        area: QRectF,
        title: str,
        curves: Sequence[tuple[str, QColor, Points]],
        last: int,
        top: float | None,
    ) -> None:
        """One chart over the steps so far: from zero to `top`, or between the lowest and the highest value."""
        colours = self._theme.colours
        painter.setFont(sized(self.font(), SMALL_PX))
        painter.setPen(QColor(colours.muted))
        head = QRectF(area.left(), area.top(), area.width(), 5 * STEP)
        painter.drawText(head, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop, title)
        plot = area.adjusted(SCALE_WIDTH, 6 * STEP, -STEP, -4 * STEP)
        values = [value for _, _, curve in curves for _, value in curve]
        low, high = (0.0, top) if top is not None else _limits(values)
        if values:
            words = (f"{low:.0f}", f"{high:.0f}") if top is not None else (f"{low:.2f}", f"{high:.2f}")
            self._scale(painter, plot, words, last)
        painter.setPen(QPen(QColor(colours.line), 1))
        painter.drawLine(plot.bottomLeft(), plot.bottomRight())
        for width, (_, colour, curve) in zip(WIDTHS[-len(curves) :], curves, strict=False):
            points = [
                QPointF(
                    plot.left() + step / max(1, last) * plot.width(),
                    plot.bottom() - (value - low) / (high - low) * plot.height(),
                )
                for step, value in curve
            ]
            painter.setPen(QPen(colour, width))
            painter.drawPolyline(QPolygonF(points))
            if points:
                painter.setBrush(colour)
                painter.drawEllipse(points[-1], 2.5, 2.5)
                painter.setBrush(Qt.BrushStyle.NoBrush)
        self._newest(painter, head, curves, whole=top is not None)

    def _scale(self, painter: QPainter, plot: QRectF, limits: tuple[str, str], last: int) -> None:
        """The values at the top and bottom, a thin line for the top, and how many steps there have been."""
        colours = self._theme.colours
        beside = QRectF(plot.left() - SCALE_WIDTH, plot.top() - 2 * STEP, SCALE_WIDTH - STEP, 4 * STEP)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(beside.translated(0, plot.height()), right, limits[0])
        painter.drawText(beside, right, limits[1])
        below = QRectF(plot.left(), plot.bottom() + STEP / 2, plot.width(), 4 * STEP)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop, "0")
        steps = self.tr("step {}").format(last)
        painter.drawText(below, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop, steps)
        painter.setPen(QPen(QColor(colours.line), 1, Qt.PenStyle.DotLine))
        painter.drawLine(plot.topLeft(), plot.topRight())

    def _newest(
        self,
        painter: QPainter,
        head: QRectF,
        curves: Sequence[tuple[str, QColor, Points]],
        *,
        whole: bool,
    ) -> None:
        """The last value of each curve at the right of the head, with its branch in the branch's colour."""
        place = QRectF(head)
        for name, _, curve in reversed(curves):
            if not curve:
                continue
            value = f"{curve[-1][1]:.0f}" if whole else f"{curve[-1][1]:.2f}"
            words = f"{name} {value}" if name else value
            painter.setPen(self._theme.colours.ink(name) if name else QColor(self._theme.colours.text))
            painter.drawText(place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop, words)
            place.setRight(place.right() - painter.fontMetrics().horizontalAdvance(words) - 2 * STEP)


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Around all values, and never so near that noise would fill the chart."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    room = max(0.05 * abs(high), 1e-3) - (high - low)
    return (low - room / 2, high + room / 2) if room > 0 else (low, high)
