"""Builds the gallery from the store: every clip that can be found, with what each branch knows of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from m2hf_core.index import Segment
from m2hf_core.records import Branch
from m2hf_core.search.encoded import EncodedClips
from m2hf_core.search.gallery import Gallery, GalleryClip, SpokenLine
from m2hf_core.store import Store, clips, facts, transcripts
from m2hf_core.text.names import name_words


@dataclass(frozen=True, slots=True)
class Kept:
    """What one scorer keeps of the clips."""

    segments: Sequence[Segment] = ()
    branches: Sequence[str] = (Branch.VISUAL,)
    pooled_is_score: bool = True


NOTHING_KEPT = Kept()


def load_gallery(store: Store, kept: Kept = NOTHING_KEPT, former: Kept | None = None) -> Gallery:
    """All clips of present and offline videos, with what the active scorer keeps of them.

    `former`: what the models before keep of the clips that the active ones have not seen yet.
    """
    with store.library.reading() as session:
        rows = sorted(clips.searchable_clips(session), key=lambda row: row.clip_id)
        known = facts.path_facts(session)
        lines_by_video: dict[int, list[transcripts.LineNouns]] = defaultdict(list)
        for line in transcripts.iter_line_nouns(session):
            lines_by_video[line.video_id].append(line)
    names = {row.path: name_words(row.path) for row in rows}
    paths = {row.path: Path(row.path) for row in rows}
    ids = np.asarray([row.clip_id for row in rows], np.int64)
    return Gallery(
        [
            GalleryClip(
                row.clip_id,
                row.video_id,
                paths[row.path],
                row.start_s,
                row.end_s,
                row.offline,
                known[row.path].duration_s,
                _day(known[row.path].mtime_ns),
                known[row.path].has_audio,
                known[row.path].has_speech,
            )
            for row in rows
        ],
        _encoded(ids, kept),
        [_lines_within(row, lines_by_video.get(row.video_id, ())) for row in rows],
        [names[row.path] for row in rows],
        None if former is None else _encoded(ids, former),
    )


def _encoded(ids: npt.NDArray[np.int64], kept: Kept) -> EncodedClips:
    return EncodedClips(ids, kept.segments, kept.branches, kept.pooled_is_score)


def _day(mtime_ns: int) -> date | None:
    """The local day of a file time; None for one that no calendar holds, as broken disks have them."""
    try:
        return date.fromtimestamp(mtime_ns / 1e9)
    except (OverflowError, ValueError, OSError):
        return None


def _lines_within(row: clips.ClipRow, lines: Sequence[transcripts.LineNouns]) -> tuple[SpokenLine, ...]:
    return tuple(
        SpokenLine(max(line.start_s, row.start_s), frozenset(line.nouns))
        for line in lines
        if line.start_s < row.end_s and line.end_s > row.start_s
    )
