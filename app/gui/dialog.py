"""What all dialogs share: they give the keyboard back when they close, and explain in quiet words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QStandardPaths, Qt
from PySide6.QtGui import QResizeEvent, QWheelEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from app.gui.theme import STEP

Index = QModelIndex | QPersistentModelIndex
WHOLE_WIDTH = Qt.AlignmentFlag(0)


class Dialog(QDialog):
    """When it closes, its parent has the keyboard again.

    Window managers usually see to that, but not all do, and where there is none the keys would reach nobody.
    """

    def done(self, result: int) -> None:
        had_the_keyboard, parent = self.isActiveWindow(), self.parentWidget()
        super().done(result)
        if had_the_keyboard and parent is not None:
            parent.window().activateWindow()


class TableModel(QAbstractTableModel):
    """Rows of texts under heads; `key` of a row is what it stands for."""

    def __init__(self, heads: Sequence[str]) -> None:
        super().__init__()
        self._heads = tuple(heads)
        self._rows: list[tuple[object, tuple[str, ...]]] = []
        self._names_key: int | None = None

    def show(self, rows: Sequence[tuple[object, Sequence[str]]], *, names_key: int | None = None) -> None:
        """`names_key`: the column that has a short form of the key; hovering over it tells all of it."""
        self.beginResetModel()
        self._names_key = names_key
        self._rows = [(key, tuple(texts)) for key, texts in rows]
        self.endResetModel()

    def key(self, row: int) -> object:
        return self._rows[row][0] if 0 <= row < len(self._rows) else None

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, N802
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, N802
        return 0 if parent.isValid() else len(self._heads)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or role not in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return None
        key, texts = self._rows[index.row()]
        if role == Qt.ItemDataRole.ToolTipRole and index.column() == self._names_key:
            return str(key)
        return texts[index.column()]

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self._heads[section]
        return None


class TableDialog(Dialog):
    """A table with buttons about its chosen row, or about all of it."""

    def __init__(self, title: str, heads: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.resize(200 * STEP, 100 * STEP)
        self.rows = TableModel(heads)
        self.table = QTableView()
        self.table.setModel(self.rows)
        self.table.setAccessibleName(title)
        self.table.setShowGrid(False)
        self.table.setWordWrap(True)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.horizontalHeader().setStretchLastSection(True)
        self.table.horizontalHeader().setHighlightSections(False)  # a chosen row would make every head bold
        self.table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.note = muted("")
        self.note.hide()
        self._buttons = QHBoxLayout()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4 * STEP, 4 * STEP, 4 * STEP, 4 * STEP)
        layout.addWidget(self.note)
        layout.addWidget(self.table, 1)
        self._below = QVBoxLayout()
        layout.addLayout(self._below)
        foot = QHBoxLayout()
        foot.addLayout(self._buttons)
        foot.addStretch(1)
        foot.addWidget(closing(self))
        layout.addLayout(foot)

    def add_button(self, text: str, action: Callable[[], None]) -> QPushButton:
        button = QPushButton(text)
        button.clicked.connect(lambda: action())
        self._buttons.addWidget(button)
        return button

    def add_below(self, widget: QWidget, place: Qt.AlignmentFlag = WHOLE_WIDTH) -> None:
        """Something between the table and the buttons."""
        self._below.addWidget(widget, 0, place)

    def chosen(self) -> object:
        return self.rows.key(self.table.currentIndex().row())

    def say(self, sentence: str) -> None:
        self.note.setText(sentence)
        self.note.setVisible(bool(sentence))


class Choice(QComboBox):
    """The wheel scrolls past it to what it lies in, unless it was chosen first: else scrolling would change things."""

    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class Hint(QLabel):
    """Words below a field: as high as their lines need at the width they get, which a form does not ask for."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setObjectName("muted")
        self.setWordWrap(True)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self.setMinimumHeight(self.heightForWidth(self.width()))


def muted(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("muted")
    label.setWordWrap(True)
    return label


def closing(dialog: QDialog) -> QDialogButtonBox:
    """A single button that closes."""
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.close)
    return buttons


def films() -> str:
    """Where the system keeps videos, for choosing a folder."""
    return QStandardPaths.writableLocation(QStandardPaths.StandardLocation.MoviesLocation)
