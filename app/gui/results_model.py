"""The moments of the answer on screen, as a list in sections: likely, maybe, and what probably is not meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractListModel, QMimeData, QModelIndex, QPersistentModelIndex, Qt, QUrl, Signal

from app.gui.records import clock
from m2hf_core.records import SearchHit

HIT = Qt.ItemDataRole.UserRole + 1
Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True, slots=True)
class Section:
    """A run of rows under one heading; `key` is a likelihood, or empty for a list without headings."""

    key: str
    first: int
    count: int


class ResultsModel(QAbstractListModel):
    """Rows are replaced in place, so that a card whose rank stays keeps its place and nothing jumps."""

    sectioned = Signal()
    """The sections are others now."""

    def __init__(self) -> None:
        super().__init__()
        self._hits: list[SearchHit] = []
        self.sections: tuple[Section, ...] = ()

    def show(self, hits: Sequence[SearchHit], *, by_likelihood: bool = True) -> None:
        """Show these hits. Rows that stay equal are left alone."""
        ordered, sections = _arranged(hits) if by_likelihood else (list(hits), (Section("", 0, len(hits)),))
        old, new = len(self._hits), len(ordered)
        if new < old:
            self.beginRemoveRows(QModelIndex(), new, old - 1)
            del self._hits[new:]
            self.endRemoveRows()
        changed = [row for row in range(min(old, new)) if self._hits[row] != ordered[row]]
        self._hits[: min(old, new)] = ordered[: min(old, new)]
        if changed:
            self.dataChanged.emit(self.index(changed[0]), self.index(changed[-1]))
        if new > old:
            self.beginInsertRows(QModelIndex(), old, new - 1)
            self._hits.extend(ordered[old:])
            self.endInsertRows()
        if sections != self.sections:
            self.sections = sections
            self.sectioned.emit()

    @property
    def hits(self) -> Sequence[SearchHit]:
        return self._hits

    def hit(self, row: int) -> SearchHit | None:
        return self._hits[row] if 0 <= row < len(self._hits) else None

    def row_of(self, clip_id: int) -> int | None:
        return next((row for row, hit in enumerate(self._hits) if hit.clip_id == clip_id), None)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, N802 - Qt's own signature
        return 0 if parent.isValid() else len(self._hits)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._hits):
            return None
        hit = self._hits[index.row()]
        if role == HIT:
            return hit
        if role == Qt.ItemDataRole.DisplayRole:
            return hit.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return str(hit.video)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            found = ", ".join(
                f"{name} {self.tr('rank')} {branch.rank}" for name, branch in hit.branches.items() if branch
            )
            return f"{hit.title}, {clock(hit.start_s)} – {clock(hit.end_s)}, {found}"
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsDragEnabled if index.isValid() else flags

    def mimeTypes(self) -> list[str]:  # noqa: N802
        return ["text/uri-list"]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:  # noqa: N802
        """A hit is dragged out as its file."""
        mime = QMimeData()
        videos = dict.fromkeys(str(self._hits[index.row()].video) for index in indexes)
        mime.setUrls([QUrl.fromLocalFile(video) for video in videos])
        return mime


def _arranged(hits: Sequence[SearchHit]) -> tuple[list[SearchHit], tuple[Section, ...]]:
    """By likelihood, each in the order of rank; one list without headings where nothing is known of likelihood."""
    if all(hit.likelihood == "unknown" for hit in hits):
        return list(hits), (Section("", 0, len(hits)),) if hits else ()
    ordered: list[SearchHit] = []
    sections = []
    for key in ("likely", "maybe", "unknown", "probably not"):
        members = [hit for hit in hits if hit.likelihood == key]
        if members:
            sections.append(Section(key, len(ordered), len(members)))
            ordered.extend(members)
    return ordered, tuple(sections)


def arranged(hits: Sequence[SearchHit], order: str, *, one_per_video: bool) -> list[SearchHit]:
    """The hits as they are to be shown: `order` is best, name or folder."""
    chosen = list(hits)
    if one_per_video:
        chosen = list({hit.video: hit for hit in reversed(chosen)}.values())
        chosen.sort(key=lambda hit: hit.rank)
    if order == "name":
        chosen.sort(key=lambda hit: (hit.video.name.lower(), hit.start_s))
    elif order == "folder":
        chosen.sort(key=lambda hit: (str(hit.video.parent).lower(), hit.rank))
    return chosen
