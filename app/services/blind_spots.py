"""What an answer could not take into account, and how looking at it gets it done sooner."""

from __future__ import annotations

from pathlib import Path

from app.services.library import Library
from m2hf_core.search.narrow import folder_holds
from m2hf_core.store import features, folders, jobs, status
from m2hf_core.text.query import parse_query

_UNSENSED = {"vggish": "heard", "s3d": "watched for movement"}


def blind_spots(library: Library) -> tuple[str, ...]:
    """In words, for every answer."""
    with library.store.library.reading() as session:
        counts = status.status(session).videos
        away = sum(row.state == "offline" for row in folders.list_folders(session))
    with library.store.features.reading() as session:
        covered = features.coverage(session)
    spots = []
    if waiting := counts["queued"] + counts["running"]:
        spots.append(f"not extracted yet: {counted(waiting, 'video')} (m2hf-app index)")
    offered = library.offer().fingerprints
    for kind, done in _UNSENSED.items():
        if "clip" in offered and kind in offered:
            lacking = covered.get(offered["clip"], 0) - covered.get(offered[kind], 0)
            if lacking > 0:
                spots.append(f"not yet {done}: {counted(lacking, 'video')} (m2hf-app index)")
    if counts["failed"]:
        spots.append(f"could not be read: {counted(counts['failed'], 'file')} (m2hf-app failures)")
    if counts["offline"]:
        where = f" in {counted(away, 'folder')}" if away else ""
        spots.append(f"offline, so not to be played now: {counted(counts['offline'], 'video')}{where}")
    return tuple(spots)


def raise_priority(library: Library, query: str = "") -> int:
    """Let what the query could not see be extracted first: waiting videos that its `in:` filters let in, else all.

    Answers how many. Needs a library that was opened for writing.
    """
    wanted = parse_query(query).filters.folders
    with library.store.library.writing() as session:
        waiting = [
            video_id
            for video_id, path in jobs.waiting(session)
            if not wanted or any(folder_holds(Path(path), folder) for folder in wanted)
        ]
        jobs.set_priority(session, waiting, jobs.LOOKED_AT, only_raise=True)
    return len(set(waiting))


def counted(number: int, noun: str) -> str:
    """`1 video`, `2 videos`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
