"""Builds the gallery from the store: every clip that can be found, with what each branch knows of it."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from m2hf_core.records import Feature
from m2hf_core.search.gallery import FloatArray, Gallery, GalleryClip, SpokenLine, build_gallery
from m2hf_core.store import Store, clips, facts, features, transcripts
from m2hf_core.text.names import name_words

MAX_FRAMES = 12


def load_gallery(store: Store, clip_extractor: str | None) -> Gallery:
    """All clips of present and offline videos; frame features are those of `clip_extractor`, if any."""
    with store.library.reading() as session:
        rows = clips.searchable_clips(session)
        known = facts.path_facts(session)
        lines_by_video: dict[int, list[transcripts.LineNouns]] = defaultdict(list)
        for line in transcripts.iter_line_nouns(session):
            lines_by_video[line.video_id].append(line)
    by_fingerprint: dict[str, Feature] = {}
    if clip_extractor is not None:
        with store.features.reading() as session:
            by_fingerprint = dict(features.iter_features(session, clip_extractor))
    names = {row.path: name_words(row.path) for row in rows}
    return build_gallery(
        clips=[
            GalleryClip(
                row.clip_id,
                row.video_id,
                Path(row.path),
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
        frames=[_frames_of(row, by_fingerprint.get(row.fingerprint)) for row in rows],
        lines=[_lines_within(row, lines_by_video[row.video_id]) for row in rows],
        names=[names[row.path] for row in rows],
    )


def _day(mtime_ns: int) -> date | None:
    """The local day of a file time; None for one that no calendar holds, as broken disks have them."""
    try:
        return date.fromtimestamp(mtime_ns / 1e9)
    except (OverflowError, ValueError, OSError):
        return None


def _frames_of(
    row: clips.ClipRow, feature: Feature | None
) -> tuple[FloatArray, npt.NDArray[np.float64]] | None:
    """A clip's frames [F <= 12, d] and the middle of each frame's cell [F], None without any."""
    if feature is None:
        return None
    first = bisect_left(feature.start_s, row.start_s - 1e-6)
    end = bisect_left(feature.start_s, row.end_s - 1e-6)
    if end <= first:
        return None
    chosen = np.arange(first, end)
    if len(chosen) > MAX_FRAMES:
        # First and last included, as the paper's uniform sampling.
        chosen = chosen[np.linspace(0, len(chosen) - 1, MAX_FRAMES).astype(np.int64)]
    middles = (feature.start_s[chosen] + feature.end_s[chosen]) / 2
    return np.asarray(feature.values[chosen], np.float32), middles


def _lines_within(row: clips.ClipRow, lines: list[transcripts.LineNouns]) -> tuple[SpokenLine, ...]:
    return tuple(
        SpokenLine(max(line.start_s, row.start_s), frozenset(line.nouns))
        for line in lines
        if line.start_s < row.end_s and line.end_s > row.start_s
    )
