"""The folders that the owner named, and which of them are there at present."""

from __future__ import annotations

import os
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlalchemy.orm import Session

from m2hf_core.store.models import Folder, FolderState, VideoPath


@dataclass(frozen=True, slots=True)
class FolderRow:
    folder_id: int
    path: str
    watched: bool
    state: FolderState


def add_folder(session: Session, path: str | os.PathLike[str], *, watched: bool = True) -> int:
    """The id of the folder, added if it is new. A folder that was only indexed becomes watched, never the reverse.

    A file below several named folders belongs to the nearest, so files move over to a new inner folder.
    """
    absolute = os.path.abspath(os.fsdecode(path))
    folder = session.scalar(select(Folder).where(Folder.path == absolute))
    if folder is not None:
        folder.watched = folder.watched or watched
        session.flush()
        return folder.id
    folder = Folder(path=absolute, watched=watched, state="online")
    session.add(folder)
    session.flush()
    outer = [row.folder_id for row in list_folders(session) if _contains(row.path, absolute)]
    session.execute(
        update(VideoPath).where(below(absolute), VideoPath.folder_id.in_(outer)).values(folder_id=folder.id)
    )
    return folder.id


def list_folders(session: Session) -> list[FolderRow]:
    """All folders, by path."""
    rows = session.execute(select(Folder.id, Folder.path, Folder.watched, Folder.state).order_by(Folder.path))
    return [FolderRow(*row) for row in rows]


def set_folder_state(session: Session, folder_id: int, state: FolderState) -> None:
    """Mark a folder and what lies in it as away or back; files known to be gone stay gone."""
    before, after = ("present", "offline") if state == "offline" else ("offline", "present")
    session.execute(update(Folder).where(Folder.id == folder_id).values(state=state))
    session.execute(
        update(VideoPath)
        .where(VideoPath.folder_id == folder_id, VideoPath.state == before)
        .values(state=after)
    )


def unwatch_folder(session: Session, folder_id: int) -> None:
    """Stop watching a folder; its videos stay as they are."""
    session.execute(update(Folder).where(Folder.id == folder_id).values(watched=False))


def remove_folder(session: Session, folder_id: int) -> None:
    """Forget a folder and the paths that no other named folder covers.

    Videos that thereby lose their last path stay until `forget.sweep`, which removes them from both files.
    """
    others = [row for row in list_folders(session) if row.folder_id != folder_id]
    for other in sorted(others, key=lambda row: len(row.path), reverse=True):
        session.execute(
            update(VideoPath)
            .where(VideoPath.folder_id == folder_id, below(other.path))
            .values(folder_id=other.folder_id)
        )
    session.execute(delete(Folder).where(Folder.id == folder_id))


def nearest_folder(session: Session, path: str, folder_id: int) -> int:
    """The innermost named folder that holds `path`, else `folder_id`."""
    holding = [row for row in list_folders(session) if _contains(row.path, path)]
    return max(holding, key=lambda row: len(row.path)).folder_id if holding else folder_id


def below(folder: str) -> ColumnElement[bool]:
    """Whether a path lies anywhere below `folder`: a range of bytes, so the index on paths serves."""
    first = folder.rstrip(os.sep) + os.sep
    after = first[:-1] + chr(ord(os.sep) + 1)
    return and_(VideoPath.path >= first, VideoPath.path < after)


def _contains(folder: str, path: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)
