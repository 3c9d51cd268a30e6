"""Which file is which video: paths come and go, the content's fingerprint stays."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import bindparam, delete, or_, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from m2hf_core.store.columns import shown
from m2hf_core.store.folders import below, nearest_folder
from m2hf_core.store.models import Folder, PathFailure, PathState, Video, VideoPath
from m2hf_core.store.sql import among

# Said once, because a first reconcile says them a hundred thousand times: building a statement costs SQLAlchemy
# more than SQLite takes to run it.
ADD_VIDEO = insert(Video).on_conflict_do_nothing(index_elements=["fingerprint"])
FIND_VIDEO = select(Video.id).where(Video.fingerprint == bindparam("fingerprint"))
CHANGE_PATH = (
    update(VideoPath)
    .where(VideoPath.path == bindparam("at"))
    .values(
        video_id=bindparam("video_id"),
        size=bindparam("size"),
        mtime_ns=bindparam("mtime_ns"),
        state="present",
    )
)
ADD_PATH = insert(VideoPath).values(path=bindparam("at"), state="present")
CLEAR_FAILURE = delete(PathFailure).where(PathFailure.path == bindparam("at"))


@dataclass(frozen=True, slots=True)
class KnownPath:
    path_id: int
    video_id: int
    fingerprint: str
    size: int
    mtime_ns: int
    state: PathState


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What is learned of a video when it is decoded."""

    duration_s: float
    width: int
    height: int
    has_audio: bool
    container: str
    codec: str
    title: str | None = None


@dataclass(frozen=True, slots=True)
class VideoRow:
    video_id: int
    fingerprint: str
    duration_s: float | None
    width: int | None
    height: int | None
    has_audio: bool | None
    container: str | None
    codec: str | None
    title: str | None
    added_at: float


def known_paths(session: Session, folder_id: int) -> dict[str, KnownPath]:
    """Every path below the folder, of any state, by absolute path (surrogate escapes for odd bytes).

    Includes what belongs to inner named folders, except those that are offline: their files are away,
    and whoever walks the outer folder must not take them for deleted.
    """
    root = session.scalars(select(Folder.path).where(Folder.id == folder_id)).one()
    rows = session.execute(
        select(
            VideoPath.path,
            VideoPath.id,
            VideoPath.video_id,
            Video.fingerprint,
            VideoPath.size,
            VideoPath.mtime_ns,
            VideoPath.state,
        )
        .join(Video, Video.id == VideoPath.video_id)
        .join(Folder, Folder.id == VideoPath.folder_id)
        .where(below(root), or_(VideoPath.folder_id == folder_id, Folder.state == "online"))
    )
    return {row[0]: KnownPath(*row[1:]) for row in rows}


def put_path(
    session: Session,
    folder_id: int,
    path: str | os.PathLike[str],
    size: int,
    mtime_ns: int,
    fingerprint: str,
) -> int:
    """Note that `path` is there with this content; the id of its video.

    A known fingerprint means a known video, so a renamed or copied file brings nothing new; a path whose
    content changed is pointed to another video. Clears an earlier failure of the path.
    """
    absolute = os.path.abspath(os.fsdecode(path))
    session.flush()
    connection = session.connection()
    new = {"fingerprint": fingerprint, "title": shown(Path(absolute).stem), "added_at": time.time()}
    connection.execute(ADD_VIDEO, new)
    video_id: int = connection.execute(FIND_VIDEO, {"fingerprint": fingerprint}).scalar_one()
    values = {"at": absolute, "video_id": video_id, "size": size, "mtime_ns": mtime_ns}
    if connection.execute(CHANGE_PATH, values).rowcount == 0:
        owner = nearest_folder(session, absolute, folder_id)
        connection.execute(ADD_PATH, values | {"folder_id": owner})
    connection.execute(CLEAR_FAILURE, {"at": absolute})
    return video_id


def mark_paths(session: Session, path_ids: Iterable[int], state: PathState) -> None:
    session.execute(
        update(VideoPath)
        .where(among(VideoPath.id, path_ids))
        .values(state=state)
        .execution_options(synchronize_session=False)
    )


def drop_gone_paths(session: Session) -> int:
    """Remove gone paths of videos that lie elsewhere too; answers how many. What is wholly gone is kept."""
    elsewhere = select(VideoPath.video_id).where(VideoPath.state != "gone")
    doomed = delete(VideoPath).where(VideoPath.state == "gone", VideoPath.video_id.in_(elsewhere))
    return session.connection().execute(doomed).rowcount


def gone_videos(session: Session) -> frozenset[int]:
    """Videos whose every file was deleted. What is known of them is kept, since a file may come back."""
    elsewhere = select(VideoPath.video_id).where(VideoPath.state != "gone")
    gone = select(VideoPath.video_id).where(VideoPath.state == "gone", VideoPath.video_id.not_in(elsewhere))
    return frozenset(session.scalars(gone))


def put_info(session: Session, video_id: int, info: VideoInfo) -> None:
    """Note what a video is; an info without a title keeps the file's name as one."""
    values: dict[str, object] = {
        name: getattr(info, name)
        for name in ("duration_s", "width", "height", "has_audio", "container", "codec")
    }
    if info.title:
        values["title"] = info.title
    session.execute(update(Video).where(Video.id == video_id).values(**values))


def video_of_path(session: Session, path: str | os.PathLike[str]) -> VideoRow | None:
    """The video that lies, or last lay, at `path`."""
    absolute = os.path.abspath(os.fsdecode(path))
    found = session.scalar(
        select(Video).join(VideoPath, VideoPath.video_id == Video.id).where(VideoPath.path == absolute)
    )
    return None if found is None else _row(found)


def size_and_time(session: Session, path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """(bytes, modification time in ns) with which `path` was last noted, None when it is not known."""
    absolute = os.path.abspath(os.fsdecode(path))
    row = session.execute(
        select(VideoPath.size, VideoPath.mtime_ns).where(VideoPath.path == absolute)
    ).first()
    return None if row is None else (row[0], row[1])


def any_below(session: Session, folder: str | os.PathLike[str]) -> bool:
    """Whether any known path lies below `folder`, gone ones included."""
    absolute = os.path.abspath(os.fsdecode(folder))
    return session.scalar(select(VideoPath.id).where(below(absolute)).limit(1)) is not None


def video(session: Session, video_id: int) -> VideoRow | None:
    found = session.get(Video, video_id)
    return None if found is None else _row(found)


def paths_with(session: Session, fingerprint: str) -> list[str]:
    """Where this content lies as far as is known, present paths only."""
    return list(
        session.scalars(
            select(VideoPath.path)
            .join(Video, Video.id == VideoPath.video_id)
            .where(Video.fingerprint == fingerprint, VideoPath.state == "present")
            .order_by(VideoPath.id)
        )
    )


def paths_of(session: Session, video_id: int) -> list[tuple[str, PathState]]:
    """Where a video lies, present paths first."""
    rows = session.execute(
        select(VideoPath.path, VideoPath.state)
        .where(VideoPath.video_id == video_id)
        .order_by(VideoPath.state.desc(), VideoPath.id)
    )
    return [(path, state) for path, state in rows]


def _row(found: Video) -> VideoRow:
    return VideoRow(
        found.id,
        found.fingerprint,
        found.duration_s,
        found.width,
        found.height,
        found.has_audio,
        found.container,
        found.codec,
        found.title,
        found.added_at,
    )
