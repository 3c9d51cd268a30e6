"""What the window shows of the library beside search results: one look at everything, and one video's words."""

from __future__ import annotations

from pathlib import Path

from app.services.library import Library
from app.services.status import library_status
from app.services.views import FolderView, Overview
from m2hf_core.records import Line
from m2hf_core.store import captions, files, folders, status, transcripts

EXAMPLES = 3
SHORT = 60
"""Characters of an example that a field can show."""


def overview(library: Library) -> Overview:
    """Everything that the panels show, in a few short reads."""
    now = library_status(library)
    with library.store.library.reading() as session:
        counts = status.counts_by_folder(session)
        rows = [row for row in folders.list_folders(session) if row.watched or row.folder_id in counts]
    nothing = status.FolderCounts(0, 0, 0)
    views = []
    for row in rows:
        count = counts.get(row.folder_id, nothing)
        online = row.state == "online"
        told = (count.videos, count.ready, count.failed)
        views.append(FolderView(row.folder_id, Path(row.path), online, *told, watched=row.watched))
    return Overview(
        folders=tuple(views),
        videos={str(name): count for name, count in now.videos.items()},
        clips=now.clips,
        preset_id=library.preset.id,
        preset_title=library.preset.title,
        scorer=now.scorer_id,
        asleep=dict(now.asleep),
        examples=_examples(library),
        fusion=str(library.settings.get("fusion")),
    )


def _examples(library: Library) -> tuple[str, ...]:
    with library.store.library.reading() as session:
        bank = sorted((row.text for row in captions.list_captions(session, limit=200)), key=len)
        texts = [text for text in bank if len(text) <= SHORT][: EXAMPLES - 1]
        spoken = next(transcripts.iter_line_nouns(session), None)
    if spoken is not None:
        texts.append(f"speech:{spoken.nouns[0]}")
    return tuple(texts)


def spoken_lines(library: Library, video: Path) -> tuple[Line, ...]:
    """Everything that is said in a video, in time; empty when it has no words or is not known."""
    with library.store.library.reading() as session:
        found = files.video_of_path(session, video)
        if found is None:
            return ()
        return tuple(row.line for row in transcripts.lines_of(session, found.video_id))


def poster_of(library: Library, video: Path) -> Path | None:
    """The picture that indexing kept of a video."""
    with library.store.library.reading() as session:
        found = files.video_of_path(session, video)
    if found is None:
        return None
    poster = library.paths.thumbnails / f"{found.fingerprint}.jpg"
    return poster if poster.is_file() else None
