"""The picture of the chosen moment: a still until the player has a frame, and again after its last one."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.gui.cards import draw_covering
from app.gui.records import Moment
from app.gui.theme import PICTURE_RADIUS, Theme
from app.gui.thumbnails import Thumbnails


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
