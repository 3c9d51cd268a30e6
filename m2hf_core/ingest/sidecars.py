"""Notices subtitle files that appear, change or vanish beside videos which are indexed already.

A video's content does not change by them, so they are a want of their own: the job of a video with sidecar files wants
their stamp beside its extractors, and is due again when the stamp is another one.
"""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from pathlib import Path

from sqlalchemy.orm import Session

from m2hf_core.store import jobs

SUFFIXES = (".srt", ".vtt")
MARK = "sidecar:"
NONE = f"{MARK}none"
"""The stamp of a video whose sidecar files are gone."""
WORDS = ("nouns:", MARK)
"""What wants with these beginnings have brought stands in the library with the job, not among the features."""

Beside = tuple[str, int, int]
"""Name, size and time of change of one file."""
Listing = Callable[[Path], list[Beside] | None]


def queue_wanted(session: Session, videos: Mapping[int, Sequence[str]], extractors: Collection[str]) -> int:
    """Want these extractors for videos (id -> present paths), and their subtitles as they are now.

    Answers how many jobs became queued. A folder that cannot be read leaves its videos' subtitles as they were.
    """
    stamped = {
        video_id: mark
        for video_id, wanted in jobs.wanted_by_video(session).items()
        for mark in wanted
        if mark.startswith(MARK)
    }
    also: dict[int, str] = {}
    listed = cache(_subtitle_files)
    for video_id, paths in videos.items():
        found = _stamp([Path(path) for path in paths], listed, stamped.get(video_id))
        if found is not None:
            also[video_id] = found
    return jobs.queue(session, videos, extractors, also=also)


def left_to_do(
    wanted: Collection[str], done_with: Collection[str], stored: Collection[str]
) -> frozenset[str]:
    """What a worker is asked for: features that are not stored, and all words unless all are done."""
    words = {name for name in wanted if name.startswith(WORDS)}
    features = set(wanted) - words - set(stored)
    return frozenset(features if words <= set(done_with) else features | words)


def _stamp(paths: Sequence[Path], listed: Listing, before: str | None) -> str | None:
    """A digest of all subtitle files beside a video; None for one that never had any.

    Of their names only what follows the video's counts: renamed together, they are the same words.
    """
    beside: list[Beside] = []
    for path in paths:
        files = listed(path.parent)
        if files is None:
            return before
        stem = f"{path.stem}."
        first = bisect_left(files, (stem, 0, 0))
        for file in files[first:]:
            if not file[0].startswith(stem):
                break
            beside.append((file[0].removeprefix(stem), *file[1:]))
    if not beside:
        return None if before is None else NONE
    return (
        MARK
        + hashlib.blake2s(repr(sorted(beside)).encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()
    )


def _subtitle_files(folder: Path) -> list[Beside] | None:
    """Those in a folder, by name; None when it cannot be read."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.lower().endswith(SUFFIXES):
                    status = entry.stat()
                    found.append((entry.name, status.st_size, status.st_mtime_ns))
    except OSError:
        return None
    return sorted(found)
