"""Which clips a query's filters leave in the pool, and in which of them its exact words stand."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from m2hf_core.search.gallery import Gallery, GalleryClip
from m2hf_core.store import captions, transcripts
from m2hf_core.text.query_filters import Filters

NO_LIMIT = -1
"""SQLite reads a negative limit as none."""
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True, eq=False)
class ExactRows:
    """Where exact words stand: [N] over the gallery."""

    holding: npt.NDArray[np.bool_]
    """All phrases stand in the clip: spoken, in its file's name, or in a caption of it."""
    spoken: npt.NDArray[np.bool_]
    """Some phrase is spoken."""
    named: npt.NDArray[np.bool_]
    """Some phrase is in the file's name."""
    said_at: dict[int, float]
    """Row -> the second at which the first such line is heard."""


def passes(clip: GalleryClip, filters: Filters) -> bool:
    """Whether a clip's video fits every filter; what is not known of it fits none."""
    kinds = filters.types
    return (
        (not filters.folders or any(lies_in(clip, folder) for folder in filters.folders))
        and (not kinds or clip.path.suffix.lower().lstrip(".") in kinds)
        and (filters.before is None or (clip.modified is not None and clip.modified < filters.before))
        and (filters.since is None or (clip.modified is not None and clip.modified >= filters.since))
        and (filters.longer_s is None or (clip.duration_s is not None and clip.duration_s > filters.longer_s))
        and (
            filters.shorter_s is None or (clip.duration_s is not None and clip.duration_s < filters.shorter_s)
        )
        and ("speech" not in filters.has or clip.has_speech)
        and ("sound" not in filters.has or clip.has_sound is True)
    )


def lies_in(clip: GalleryClip, folder: str) -> bool:
    """Whether the clip's file does, as `folder_holds`."""
    return folder_holds(clip.path, folder)


def folder_holds(path: Path, folder: str) -> bool:
    """Whether whole folder names on the way to the file spell `folder`, in any case: `Holidays`, `2023/Lake`."""
    wanted = folder.replace("\\", "/").strip("/").casefold()
    return f"/{wanted}/" in f"/{path.parent.as_posix().casefold()}/"


def filter_rows(gallery: Gallery, filters: Filters) -> npt.NDArray[np.bool_] | None:
    """[N] True where the filters let a clip in; None when there are none."""
    if filters == Filters():
        return None
    return gallery.where(filters, passes)


def filter_notes(gallery: Gallery, filters: Filters) -> list[str]:
    """Why nothing passes, where a person may have mistyped."""
    notes = [
        f"No video lies in a folder called “{folder}”."
        for folder in filters.folders
        if not any(lies_in(clip, folder) for clip in gallery.clips)
    ]
    known = {clip.path.suffix.lower().lstrip(".") for clip in gallery.clips}
    notes.extend(f"No video is of type “{kind}”." for kind in filters.types if kind not in known)
    return notes or ["No video passes the filters."]


def exact_rows(gallery: Gallery, session: Session, phrases: Sequence[str]) -> ExactRows:
    """Find every phrase: the same words side by side, whatever their case and the signs between them."""
    size = len(gallery)
    rows_of = gallery.rows_by_video

    def within(video_id: int, start_s: float, end_s: float) -> list[int]:
        clips = gallery.clips
        return [r for r in rows_of.get(video_id, ()) if clips[r].start_s < end_s and clips[r].end_s > start_s]

    holding, spoken, named = np.ones(size, np.bool_), np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    said_at: dict[int, float] = {}
    for phrase in phrases:
        here = np.zeros(size, np.bool_)
        quoted = f'"{phrase}"'
        for line in transcripts.search_lines(session, quoted, NO_LIMIT):
            for row in within(line.video_id, line.start_s, line.end_s):
                here[row] = spoken[row] = True
                heard_s = max(line.start_s, gallery.clips[row].start_s)
                said_at[row] = min(heard_s, said_at.get(row, heard_s))
        for caption in captions.search_captions(session, quoted, NO_LIMIT):
            if caption.video_id is not None:
                start_s = 0.0 if caption.start_s is None else caption.start_s
                end_s = float("inf") if caption.end_s is None else caption.end_s
                here[within(caption.video_id, start_s, end_s)] = True
        if words := _spelled(phrase).strip():
            for rows in rows_of.values():
                if f" {words} " in _spelled(gallery.clips[rows[0]].path.stem):
                    named[list(rows)] = here[list(rows)] = True
        holding &= here
    return ExactRows(holding, spoken, named, said_at)


def _spelled(text: str) -> str:
    """The words of a text between single spaces, without case and accents."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return f" {' '.join(_WORD.findall(plain.casefold()))} "
