"""`VIDEO[@SECONDS]`, as commands take it: which video and clip it means, and what to say when it means none."""

from __future__ import annotations

import math
import os
from pathlib import Path

from app.services.folders import absolute_path
from app.services.library import Library
from m2hf_core.errors import KnownError, UsageError
from m2hf_core.store import clips, files
from m2hf_core.store.clips import ClipRow


def split_target(target: str) -> tuple[Path, float | None]:
    """A name that itself ends in @ and digits is taken as it is if such a file exists.

    Raises `KnownError` for half a character, which no file's name holds.
    """
    try:
        os.fsencode(target)
    except UnicodeEncodeError as error:
        raise KnownError("That is no file name.", "Check the spelling.", repr(error)) from error
    whole = absolute_path(Path(target))
    head, at, tail = target.rpartition("@")
    if not at or os.path.lexists(whole):
        return whole, None
    try:
        seconds = float(tail)
    except ValueError:
        return whole, None
    return absolute_path(Path(head)), seconds


def clip_of_target(library: Library, target: str) -> tuple[ClipRow, float | None]:
    """The clip that a target means (without seconds the first one), and the second that was asked for.

    An offline video is a good target: its features are here. Raises `KnownError` for a video that is not
    searchable, `UsageError` for a moment outside it.
    """
    path, seconds = split_target(target)
    with library.store.library.reading() as session:
        video = files.video_of_path(session, path)
        rows = clips.clips_of(session, video.video_id) if video is not None else []
    if not rows:
        raise _not_searchable(library, path)
    if seconds is None:
        return rows[0], None
    if not math.isfinite(seconds) or not 0 <= seconds < rows[-1].end_s:
        raise UsageError(
            f"{path.name} has no moment at {seconds:g} s.", f"It ends at {rows[-1].end_s:.1f} s."
        )
    begun = [row for row in rows if row.start_s <= seconds]
    return (begun or rows)[-1 if begun else 0], seconds


def _not_searchable(library: Library, path: Path) -> KnownError:
    with library.store.library.reading() as session:
        video = files.video_of_path(session, path)
        states = [] if video is None else [state for _, state in files.paths_of(session, video.video_id)]
    if states and set(states) == {"gone"}:
        return KnownError(
            f"{path} was deleted or moved out of the library.", "Put it back, then m2hf-app index."
        )
    if video is None and os.path.isdir(path):
        return KnownError(f"{path} is a folder.", "Give one of the videos in it.")
    if video is None and not os.path.lexists(path):
        return KnownError(
            f"There is no file {path}, and the library knows none by that name.", "Check the spelling."
        )
    return KnownError(f"{path} is not searchable yet.", "Index its folder first, or see: m2hf-app failures")
