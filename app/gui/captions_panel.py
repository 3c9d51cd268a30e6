"""Video to text: the captions nearest to the chosen moment, each with the branch that found it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QAction, QColor, QFontMetrics, QKeySequence, QPainter, QShortcut
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.gui.cards import draw_badges
from app.gui.icons import icon
from app.gui.theme import BADGE_RADIUS, STEP, Theme
from m2hf_core.records import CaptionHit

CAPTION = Qt.ItemDataRole.UserRole + 1
VERDICT = Qt.ItemDataRole.UserRole + 2
Index = QModelIndex | QPersistentModelIndex


class CaptionsModel(QAbstractListModel):
    """Captions in the order of their rank, with the verdicts given in this session."""

    def __init__(self) -> None:
        super().__init__()
        self._hits: tuple[CaptionHit, ...] = ()
        self._verdicts: dict[str, str] = {}

    def show(self, hits: Sequence[CaptionHit]) -> None:
        self.beginResetModel()
        self._hits, self._verdicts = tuple(hits), {}
        self.endResetModel()

    def judge(self, text: str, verdict: str) -> None:
        """Mark a caption as right or wrong; an empty verdict takes the mark away."""
        self._verdicts[text] = verdict
        for row, hit in enumerate(self._hits):
            if hit.text == text:
                self.dataChanged.emit(self.index(row), self.index(row), [VERDICT])

    def hit(self, index: Index) -> CaptionHit | None:
        return self._hits[index.row()] if index.isValid() and index.row() < len(self._hits) else None

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, N802
        return 0 if parent.isValid() else len(self._hits)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        hit = self.hit(index)
        if hit is None:
            return None
        if role == CAPTION:
            return hit
        if role == VERDICT:
            return self._verdicts.get(hit.text, "")
        if role == Qt.ItemDataRole.DisplayRole:
            return hit.text
        if role == Qt.ItemDataRole.ToolTipRole:
            return self.tr("From: {}").format(hit.source)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{hit.text}, {', '.join(hit.won_by)}"
        return None


class CaptionsPanel(QWidget):
    """A click or Enter searches with a caption; P calls it right for the moment, X wrong; Esc closes."""

    search_wanted = Signal(str)
    judged = Signal(str, str)
    """A caption and `right` or `wrong`."""
    closed = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.captions = CaptionsModel()
        self.view = QListView()
        self.view.setModel(self.captions)
        self.view.setItemDelegate(_CaptionDelegate(theme, self.view))
        self.view.setAccessibleName(self.tr("Similar captions"))
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setResizeMode(QListView.ResizeMode.Adjust)
        self.view.customContextMenuRequested.connect(self._menu)
        self.view.clicked.connect(self._search)
        self.view.activated.connect(self._search)
        head = QLabel(self.tr("SIMILAR CAPTIONS"))
        head.setObjectName("head")
        self.note = QLabel()
        self.note.setObjectName("muted")
        self.note.setWordWrap(True)
        self.close_button = QToolButton()
        self.close_button.setAccessibleName(self.tr("Back to the words"))
        self.close_button.clicked.connect(self.closed)
        top = QHBoxLayout()
        top.addWidget(head, 1)
        top.addWidget(self.close_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(STEP)
        layout.addLayout(top)
        layout.addWidget(self.note)
        layout.addWidget(self.view, 1)
        for key, verdict, text in (
            ("P", "right", self.tr("Right for this moment")),
            ("X", "wrong", self.tr("Wrong for this moment")),
        ):
            action = QAction(text, self.view)
            action.setShortcut(QKeySequence(key))
            action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            action.triggered.connect(lambda _=False, verdict=verdict: self._judge(verdict))
            self.view.addAction(action)
        back = QShortcut(QKeySequence("Esc"), self, self.closed.emit)
        back.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        theme.changed.connect(self._dress)
        self._dress()
        self.show_note("")

    def show_note(self, sentence: str) -> None:
        """Say something instead of, or above, the captions."""
        self.note.setText(sentence)
        self.note.setVisible(bool(sentence))

    def show_captions(self, hits: Sequence[CaptionHit]) -> None:
        self.captions.show(hits)
        self.show_note("" if hits else self.tr("No branch can compare captions with this moment."))

    def take_keyboard(self) -> None:
        """The first caption is chosen, and keys are about it."""
        if self.captions.rowCount():
            self.view.setCurrentIndex(self.captions.index(0))
            self.view.setFocus()

    def menu(self, index: QModelIndex) -> QMenu:
        """What can be done with a caption."""
        self.view.setCurrentIndex(index)
        menu = QMenu(self)
        search = menu.addAction(self.tr("Search with this caption"))
        search.triggered.connect(lambda: self._search(index))
        menu.addActions(self.view.actions())
        return menu

    def _menu(self, at: QPoint) -> None:
        index = self.view.indexAt(at)
        if index.isValid():
            self.menu(index).popup(self.view.viewport().mapToGlobal(at))

    def _search(self, index: QModelIndex) -> None:
        hit = self.captions.hit(index)
        if hit is not None:
            self.search_wanted.emit(hit.text)

    def _judge(self, verdict: str) -> None:
        hit = self.captions.hit(self.view.currentIndex())
        if hit is not None:
            self.judged.emit(hit.text, verdict)

    def _dress(self) -> None:
        self.close_button.setIcon(icon("clear", self._theme.colours.muted))


class _CaptionDelegate(QStyledItemDelegate):
    """The words over as many lines as they need, the branches below."""

    def __init__(self, theme: Theme, view: QListView) -> None:
        super().__init__(view)
        self._theme, self._view = theme, view

    def sizeHint(  # noqa: N802
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        width = self._view.viewport().width()
        words = self._words(QFontMetrics(option.font), str(index.data()))
        return QSize(width, words.height() + 9 * STEP)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        hit = index.data(CAPTION)
        colours = self._theme.colours
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area: QRect = option.rect.adjusted(0, 1, 0, -1)
        if option.state & (QStyle.StateFlag.State_Selected | QStyle.StateFlag.State_MouseOver):
            focused = option.state & QStyle.StateFlag.State_HasFocus
            painter.setPen(QColor(colours.accent) if focused else Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.raised))
            frame = QRectF(area).adjusted(0.5, 0.5, -0.5, -0.5)
            painter.drawRoundedRect(frame, BADGE_RADIUS, BADGE_RADIUS)
        words = self._words(QFontMetrics(option.font), str(index.data()))
        place = words.translated(area.left() + 2 * STEP, area.top() + STEP)
        verdict = str(index.data(VERDICT))
        painter.setPen(QColor(colours.muted if verdict == "wrong" else colours.text))
        font = option.font
        font.setStrikeOut(verdict == "wrong")
        painter.setFont(font)
        painter.drawText(place, Qt.TextFlag.TextWordWrap, str(index.data()))
        font.setStrikeOut(False)
        painter.setFont(font)
        if isinstance(hit, CaptionHit):
            at = QPointF(place.left(), place.bottom() + STEP)
            draw_badges(painter, at, area.width() - 20 * STEP, hit, self._theme)
        if verdict:
            mark = self.tr("right") if verdict == "right" else self.tr("wrong")
            painter.setPen(QColor(colours.muted))
            line = QRect(area.left(), place.bottom() + STEP, area.width() - 2 * STEP, 5 * STEP)
            painter.drawText(line, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, mark)
        painter.restore()

    def _words(self, metrics: QFontMetrics, text: str) -> QRect:
        """As wide as there is room beside the scroll bar, which comes only after the heights have been asked for."""
        width = self._view.width() - self._view.verticalScrollBar().sizeHint().width()
        return metrics.boundingRect(QRect(0, 0, width - 4 * STEP, 2000), Qt.TextFlag.TextWordWrap, text)
