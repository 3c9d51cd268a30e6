"""The watched folders as a tree: inner folders below outer ones, each with its count and state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, Qt

from app.gui.icons import dot
from app.gui.theme import Theme
from app.services.views import FolderView, Overview

Index = QModelIndex | QPersistentModelIndex
FOLDER = Qt.ItemDataRole.UserRole + 1
COUNT = Qt.ItemDataRole.UserRole + 2
READY, WAITING, AWAY, BAD = "#3DB97A", "#E5B93C", "#7D8594", "#E5484D"


@dataclass(slots=True)
class Node:
    """A line of the tree; the one without a folder stands for all videos."""

    folder: FolderView | None
    parent: Node | None
    children: list[Node] = field(default_factory=list)
    key: int = field(default_factory=count(1).__next__)
    """What Qt's indexes carry: a number outlives the object, a pointer would not."""

    @property
    def row(self) -> int:
        return self.parent.children.index(self) if self.parent is not None else 0


class FolderModel(QAbstractItemModel):
    """The first line is "All videos"."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._total = 0
        self._root = _tree(())
        self._nodes = {node.key: node for node in self._all()}

    def show(self, overview: Overview) -> None:
        """Show these folders; only counts change as long as the folders stay."""
        known = [node.folder.path for node in self._all() if node.folder is not None]
        self._total = overview.total
        if known == [folder.path for folder in overview.folders]:
            by_path = {folder.path: folder for folder in overview.folders}
            for node in self._all():
                if node.folder is not None:
                    node.folder = by_path[node.folder.path]
                index = self.createIndex(node.row, 0, node.key)
                self.dataChanged.emit(index, index)
            return
        self.beginResetModel()
        self._root = _tree(overview.folders)
        self._nodes = {node.key: node for node in self._all()}
        self.endResetModel()

    def folder(self, index: Index) -> FolderView | None:
        found = index.data(FOLDER) if index.isValid() else None
        return found if isinstance(found, FolderView) else None

    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:  # noqa: B008
        node = self._node(parent)
        if column != 0 or not 0 <= row < len(node.children):
            return QModelIndex()
        return self.createIndex(row, 0, node.children[row].key)

    def parent(self, child: Index = QModelIndex()) -> QModelIndex:  # type: ignore[override] # noqa: B008
        node = self._node(child)
        if node.parent is None or node.parent is self._root:
            return QModelIndex()
        return self.createIndex(node.parent.row, 0, node.parent.key)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, N802
        return len(self._node(parent).children)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, N802
        return 1

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        folder = self._node(index).folder
        if role == FOLDER:
            return folder
        if role == COUNT:
            return self._count(folder)
        if folder is None:
            return self.tr("All videos") if role == Qt.ItemDataRole.DisplayRole else None
        if role == Qt.ItemDataRole.DisplayRole:
            return folder.path.name or str(folder.path)
        if role == Qt.ItemDataRole.DecorationRole:
            mark = _mark(folder)
            return dot(mark, hollow=mark == AWAY)
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{folder.path}\n{self._state(folder)}"
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{folder.path.name}, {self._count(folder)}"
        return None

    def _count(self, folder: FolderView | None) -> str:
        if folder is None:
            return str(self._total)
        if not folder.online:
            return self.tr("offline")
        if not folder.watched:
            return self.tr("{} · not watched").format(folder.videos)
        if folder.waiting:
            return self.tr("{} · {} waiting").format(folder.videos, folder.waiting)
        return str(folder.videos)

    def _state(self, folder: FolderView) -> str:
        nothing = (
            self.tr("no video found in it so far") if folder.online else self.tr("nothing is known of it")
        )
        parts = [self.tr("{} searchable").format(folder.ready) if folder.videos else nothing]
        if folder.waiting:
            parts.append(self.tr("{} waiting").format(folder.waiting))
        if folder.failed:
            parts.append(self.tr("{} failed").format(folder.failed))
        if not folder.watched:
            parts.append(self.tr("not watched"))
        if not folder.online:
            parts.append(self.tr("offline"))
        return ", ".join(parts)

    def _node(self, index: Index) -> Node:
        return self._nodes.get(index.internalId(), self._root) if index.isValid() else self._root

    def _all(self, node: Node | None = None) -> list[Node]:
        found = []
        for child in (node or self._root).children:
            found.append(child)
            found.extend(self._all(child))
        return found


def _mark(folder: FolderView) -> str:
    """Green only where something can be found; a folder without videos is neither good nor bad."""
    if not folder.online or not folder.watched or not folder.videos:
        return AWAY
    if folder.waiting:
        return WAITING
    return READY if folder.ready else BAD


def _tree(folders: Sequence[FolderView]) -> Node:
    """Folders come sorted by path, so an outer one comes before what lies in it."""
    root = Node(None, None)
    root.children.append(Node(None, root))
    placed: list[tuple[Path, Node]] = []
    for folder in folders:
        outer = [node for path, node in placed if path in folder.path.parents]
        parent = outer[-1] if outer else root
        node = Node(folder, parent)
        parent.children.append(node)
        placed.append((folder.path, node))
    return root
