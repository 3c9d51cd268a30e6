"""The left column: watched folders, filters, saved searches and what was searched lately."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QAction, QColor, QDragEnterEvent, QDropEvent, QFontMetrics, QMouseEvent, QPainter
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QScrollArea,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeView,
    QVBoxLayout,
    QWidget,
)

from app.gui.dialog import Choice, films
from app.gui.folder_model import COUNT, FolderModel
from app.gui.theme import STEP, Theme
from app.services.views import FolderView, Overview

RECENT = 8
"""Searches that the history shows."""


class LibraryPanel(QScrollArea):
    """What it wishes for, it signals; the window does it."""

    filtered = Signal(str)
    """Filter words of the query language."""
    search_wanted = Signal(str)
    folders_wanted = Signal(object)
    """A list of folders, from the button."""
    dropped = Signal(object)
    """A list of paths, folders or files: nobody has looked yet."""
    folder_chosen = Signal(object)
    """The path of a folder, when somebody looks into it."""
    removal_wanted = Signal(object)
    forgetting_wanted = Signal(object)
    reveal_wanted = Signal(object)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAcceptDrops(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # what it holds is reached, not the ground below it
        self.folders = FolderModel(theme)
        self.tree = _FolderTree()
        self.tree.setModel(self.folders)
        self.tree.setItemDelegate(_CountDelegate(theme, self.tree))
        self.tree.setHeaderHidden(True)
        self.tree.setRootIsDecorated(False)
        self.tree.setIndentation(4 * STEP)
        self.tree.setAccessibleName(self.tr("Folders"))
        self.tree.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.tree.customContextMenuRequested.connect(self._folder_menu)
        self.tree.setCurrentIndex(self.folders.index(0, 0))
        self.tree.selectionModel().currentChanged.connect(lambda *_: self._tell_filters())
        self.tree.selectionModel().currentChanged.connect(self._tell_folder)
        self.add = self._link(self.tr("+ Add folder"), self.choose_folder)
        self.date = self._choice(
            self.tr("Date"),
            (
                (self.tr("Any date"), ""),
                (self.tr("This year"), "year"),
                (self.tr("Last year"), "last"),
                (self.tr("Older"), "older"),
            ),
        )
        self.length = self._choice(
            self.tr("Length"),
            (
                (self.tr("Any length"), ""),
                (self.tr("Under 1 minute"), "shorter:1m"),
                (self.tr("1 to 10 minutes"), "longer:1m shorter:10m"),
                (self.tr("Over 10 minutes"), "longer:10m"),
            ),
        )
        self.spoken = QCheckBox(self.tr("Has speech"))
        self.spoken.toggled.connect(lambda _: self._tell_filters())
        self.saved = self._list(self.tr("Saved searches"))
        self.recent = self._list(self.tr("Recent searches"))
        self.saved.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.saved.customContextMenuRequested.connect(self._saved_menu)
        content = QWidget()
        content.setObjectName("panel")
        self._layout = QVBoxLayout(content)
        self._layout.setContentsMargins(3 * STEP, 3 * STEP, 3 * STEP, 3 * STEP)
        self._layout.setSpacing(STEP)
        self._heads: dict[str, QLabel] = {}
        self._section("library", self.tr("LIBRARY"), self.tree, self.add)
        self._section("filters", self.tr("FILTERS"), self.date, self.length, self.spoken)
        self._section("saved", self.tr("SAVED"), self.saved)
        self._section("recent", self.tr("RECENT"), self.recent)
        self._layout.addStretch(1)
        self.setWidget(content)
        self.folders.modelReset.connect(self._fit_tree)
        self._fit_tree()
        self.show_searches((), ())

    def show_overview(self, overview: Overview) -> None:
        self.folders.show(overview)

    def show_searches(self, saved: Sequence[str], recent: Sequence[str]) -> None:
        """The lists of searches; a list without entries is not shown at all."""
        for key, view, texts in (("saved", self.saved, saved), ("recent", self.recent, recent[:RECENT])):
            if [view.item(row).text() for row in range(view.count())] != list(texts):
                view.clear()
                for text in texts:
                    item = QListWidgetItem(text)
                    item.setToolTip(text)
                    view.addItem(item)
            view.setVisible(bool(texts))
            self._heads[key].setVisible(bool(texts))
            view.setFixedHeight(max(1, view.count()) * view.sizeHintForRow(0) if view.count() else 0)

    def saved_searches(self) -> list[str]:
        return [self.saved.item(row).text() for row in range(self.saved.count())]

    def filters(self) -> str:
        """The chosen filters, in the query language."""
        parts = []
        folder = self.folders.folder(self.tree.currentIndex())
        if folder is not None:
            name = "/".join(folder.path.parts[-2:]).lstrip("/")
            parts.append(f'in:"{name}"' if " " in name else f"in:{name}")
        parts.append(_dates(str(self.date.currentData())))
        parts.append(str(self.length.currentData()))
        if self.spoken.isChecked():
            parts.append("has:speech")
        return " ".join(part for part in parts if part)

    def clear_filters(self) -> None:
        for box in (self.date, self.length):
            box.setCurrentIndex(0)
        self.spoken.setChecked(False)
        self.tree.setCurrentIndex(self.folders.index(0, 0))

    def choose_folder(self) -> None:
        """Ask for a folder with the system's own dialog."""
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Add a folder with videos"), films())
        if chosen:
            self.folders_wanted.emit([Path(chosen)])

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.dropped.emit(paths)

    def _tell_folder(self, now: QModelIndex) -> None:
        folder = self.folders.folder(now)
        if folder is not None:
            self.folder_chosen.emit(folder.path)

    def _section(self, key: str, title: str, *widgets: QWidget) -> None:
        head = QLabel(title)
        head.setObjectName("head")
        head.setContentsMargins(STEP, 2 * STEP, 0, STEP)
        self._heads[key] = head
        self._layout.addWidget(head)
        for widget in widgets:
            self._layout.addWidget(widget)

    def _link(self, text: str, action: Callable[[], None]) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName("indented")
        button.clicked.connect(lambda: action())
        return button

    def _choice(self, name: str, choices: Sequence[tuple[str, str]]) -> QComboBox:
        box = Choice()
        box.setAccessibleName(name)
        for text, words in choices:
            box.addItem(text, words)
        box.currentIndexChanged.connect(lambda _: self._tell_filters())
        return box

    def _list(self, name: str) -> QListWidget:
        view = QListWidget()
        view.setAccessibleName(name)
        view.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        view.setTextElideMode(Qt.TextElideMode.ElideRight)
        view.itemClicked.connect(lambda item: self.search_wanted.emit(item.text()))
        view.itemActivated.connect(lambda item: self.search_wanted.emit(item.text()))
        return view

    def _fit_tree(self) -> None:
        self.tree.expandAll()
        if not self.tree.currentIndex().isValid():
            self.tree.setCurrentIndex(self.folders.index(0, 0))
        rows = 0
        index = self.folders.index(0, 0)
        while index.isValid():
            rows += 1
            index = self.tree.indexBelow(index)
        height = self.tree.sizeHintForRow(0)
        self.tree.setFixedHeight(rows * max(height, 7 * STEP) + 2)

    def _tell_filters(self) -> None:
        self.filtered.emit(self.filters())

    def folder_menu(self, folder: FolderView) -> QMenu:
        """What can be done with a folder."""
        menu = QMenu(self)
        for text, act in (
            (self.tr("Show in file manager"), self.reveal_wanted.emit),
            (self.tr("Stop watching"), self.removal_wanted.emit)
            if folder.watched
            else (self.tr("Watch again"), lambda path: self.folders_wanted.emit([path])),
            (self.tr("Forget this folder…"), self.forgetting_wanted.emit),
        ):
            action = QAction(text, menu)
            action.triggered.connect(lambda _=False, act=act: act(folder.path))
            menu.addAction(action)
        return menu

    def _folder_menu(self, at: QPoint) -> None:
        folder = self.folders.folder(self.tree.indexAt(at))
        if folder is not None:
            self.folder_menu(folder).popup(self.tree.viewport().mapToGlobal(at))

    def _saved_menu(self, at: QPoint) -> None:
        item = self.saved.itemAt(at)
        if item is None:
            return
        menu = QMenu(self)
        remove = menu.addAction(self.tr("Remove from saved"))
        rest = [text for text in self.saved_searches() if text != item.text()]
        recent = [self.recent.item(row).text() for row in range(self.recent.count())]
        remove.triggered.connect(lambda: self.show_searches(rest, recent))
        menu.popup(self.saved.viewport().mapToGlobal(at))


class _FolderTree(QTreeView):
    """Only the first button chooses a folder, which is a filter; the other one asks what can be done with it."""

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if event.button() == Qt.MouseButton.RightButton:
            event.accept()
        else:
            super().mousePressEvent(event)


class _CountDelegate(QStyledItemDelegate):
    """The name at the left, the count in the muted colour at the right."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(  # noqa: N802
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        return QSize(super().sizeHint(option, index).width(), 7 * STEP)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        count = str(index.data(COUNT))
        metrics = QFontMetrics(option.font)
        width = metrics.horizontalAdvance(count) + 2 * STEP
        area = QRect(option.rect)
        self.initStyleOption(option, index)
        style = option.widget.style()
        text, option.text = option.text, ""
        style.drawControl(style.ControlElement.CE_ItemViewItem, option, painter, option.widget)
        left = area.left() + (7 * STEP if index.data(Qt.ItemDataRole.DecorationRole) else 2 * STEP)
        name = QRect(left, area.top(), area.right() - width - left, area.height())
        painter.save()
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.setPen(QColor(self._theme.colours.text))
        elided = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, name.width())
        painter.drawText(name, middle | Qt.AlignmentFlag.AlignLeft, elided)
        painter.setPen(QColor(self._theme.colours.muted))
        painter.drawText(area.adjusted(0, 0, -2 * STEP, 0), middle | Qt.AlignmentFlag.AlignRight, count)
        painter.restore()


def folders_of(paths: Sequence[Path]) -> list[Path]:
    """Folders among what was dropped; a file stands for the folder that it lies in. Looks at the drives."""
    return list(dict.fromkeys(path if path.is_dir() else path.parent for path in paths if path.exists()))


def _dates(choice: str) -> str:
    from datetime import date

    year = date.today().year
    return {
        "year": f"after:{year - 1}",
        "last": f"after:{year - 2} before:{year}",
        "older": f"before:{year - 1}",
    }.get(choice, "")
