"""The results: cards in a grid or rows in a list, under section headings; every position is arithmetic.

Qt's own list view has neither headings across the columns nor equal cards that fill the width, and it measures items
one by one; here ten thousand results cost as much as ten, since only what is on screen is ever looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from PySide6.QtCore import (
    QEvent,
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
from PySide6.QtWidgets import QAbstractItemView, QStyle, QStyleOptionViewItem, QWidget

from app.gui.cards import PADDING, TEXT_HEIGHT, Cards
from app.gui.records import counted
from app.gui.results_model import ResultsModel, Section
from app.gui.theme import BODY_PX, STEP, Theme, sized
from app.gui.thumbnails import Thumbnails
from m2hf_core.records import SearchHit

MARGIN, GAP, HEADING, ROW_HEIGHT = 4 * STEP, 2 * STEP, 8 * STEP, 18 * STEP
CARD_WIDTH = 220
"""The least; cards share what is left of a row."""
SCRUBS = 8
"""Pictures that hovering shows of one clip."""
Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True, slots=True)
class Placed:
    """A section with where it begins, in pixels from the top of everything."""

    section: Section
    top: int
    cards_top: int
    bottom: int
    folded: bool


class ResultsView(QAbstractItemView):
    """`chosen` when a card becomes current, `opened` on Enter or a double click, `played` on Space."""

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
        self._placed: list[Placed] = []
        self._unfolded: bool | None = None
        """Whether what is probably not wanted is shown. None, until somebody has said so: where it is all there is."""
        self._columns, self._card_width, self._card_height = 1, CARD_WIDTH, 200
        self.setModel(self.results)
        self.setItemDelegate(self.cards)
        self.setFrameShape(QAbstractItemView.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setDragEnabled(True)
        self.setMouseTracking(True)
        self.viewport().setMouseTracking(True)
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
        return [row for placed in self._placed for row, _ in self._rows_in(placed, screen)]

    # Geometry.

    def _arrange(self) -> None:
        width = self.viewport().width() - 2 * MARGIN
        if self.list_form:
            self._columns, self._card_width, self._card_height = 1, width, ROW_HEIGHT
        else:
            self._columns = max(1, (width + GAP) // (CARD_WIDTH + GAP))
            self._card_width = max(80, (width - (self._columns - 1) * GAP) // self._columns)
            picture = (self._card_width - 2 * PADDING) * 9 // 16
            self._card_height = PADDING + picture + 6 + TEXT_HEIGHT
        self._placed = []
        y = 0
        for section in self.results.sections:
            alone = len(self.results.sections) == 1
            shown = alone if self._unfolded is None else self._unfolded
            folded = section.key == "probably not" and not shown
            cards_top = y + (HEADING if section.key else STEP)
            lines = 0 if folded else -(-section.count // self._columns)
            bottom = cards_top + lines * (self._card_height + self._gap())
            self._placed.append(Placed(section, y, cards_top, bottom, folded))
            y = bottom + STEP
        self.updateGeometries()
        self.viewport().update()

    def _gap(self) -> int:
        return 2 if self.list_form else GAP

    def _content_height(self) -> int:
        return self._placed[-1].bottom + MARGIN if self._placed else 0

    def _card(self, placed: Placed, row: int) -> QRect:
        """Where a card lies, in pixels from the top of everything."""
        line, column = divmod(row - placed.section.first, self._columns)
        return QRect(
            MARGIN + column * (self._card_width + GAP),
            placed.cards_top + line * (self._card_height + self._gap()),
            self._card_width,
            self._card_height,
        )

    def _section_of(self, row: int) -> Placed | None:
        for placed in self._placed:
            if placed.section.first <= row < placed.section.first + placed.section.count:
                return placed
        return None

    def _rows_in(self, placed: Placed, area: QRect) -> Iterator[tuple[int, QRect]]:
        """Rows of a section whose cards touch an area."""
        if placed.folded or placed.bottom < area.top() or placed.cards_top > area.bottom():
            return
        step = self._card_height + self._gap()
        first = max(0, (area.top() - placed.cards_top) // step) * self._columns
        last = min(placed.section.count, ((area.bottom() - placed.cards_top) // step + 1) * self._columns)
        for offset in range(first, last):
            row = placed.section.first + offset
            yield row, self._card(placed, row)

    def updateGeometries(self) -> None:  # noqa: N802
        bar = self.verticalScrollBar()
        bar.setPageStep(self.viewport().height())
        bar.setSingleStep(max(20, self._card_height // 4))
        bar.setRange(0, max(0, self._content_height() - self.viewport().height()))
        super().updateGeometries()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._arrange()

    # What QAbstractItemView asks for.

    def visualRect(self, index: Index) -> QRect:  # noqa: N802
        placed = self._section_of(index.row()) if index.isValid() else None
        if placed is None or placed.folded:
            return QRect()
        return self._card(placed, index.row()).translated(0, -self.verticalOffset())

    def scrollTo(  # noqa: N802
        self, index: Index, hint: QAbstractItemView.ScrollHint = QAbstractItemView.ScrollHint.EnsureVisible
    ) -> None:
        area = self.visualRect(index)
        if area.isNull():
            return
        bar, height = self.verticalScrollBar(), self.viewport().height()
        placed = self._section_of(index.row())
        above = HEADING if placed is not None and index.row() - placed.section.first < self._columns else STEP
        if area.top() < above:
            bar.setValue(bar.value() + area.top() - above)
        elif area.bottom() > height:
            bar.setValue(bar.value() + area.bottom() - height + STEP)

    def indexAt(self, point: QPoint) -> QModelIndex:  # noqa: N802
        place = point + QPoint(0, self.verticalOffset())
        for placed in self._placed:
            for row, area in self._rows_in(placed, QRect(place, place)):
                if area.contains(place):
                    return self.results.index(row)
        return QModelIndex()

    def horizontalOffset(self) -> int:  # noqa: N802
        return 0

    def verticalOffset(self) -> int:  # noqa: N802
        return self.verticalScrollBar().value()

    def isIndexHidden(self, index: Index) -> bool:  # noqa: N802
        placed = self._section_of(index.row())
        return placed is None or placed.folded

    def moveCursor(  # noqa: N802
        self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier
    ) -> QModelIndex:
        row = self.currentIndex().row()
        if row < 0:
            return self.results.index(0) if self.results.rowCount() else QModelIndex()
        Action = QAbstractItemView.CursorAction
        page = max(1, self.viewport().height() // (self._card_height + self._gap()))
        last = self._last_shown()
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
            target = self._vertically(row, lines if down else -lines)
        return self.results.index(max(0, min(last, target)))

    def _last_shown(self) -> int:
        shown = [placed.section for placed in self._placed if not placed.folded]
        return shown[-1].first + shown[-1].count - 1 if shown else -1

    def _vertically(self, row: int, lines: int) -> int:
        """The row in the same column some lines on, across headings."""
        placed = self._section_of(row)
        if placed is None:
            return row
        column = (row - placed.section.first) % self._columns
        for _ in range(abs(lines)):
            section = placed.section
            here = (row - section.first) // self._columns
            if lines > 0:
                target = section.first + (here + 1) * self._columns
                if target >= section.first + section.count:
                    following = self._section_of(section.first + section.count)
                    if following is None or following.folded:
                        return self._last_shown()
                    placed, target = following, following.section.first
                row = min(target + column, placed.section.first + placed.section.count - 1)
            elif here > 0:
                row = section.first + (here - 1) * self._columns + column
            else:
                before = self._section_of(section.first - 1)
                if before is None:
                    return column if column < section.count else row
                placed = before
                start = (before.section.count - 1) // self._columns * self._columns
                row = before.section.first + min(start + column, before.section.count - 1)
        return row

    def setSelection(  # noqa: N802
        self, rect: QRect, command: QItemSelectionModel.SelectionFlag
    ) -> None:
        area = rect.normalized().translated(0, self.verticalOffset())
        chosen = QItemSelection()
        for placed in self._placed:
            for row, card in self._rows_in(placed, area):
                if card.intersects(area):
                    index = self.results.index(row)
                    chosen.select(index, index)
        self.selectionModel().select(chosen, command)

    def visualRegionForSelection(self, selection: QItemSelection) -> QRegion:  # noqa: N802
        region = QRegion()
        for index in selection.indexes():
            region += QRegion(self.visualRect(index))
        return region

    # Events.

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self.viewport())
        painter.fillRect(event.rect(), QColor(self._theme.colours.ground))
        painter.translate(0, -self.verticalOffset())
        screen = event.rect().translated(0, self.verticalOffset())
        option = QStyleOptionViewItem()
        self.initViewItemOption(option)
        selection = self.selectionModel()
        for placed in self._placed:
            if placed.section.key:
                self._heading(painter, placed)
            for row, area in self._rows_in(placed, screen):
                index = self.results.index(row)
                option.rect = area
                option.state = (
                    QStyle.StateFlag.State_Selected
                    if selection.isSelected(index)
                    else QStyle.StateFlag.State_Enabled
                )
                self.cards.paint(painter, option, index)
        painter.end()

    def _heading(self, painter: QPainter, placed: Placed) -> None:
        colours = self._theme.colours
        width = self.viewport().width()
        area = QRect(MARGIN, placed.top, width - 2 * MARGIN, HEADING)
        quiet = placed.section.key == "probably not"
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
        if placed.section.key == "probably not":
            sign = "▸" if placed.folded else "▾"
            if len(self._placed) == 1:
                return f"{sign} " + self.tr("Probably not in your library. The nearest moments")
            return f"{sign} " + self.tr("Probably not in your library")
        return {"likely": self.tr("Likely"), "maybe": self.tr("Maybe")}.get(
            placed.section.key, self.tr("More")
        )

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        place = event.position().toPoint() + QPoint(0, self.verticalOffset())
        for placed in self._placed:
            if placed.section.key == "probably not" and placed.top <= place.y() < placed.cards_top:
                self._unfolded = placed.folded
                self._arrange()
                return
        super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        super().mouseMoveEvent(event)
        index = self.indexAt(event.position().toPoint())
        scrubbed = None
        hit = self.results.hit(index.row()) if index.isValid() else None
        if hit is not None:
            area = self.visualRect(index)
            part = (event.position().x() - area.left()) / max(1, area.width())
            slot = max(0, min(SCRUBS - 1, int(part * SCRUBS)))
            scrubbed = (index.row(), hit.start_s + (slot + 0.5) / SCRUBS * (hit.end_s - hit.start_s))
        if scrubbed != self.cards.scrubbed:
            self.cards.scrubbed = scrubbed
            self.viewport().update()

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        """Qt makes the first card current but does not select it; here both are one."""
        super().focusInEvent(event)
        current = self.currentIndex()
        if current.isValid() and not self.selectionModel().hasSelection():
            self.selectionModel().select(current, QItemSelectionModel.SelectionFlag.Select)

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        self.cards.scrubbed = None
        self.viewport().update()
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        if event.key() == Qt.Key.Key_Space:
            self.played.emit()
            return
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if (hit := self.current_hit()) is not None:
                self.opened.emit(hit)
            return
        super().keyPressEvent(event)

    def keyboardSearch(self, search: str) -> None:  # noqa: N802
        """Single letters are commands here, not a search for a title."""

    def currentChanged(self, current: Index, previous: Index) -> None:  # noqa: N802
        super().currentChanged(current, previous)
        self.chosen.emit(self.results.hit(current.row()))
