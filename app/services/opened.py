"""What the owner looks at is extracted before everything else, also where its job is only made later.

A video is known as soon as its folder has been looked through, and its job follows a moment later, or once the first
worker has said what it offers. Whoever opens a video in between means it all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.orm import Session

from app.services.library import Library
from m2hf_core.store import files, jobs


def look_at(library: Library, videos: Sequence[int | Path]) -> int:
    """Give these videos, or what waits in these folders, the highest priority; those that had it become ordinary.

    Answers how many videos that are.
    """
    with library.store.library.writing() as session:
        ids = _ids(session, videos)
        jobs.reset_opened(session)
        jobs.set_priority(session, ids, jobs.OPENED)
    return len(ids)


class Opened:
    """Remembers what was looked at last, for the jobs that come later."""

    def __init__(self) -> None:
        self._videos: Sequence[int | Path] = ()

    def look_at(self, library: Library, videos: Sequence[int | Path]) -> int:
        """See the function of this name."""
        self._videos = videos
        return look_at(library, videos)

    def keep_first(self, library: Library) -> None:
        """To be called after jobs were made; what goes first already is left as it is."""
        if self._videos:
            with library.store.library.writing() as session:
                jobs.set_priority(session, _ids(session, self._videos), jobs.OPENED, only_raise=True)


def _ids(session: Session, videos: Sequence[int | Path]) -> set[int]:
    ids: set[int] = set()
    for video in videos:
        if isinstance(video, int):
            ids.add(video)
        elif found := files.video_of_path(session, video):
            ids.add(found.video_id)
        else:
            ids.update(id_ for id_, path in jobs.waiting(session) if video in Path(path).parents)
    return ids
