"""The results on screen: Qt's side of the places in `results_layout`, with pointer, keyboard and screen readers."""

from __future__ import annotations

from PySide6.QtCore import (
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QAccessible,
    QAccessibleEvent,
    QColor,
    QFocusEvent,
    QFontMetrics,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QRegion,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractItemView, QListView, QStyle, QStyleOptionViewItem, QWidget

from app.gui.cards import Cards
from app.gui.records import counted
from app.gui.results_layout import FOLD, HEADING, MARGIN, Placed, ResultsLayout
from app.gui.results_model import ResultsModel
from app.gui.scrubbing import Scrubbing
from app.gui.theme import BODY_PX, STEP, Theme, sized
from app.gui.thumbnails import Thumbnails
from m2hf_core.records import SearchHit

Index = QModelIndex | QPersistentModelIndex


class ResultsView(QListView):
    """`chosen` when a card becomes current, `opened` on Enter or a double click, `played` on Space.

    A list view only for whoever does not see it: Qt tells screen readers of the items of its own views, and of no
    other. Everything that a list view would measure, place or paint is answered here.
    """

    chosen = Signal(object)
    opened = Signal(object)
    played = Signal()

    def __init__(self, theme: Theme, thumbnails: Thumbnails, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("ground")
        self.setAccessibleName(self.tr("Results"))
        self._theme, self._thumbnails = theme, thumbnails
        self.results = ResultsModel()
        self.cards = Cards(theme, thumbnails, self)
        self.places = ResultsLayout()
        self.setModel(self.results)
        self.setItemDelegate(self.cards)
        self.setFrameShape(QAbstractItemView.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setDragEnabled(True)
        self.setMouseTracking(True)
        self.viewport().setMouseTracking(True)
        self.scrubbing = Scrubbing(self)
        self.results.sectioned.connect(self._arrange)
        self.results.dataChanged.connect(lambda *_: self.viewport().update())
        thumbnails.arrived.connect(lambda _: self.viewport().update())
        theme.changed.connect(self.viewport().update)
        self.activated.connect(lambda index: self.opened.emit(self.results.hit(index.row())))

    # What the window asks for.

    @property
    def list_form(self) -> bool:
        return self.cards.list_form

    def set_list_form(self, on: bool) -> None:
        """Rows instead of cards."""
        self.cards.list_form = on
        self._arrange()
        self.scrollTo(self.currentIndex())

    def current_hit(self) -> SearchHit | None:
        return self.results.hit(self.currentIndex().row())

    def visible_rows(self) -> list[int]:
        """The rows that are on screen, so that tests and pictures need not guess."""
        screen = self.viewport().rect().translated(0, self.verticalOffset())
        return [row for row, _ in self.places.rows_in(screen)]

    def unfold(self, on: bool) -> None:
        """Show or hide what is probably not wanted."""
        self.places.unfolded = on
        self._arrange()

    # Places.

    def _arrange(self) -> None:
        self.places.arrange(self.results.sections, self.viewport().width(), list_form=self.list_form)
        self.updateGeometries()
        self.viewport().update()

    def updateGeometries(self) -> None:  # noqa: N802
        bar = self.verticalScrollBar()
        bar.setPageStep(self.viewport().height())
        bar.setSingleStep(max(20, self.places.card_height // 4))
        bar.setRange(0, max(0, self.places.height - self.viewport().height()))
        QAbstractItemView.updateGeometries(self)

    def doItemsLayout(self) -> None:  # noqa: N802
        QAbstractItemView.doItemsLayout(self)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        QAbstractItemView.resizeEvent(self, event)
        self._arrange()

    def scrollContentsBy(self, dx: int, dy: int) -> None:  # noqa: N802
        self.viewport().update()

    def visualRect(self, index: Index) -> QRect:  # noqa: N802
        area = self.places.card(index.row()) if index.isValid() else QRect()
        return area if area.isNull() else area.translated(0, -self.verticalOffset())

    def scrollTo(  # noqa: N802
        self, index: Index, hint: QAbstractItemView.ScrollHint = QAbstractItemView.ScrollHint.EnsureVisible
    ) -> None:
        area = self.visualRect(index)
        if area.isNull():
            return
        bar, height = self.verticalScrollBar(), self.viewport().height()
        above = self.places.top_of(index.row())
        if area.top() < above:
            bar.setValue(bar.value() + area.top() - above)
        elif area.bottom() > height:
            bar.setValue(bar.value() + area.bottom() - height + STEP)

    def indexAt(self, point: QPoint) -> QModelIndex:  # noqa: N802
        row = self.places.row_at(point + QPoint(0, self.verticalOffset()))
        return QModelIndex() if row is None else self.results.index(row)

    def horizontalOffset(self) -> int:  # noqa: N802
        return 0

    def verticalOffset(self) -> int:  # noqa: N802
        return self.verticalScrollBar().value()

    def isIndexHidden(self, index: Index) -> bool:  # noqa: N802
        return self.places.card(index.row()).isNull()

    def moveCursor(  # noqa: N802
        self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier
    ) -> QModelIndex:
        row = self.currentIndex().row()
        if row < 0:
            return self.results.index(0) if self.results.rowCount() else QModelIndex()
        Action = QAbstractItemView.CursorAction
        page = self.places.page(self.viewport().height())
        last = self.places.last_shown()
        if action in (Action.MoveLeft, Action.MovePrevious):
            target = row - 1
        elif action in (Action.MoveRight, Action.MoveNext):
            target = row + 1
        elif action == Action.MoveHome:
            target = 0
        elif action == Action.MoveEnd:
            target = last
        else:
            lines = page if action in (Action.MovePageUp, Action.MovePageDown) else 1
            down = action in (Action.MoveDown, Action.MovePageDown)
            target = self.places.vertically(row, lines if down else -lines)
        return self.results.index(max(0, min(last, target)))

    def setSelection(  # noqa: N802
        self, rect: QRect, command: QItemSelectionModel.SelectionFlag
    ) -> None:
        area = rect.normalized().translated(0, self.verticalOffset())
        chosen = QItemSelection()
        for row, card in self.places.rows_in(area):
            if card.intersects(area):
                index = self.results.index(row)
                chosen.select(index, index)
        self.selectionModel().select(chosen, command)

    def visualRegionForSelection(self, selection: QItemSelection) -> QRegion:  # noqa: N802
        region = QRegion()
        for index in selection.indexes():
            region += QRegion(self.visualRect(index))
        return region

    # Painting.

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self.viewport())
        painter.fillRect(event.rect(), QColor(self._theme.colours.ground))
        painter.translate(0, -self.verticalOffset())
        screen = event.rect().translated(0, self.verticalOffset())
        option = QStyleOptionViewItem()
        self.initViewItemOption(option)
        selection = self.selectionModel()
        focused = self.currentIndex().row() if self.hasFocus() else -1
        for placed in self.places.placed:
            if placed.section.key:
                self._heading(painter, placed)
        for row, area in self.places.rows_in(screen):
            index = self.results.index(row)
            option.rect = area
            chosen = selection.isSelected(index)
            option.state = QStyle.StateFlag.State_Selected if chosen else QStyle.StateFlag.State_Enabled
            if row == focused:
                option.state |= QStyle.StateFlag.State_HasFocus
            self.cards.paint(painter, option, index)
        painter.end()

    def _heading(self, painter: QPainter, placed: Placed) -> None:
        colours = self._theme.colours
        width = self.viewport().width()
        area = QRect(MARGIN, placed.top, width - 2 * MARGIN, HEADING)
        quiet = placed.section.key == FOLD
        font = sized(self.font(), BODY_PX, bold=not quiet)
        painter.setFont(font)
        painter.setPen(QColor(colours.muted if quiet else colours.text))
        title = self._title(placed)
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(area, middle | Qt.AlignmentFlag.AlignLeft, title)
        count = counted(placed.section.count, self.tr("{} moment"), self.tr("{} moments"))
        plain = sized(self.font(), BODY_PX)
        painter.setFont(plain)
        painter.setPen(QColor(colours.muted))
        painter.drawText(area, middle | Qt.AlignmentFlag.AlignRight, count)
        left = area.left() + QFontMetrics(font).horizontalAdvance(title) + 2 * STEP
        right = area.right() - QFontMetrics(plain).horizontalAdvance(count) - 2 * STEP
        painter.setPen(QColor(colours.line))
        painter.drawLine(left, area.center().y(), right, area.center().y())

    def _title(self, placed: Placed) -> str:
        if placed.section.key == FOLD:
            sign = "▸" if placed.folded else "▾"
            if len(self.places.placed) == 1:
                return f"{sign} " + self.tr("Probably not in your library. The nearest moments")
            return f"{sign} " + self.tr("Probably not in your library")
        return {"likely": self.tr("Likely"), "maybe": self.tr("Maybe")}.get(
            placed.section.key, self.tr("More")
        )

    # Pointer, keyboard, screen readers.

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        place = event.position().toPoint() + QPoint(0, self.verticalOffset())
        fold = self.places.fold
        if fold is not None and fold.top <= place.y() < fold.cards_top:
            self.unfold(fold.folded)
            return
        super().mousePressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        """Qt makes the first card current but does not select it; here both are one."""
        super().focusInEvent(event)
        current = self.currentIndex()
        if current.isValid() and not self.selectionModel().hasSelection():
            self.selectionModel().select(current, QItemSelectionModel.SelectionFlag.Select)
        self._tell_screen_reader(current)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        key = event.key()
        if key == Qt.Key.Key_Space:
            self.played.emit()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if (hit := self.current_hit()) is not None:
                self.opened.emit(hit)
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Minus):
            self.unfold(key == Qt.Key.Key_Plus)
        else:
            super().keyPressEvent(event)

    def keyboardSearch(self, search: str) -> None:  # noqa: N802
        """Single letters are commands here, not a search for a title."""

    def currentChanged(self, current: Index, previous: Index) -> None:  # noqa: N802
        QAbstractItemView.currentChanged(self, current, previous)
        self._tell_screen_reader(current)
        self.chosen.emit(self.results.hit(current.row()))

    def selectionChanged(self, selected: QItemSelection, deselected: QItemSelection) -> None:  # noqa: N802
        QAbstractItemView.selectionChanged(self, selected, deselected)

    def _tell_screen_reader(self, current: Index) -> None:
        if QAccessible.isActive() and current.isValid() and self.hasFocus():
            event = QAccessibleEvent(self, QAccessible.Event.Focus)
            event.setChild(current.row())
            QAccessible.updateAccessibility(event)
