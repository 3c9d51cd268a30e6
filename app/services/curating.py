"""What the owner says of moments: captions in own words, and which captions are right or wrong for a moment.

Every function has its inverse beside it, so that the window can undo.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from app.services.bank import MAX_CAPTION
from app.services.library import Library
from m2hf_core.errors import KnownError
from m2hf_core.store import captions, files, pins
from m2hf_core.store.captions import NewCaption

Verdict = Literal["right", "wrong"]


def caption_moment(library: Library, text: str, video: Path, start_s: float, end_s: float) -> bool:
    """Add a caption of the owner's to a moment; False when it was there already. Raises `KnownError`."""
    words = " ".join(text.split())
    if not words or len(words) > MAX_CAPTION:
        raise KnownError(f"A caption has 1 to {MAX_CAPTION} characters; this one has {len(words)}.")
    video_id = _video_id(library, video)
    with library.store.library.writing() as session:
        return bool(captions.add_captions(session, [NewCaption(words, "own", video_id, start_s, end_s)]))


def uncaption_moment(library: Library, text: str, video: Path, start_s: float, end_s: float) -> bool:
    """Take an own caption of a moment away again; False when there was none."""
    words = " ".join(text.split())
    video_id = _video_id(library, video)
    with library.store.library.reading() as session:
        doomed = [
            row.caption_id
            for row in captions.list_captions(session, source="own", video_id=video_id)
            if row.text == words and (row.start_s, row.end_s) == (start_s, end_s)
        ]
    with library.store.library.writing() as session:
        return bool(captions.delete_captions(session, doomed))


def judge(library: Library, text: str, video: Path, start_s: float, end_s: float, verdict: Verdict) -> None:
    """Note that these words are right or wrong for a moment; training and the check of a scorer learn from it."""
    video_id = _video_id(library, video)
    with library.store.library.writing() as session:
        pins.put_pin(session, text, video_id, start_s, end_s, verdict)


def unjudge(library: Library, text: str, video: Path, start_s: float, end_s: float) -> bool:
    """Take a verdict back; False when there was none."""
    video_id = _video_id(library, video)
    with library.store.library.writing() as session:
        return pins.remove_pin(session, text, video_id, start_s, end_s)


def _video_id(library: Library, video: Path) -> int:
    with library.store.library.reading() as session:
        found = files.video_of_path(session, video)
    if found is None:
        raise KnownError(f"{video.name} is not in this library any more.", "Search again.")
    return found.video_id
