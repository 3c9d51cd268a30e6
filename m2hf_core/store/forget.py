"""Removes videos with everything that hangs on them, from both files.

The library goes first: a crash in between leaves features that nobody asks for, which the next sweep removes,
and never a video that claims features it does not have.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.orm import Session

from m2hf_core.store import features, meta
from m2hf_core.store.models import Video, VideoPath
from m2hf_core.store.sql import among
from m2hf_core.store.store import Store

PASSED_OVER = "passed-over"


def passed_over(session: Session) -> frozenset[str]:
    """Paths whose videos the owner had forgotten: they are not taken in again while their folder is watched."""
    stored = meta.get_value(session, PASSED_OVER)
    return (
        frozenset(os.fsdecode(bytes.fromhex(path)) for path in json.loads(stored)) if stored else frozenset()
    )


def pass_over(session: Session, paths: Iterable[str]) -> None:
    """Do not take these paths in again."""
    _put_passed_over(session, passed_over(session) | set(paths))


def take_in_again(session: Session, folder: str) -> None:
    """Forget that anything in `folder`, or that path itself, was to be passed over."""
    below = folder.rstrip(os.sep) + os.sep
    kept = {path for path in passed_over(session) if path != folder and not path.startswith(below)}
    _put_passed_over(session, kept)


def _put_passed_over(session: Session, paths: Iterable[str]) -> None:
    meta.put_value(session, PASSED_OVER, json.dumps(sorted(os.fsencode(path).hex() for path in paths)))
    session.flush()


def forget_videos(store: Store, video_ids: Iterable[int]) -> int:
    """Remove these videos, their paths, clips, transcripts, captions, jobs and features; answers how many."""
    with store.library.writing() as session:
        doomed = _delete_videos(session, among(Video.id, video_ids))
    with store.features.writing() as session:
        features.delete_for(session, doomed)
    return len(doomed)


def sweep(store: Store) -> int:
    """Remove videos without any path, and features without a video; answers how many videos went.

    Run after a reconcile, not during: while files are renamed across each other a video may have no path
    for a moment.
    """
    with store.library.writing() as session:
        doomed = _delete_videos(session, ~exists().where(VideoPath.video_id == Video.id))
    with store.features.writing() as session:
        # Read inside the write transaction: features that arrive later are not looked at.
        with store.library.reading() as looking:
            known = set(looking.scalars(select(Video.fingerprint)))
        features.delete_for(session, features.fingerprints(session) - known)
    return len(doomed)


def _delete_videos(session: Session, which: ColumnElement[bool]) -> list[str]:
    """Delete and answer their fingerprints; the foreign keys take everything else along."""
    doomed = list(session.scalars(select(Video.fingerprint).where(which)))
    session.connection().execute(delete(Video).where(among(Video.fingerprint, doomed)))
    return doomed
