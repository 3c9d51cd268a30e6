"""What is searchable, what is not, and how much is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from m2hf_core.store.models import Clip

VideoState = Literal["ready", "queued", "running", "failed", "offline"]
VIDEO_STATES: tuple[VideoState, ...] = ("ready", "queued", "running", "failed", "offline")

# Offline goes before everything else: such a video is neither worked on nor played, whatever its job says.
BY_STATE = text(
    """
    SELECT state, COUNT(*), COALESCE(SUM(duration_s), 0), SUM(duration_s IS NULL) FROM (
        SELECT video.duration_s, CASE
            WHEN NOT EXISTS (SELECT 1 FROM path WHERE video_id = video.id AND state = 'present') THEN 'offline'
            WHEN job.state = 'done' THEN 'ready'
            WHEN job.state = 'leased' THEN 'running'
            WHEN job.state = 'failed' THEN 'failed'
            ELSE 'queued' END AS state
        FROM video LEFT JOIN job ON job.video_id = video.id
        WHERE EXISTS (SELECT 1 FROM path WHERE video_id = video.id AND state IN ('present', 'offline'))
    ) GROUP BY state
    """
)


@dataclass(frozen=True, slots=True)
class Status:
    videos: Mapping[VideoState, int]
    """Every video that is not gone, in exactly one state."""
    seconds_done: float
    seconds_left: float
    """Of videos queued and running whose duration is known."""
    unmeasured: int
    """Videos queued and running that nobody has looked into yet."""
    clips: int


def status(session: Session) -> Status:
    """One moment's figures.

    Coverage per extractor is `features.coverage`, of speech `transcripts.videos_listened_to`.
    """
    found = {state: (count, seconds, unknown) for state, count, seconds, unknown in session.execute(BY_STATE)}
    rows = {state: found.get(state, (0, 0.0, 0)) for state in VIDEO_STATES}
    left = [rows["queued"], rows["running"]]
    return Status(
        videos={state: row[0] for state, row in rows.items()},
        seconds_done=rows["ready"][1],
        seconds_left=sum(row[1] for row in left),
        unmeasured=sum(row[2] for row in left),
        clips=session.scalars(select(func.count()).select_from(Clip)).one(),
    )


BY_FOLDER = text(
    """
    SELECT path.folder_id, COUNT(DISTINCT path.video_id),
        COUNT(DISTINCT CASE WHEN job.state = 'done' THEN path.video_id END),
        COUNT(DISTINCT CASE WHEN job.state = 'failed' THEN path.video_id END)
    FROM path LEFT JOIN job ON job.video_id = path.video_id
    WHERE path.state IN ('present', 'offline') GROUP BY path.folder_id
    """
)


@dataclass(frozen=True, slots=True)
class FolderCounts:
    """Videos of one folder, those of inner named folders left out."""

    videos: int
    ready: int
    failed: int


def counts_by_folder(session: Session) -> dict[int, FolderCounts]:
    """Per folder id; a folder without videos is not in it."""
    return {folder: FolderCounts(*counts) for folder, *counts in session.execute(BY_FOLDER)}
