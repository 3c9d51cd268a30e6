"""Paints a result: a picture of the best moment, its time, title, range, and the branches that found it."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QFontMetrics, QHelpEvent, QPainter, QPen, QPixmap, QTransform
from PySide6.QtWidgets import (
    QAbstractItemView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolTip,
    QWidget,
)

from app.gui.records import Moment, clock
from app.gui.results_model import HIT
from app.gui.theme import BADGE_RADIUS, BODY_PX, CARD_RADIUS, PICTURE_RADIUS, SMALL_PX, STEP, Theme, sized
from app.gui.thumbnails import Thumbnails
from m2hf_core.records import BranchHit, CaptionHit, SearchHit

PADDING = 2 * STEP
TEXT_HEIGHT = 64
"""Title, range and badges, below the picture."""
BADGES = 3


class Cards(QStyledItemDelegate):
    """Draws cards in a grid, or rows with a small picture when `list_form` is set."""

    def __init__(self, theme: Theme, thumbnails: Thumbnails, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme, self._thumbnails = theme, thumbnails
        self.list_form = False
        self.scrubbed: tuple[int, float] | None = None
        """Row under the pointer, and the second of its video to show."""

    def sizeHint(  # noqa: N802
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        return option.rect.size()

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        hit = index.data(HIT)
        if not isinstance(hit, SearchHit):
            return
        painter.save()
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        area: QRect = option.rect
        self._frame(painter, area, option)
        at_s = hit.best_s
        if self.scrubbed is not None and self.scrubbed[0] == index.row():
            at_s = self.scrubbed[1]
        picture = self._picture_area(area)
        self._picture(painter, picture, Moment(hit.video, round(at_s, 1)), hit)
        self._time(painter, picture, at_s)
        if self.list_form:
            left = picture.right() + 3 * STEP
            words = QRect(left, area.top() + 2 * STEP, area.right() - left - PADDING, area.height())
        else:
            words = QRect(picture.left(), picture.bottom() + 6, picture.width(), TEXT_HEIGHT)
        self._words(painter, words, hit)
        painter.restore()

    def helpEvent(  # noqa: N802
        self,
        event: QHelpEvent,
        view: QAbstractItemView,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> bool:
        """No tip lies over the picture, which is scrubbed there."""
        if self._picture_area(option.rect).contains(event.pos()):
            QToolTip.hideText()
            return True
        return super().helpEvent(event, view, option, index)

    def _picture_area(self, area: QRect) -> QRect:
        if self.list_form:
            height = area.height() - 2 * STEP
            return QRect(area.left() + STEP, area.top() + STEP, height * 16 // 9, height)
        width = area.width() - 2 * PADDING
        return QRect(area.left() + PADDING, area.top() + PADDING, width, width * 9 // 16)

    def _frame(self, painter: QPainter, area: QRect, option: QStyleOptionViewItem) -> None:
        state = option.state
        colours = self._theme.colours
        if not state & QStyle.StateFlag.State_Selected:
            return
        painter.setBrush(QColor(colours.raised))
        painter.setPen(QPen(QColor(colours.accent), 3.0 if state & QStyle.StateFlag.State_HasFocus else 1.5))
        painter.drawRoundedRect(QRectF(area).adjusted(1, 1, -1, -1), CARD_RADIUS, CARD_RADIUS)

    def _picture(self, painter: QPainter, area: QRect, moment: Moment, hit: SearchHit) -> None:
        pixmap = self._thumbnails.get(moment)
        if (pixmap is None or pixmap.isNull()) and moment != Moment.of(hit):
            pixmap = self._thumbnails.get(Moment.of(hit))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self._theme.colours.line))
        if pixmap is None or pixmap.isNull():
            painter.drawRoundedRect(QRectF(area), PICTURE_RADIUS, PICTURE_RADIUS)
            return
        draw_covering(painter, QRectF(area), pixmap, PICTURE_RADIUS)

    def _time(self, painter: QPainter, picture: QRect, at_s: float) -> None:
        text = clock(at_s)
        font = sized(painter.font(), SMALL_PX + 1)
        metrics = QFontMetrics(font)
        width, height = metrics.horizontalAdvance(text) + 3 * STEP, metrics.height() + 2
        label = QRect(picture.right() - width - STEP, picture.bottom() - height - STEP, width, height)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 190))
        painter.drawRoundedRect(QRectF(label), BADGE_RADIUS, BADGE_RADIUS)
        painter.setPen(QColor("#FFFFFF"))
        painter.setFont(font)
        painter.drawText(label, Qt.AlignmentFlag.AlignCenter, text)

    def _words(self, painter: QPainter, area: QRect, hit: SearchHit) -> None:
        colours = self._theme.colours
        title = sized(painter.font(), BODY_PX, bold=True)
        title.setWeight(title.Weight.Medium)
        painter.setFont(title)
        painter.setPen(QColor(colours.text))
        metrics = QFontMetrics(title)
        line = QRect(area.left(), area.top(), area.width(), metrics.height())
        name = metrics.elidedText(hit.video.name, Qt.TextElideMode.ElideMiddle, area.width())
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, name)
        plain = sized(painter.font(), BODY_PX)
        painter.setFont(plain)
        painter.setPen(QColor(colours.muted))
        line.translate(0, metrics.height() + 1)
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft, f"{clock(hit.start_s)} – {clock(hit.end_s)}")
        draw_badges(painter, QPointF(area.left(), line.bottom() + STEP), area.width(), hit, self._theme)


def draw_covering(painter: QPainter, area: QRectF, pixmap: QPixmap, radius: float) -> None:
    """The picture over the whole area, cut at its longer sides, with round corners."""
    scale = max(area.width() / pixmap.width(), area.height() / pixmap.height())
    left = area.center().x() - pixmap.width() * scale / 2
    top = area.center().y() - pixmap.height() * scale / 2
    brush = QBrush(pixmap)
    brush.setTransform(QTransform(scale, 0, 0, scale, left, top))
    painter.setBrush(brush)
    painter.drawRoundedRect(area, radius, radius)


def badges_of(hit: SearchHit | CaptionHit) -> list[tuple[str, BranchHit, bool]]:
    """(lane, its view, whether it won), at most three, the best rank first."""
    found = [(name, seen, name in hit.won_by) for name, seen in hit.branches.items() if seen is not None]
    return sorted(found, key=lambda badge: (not badge[2], badge[1].rank))[:BADGES]


def draw_badges(
    painter: QPainter, at: QPointF, width: float, hit: SearchHit | CaptionHit, theme: Theme
) -> None:
    """`#1 audio` and so on; the winner is bold, and each carries its word beside its colour."""
    colours = theme.colours
    x = at.x()
    for lane, seen, won in badges_of(hit):
        font = sized(painter.font(), SMALL_PX + 1, bold=won)
        metrics = QFontMetrics(font)
        text = f"#{seen.rank} {lane}"
        badge = QRectF(x, at.y(), metrics.horizontalAdvance(text) + 3 * STEP, metrics.height() + 3)
        if badge.right() > at.x() + width:
            return
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colours.wash(lane, over=colours.raised))
        painter.drawRoundedRect(badge, BADGE_RADIUS, BADGE_RADIUS)
        painter.setPen(colours.ink(lane))
        painter.setFont(font)
        painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, text)
        x = badge.right() + STEP + 2
