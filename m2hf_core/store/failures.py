"""Files that did not get through, in words for their owner, and how they are tried again."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from sqlalchemy import delete, select, true, update
from sqlalchemy.orm import Session

from m2hf_core.records import Failure
from m2hf_core.store import clips
from m2hf_core.store.jobs import FRESH
from m2hf_core.store.models import Job, PathFailure, Video, VideoPath
from m2hf_core.store.sql import among

SHORT = "length"
"""The stage under which a video is set aside for being too short."""


def put_path_failure(
    session: Session, folder_id: int, path: str | os.PathLike[str], stage: str, reason: str, hint: str
) -> None:
    """Note a file that failed before it had a fingerprint (no permission, gone at the moment of reading).

    Nothing is quarantined by it: whoever sees the file again tries again, and `put_path` clears the note.
    """
    absolute = os.path.abspath(os.fsdecode(path))
    row = session.scalar(select(PathFailure).where(PathFailure.path == absolute))
    if row is None:
        row = PathFailure(folder_id=folder_id, path=absolute, attempts=0)
        session.add(row)
    row.stage, row.reason, row.hint = stage, reason, hint
    row.attempts += 1
    session.flush()


def clear_path_failures(session: Session, paths: Collection[str]) -> None:
    """Drop the notes on files that are not there any more."""
    for path in paths:
        session.execute(delete(PathFailure).where(PathFailure.path == os.path.abspath(path)))


def path_failures(session: Session, folder_id: int) -> list[str]:
    """The paths below one folder that could not be read, for the reconcile to compare with what it finds."""
    rows = select(PathFailure.path).where(PathFailure.folder_id == folder_id)
    return list(session.scalars(rows.order_by(PathFailure.path)))


def failures(session: Session) -> list[Failure]:
    """All failures of files that are not gone, by path; a video with several paths once, a present one preferred."""
    lying = (
        select(VideoPath.id)
        .where(VideoPath.video_id == Job.video_id, VideoPath.state.in_(("present", "offline")))
        .order_by(VideoPath.state.desc(), VideoPath.id)
        .limit(1)
        .correlate(Job)
        .scalar_subquery()
    )
    of_videos = session.execute(
        select(
            VideoPath.path, Video.fingerprint, Job.stage, Job.reason, Job.hint, Job.attempts, Job.quarantined
        )
        .select_from(Job)
        .join(VideoPath, VideoPath.id == lying)
        .join(Video, Video.id == Job.video_id)
        .where(Job.state == "failed")
    )
    found = [
        Failure(Path(path), fingerprint, stage or "", reason or "", hint or "", attempts, quarantined)
        for path, fingerprint, stage, reason, hint, attempts, quarantined in of_videos
    ]
    found += [
        Failure(Path(row.path), None, row.stage, row.reason, row.hint, row.attempts, quarantined=False)
        for row in session.scalars(select(PathFailure))
    ]
    return sorted(found, key=lambda failure: os.fsencode(failure.path))


def retry_failed(session: Session, fingerprints: Collection[str] | None = None) -> int:
    """Queue failed videos again, quarantined or not: those with these fingerprints, or all. Answers how many.

    With None the notes on unreadable paths go too; the reconcile that follows looks at those files afresh.
    """
    again = update(Job).where(Job.state == "failed").values(**FRESH)
    if fingerprints is None:
        session.execute(delete(PathFailure))
    else:
        chosen = select(Video.id).where(among(Video.fingerprint, fingerprints))
        again = again.where(Job.video_id.in_(chosen))
    session.expire_all()
    return session.connection().execute(again).rowcount


def set_aside_short(session: Session, shortest_s: float, video_id: int | None = None) -> int:
    """Take videos that are shorter than `shortest_s` out of the search, and those back in that no longer are.

    Looks at one video, or at all; answers how many were queued again. Their features stay, so that a changed mind
    costs no extraction.
    """
    of = Job.video_id == video_id if video_id is not None else true()
    lengths = select(Video.id).where(Video.duration_s < shortest_s)
    short = list(
        session.scalars(select(Job.video_id).where(of, Job.state == "done", Job.video_id.in_(lengths)))
    )
    for found in short:
        clips.replace_clips(session, found, [])
    aside = update(Job).where(among(Job.video_id, short))
    connection = session.connection()
    connection.execute(
        aside.values(
            state="failed",
            quarantined=True,
            done_with=[],
            stage=SHORT,
            reason=f"It is shorter than {shortest_s:g} s, the least that is wanted.",
            hint="Take such videos in with: m2hf-app settings set shortest_s 0",
        )
    )
    again = update(Job).where(of, Job.state == "failed", Job.stage == SHORT, Job.video_id.not_in(lengths))
    session.expire_all()
    return connection.execute(again.values(**FRESH)).rowcount
