"""Everything that search compares a query with, held in memory and rebuilt from the store when that changes.

Arrays are in clip order, which is ascending clip id, so a clip's row is found by bisection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from m2hf_core.index import ExactIndex
from m2hf_core.model.speech import SpokenNouns

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class GalleryClip:
    """One row of the gallery as the store knows it."""

    clip_id: int
    video_id: int
    path: Path
    start_s: float
    end_s: float
    offline: bool = False
    duration_s: float | None = None
    """Of the whole video."""
    modified: date | None = None
    """The local day on which the file was last changed."""
    has_sound: bool | None = None
    has_speech: bool = False
    """Whether anything is said in the video."""


@dataclass(frozen=True, slots=True)
class SpokenLine:
    """A transcript line within a clip, with its noun set."""

    start_s: float
    nouns: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """N clips and what each branch knows of them."""

    clips: Sequence[GalleryClip]
    ids: npt.NDArray[np.int64]
    """[N] ascending clip ids."""
    width: int
    """d of the frame features; 0 when no clip has any."""
    frames: Sequence[FloatArray | None]
    """Per clip the L2-normalised frame features [F, d], F <= 12, or None where they are not extracted."""
    frame_times: Sequence[npt.NDArray[np.float64] | None]
    seen: npt.NDArray[np.bool_]
    """[N]: whether frame features are there."""
    pooled: ExactIndex | None
    """The mean of each clip's normalised frames, one row per seen clip in clip order; None without any."""
    lines: Sequence[tuple[SpokenLine, ...]]
    nouns: Sequence[frozenset[str]]
    """Per clip the union of its lines' noun sets."""
    spoken: SpokenNouns
    """The same as an inverted index."""
    names: Sequence[frozenset[str]]
    """Per clip the words of its file name."""

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def videos(self) -> int:
        return len({clip.video_id for clip in self.clips})

    def row_of(self, clip_id: int) -> int | None:
        """The row of a clip, None when it is not in the gallery."""
        row = int(np.searchsorted(self.ids, clip_id))
        return row if row < len(self.ids) and self.ids[row] == clip_id else None


def unit_rows(values: npt.NDArray[np.floating]) -> FloatArray:
    """Rows [n, d] scaled to length one; zero rows stay zero."""
    rows = np.asarray(values, np.float32)
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: FloatArray = rows / np.maximum(norms, np.float32(1e-12))
    return unit


def build_gallery(
    clips: Sequence[GalleryClip],
    frames: Sequence[tuple[FloatArray, npt.NDArray[np.float64]] | None],
    lines: Sequence[tuple[SpokenLine, ...]],
    names: Sequence[frozenset[str]],
) -> Gallery:
    """Assemble a gallery from parallel sequences; `frames` holds (features [F, d], times [F]) or None."""
    order = sorted(range(len(clips)), key=lambda row: clips[row].clip_id)
    unit = [
        unit_rows(found[0]) if (found := frames[row]) is not None and len(found[0]) else None for row in order
    ]
    seen = np.asarray([rows is not None for rows in unit], np.bool_)
    ids = np.asarray([clips[row].clip_id for row in order], np.int64)
    means = [rows.mean(axis=0) for rows in unit if rows is not None]
    pooled = ExactIndex(len(means[0])) if means else None
    if pooled is not None:
        pooled.add(ids[seen], np.stack(means))
    times = [frames[row] for row in order]
    nouns = [frozenset[str]().union(*(line.nouns for line in lines[row])) for row in order]
    return Gallery(
        clips=[clips[row] for row in order],
        ids=ids,
        width=pooled.width if pooled is not None else 0,
        frames=unit,
        frame_times=[None if found is None else found[1] for found in times],
        seen=seen,
        pooled=pooled,
        lines=[lines[row] for row in order],
        nouns=nouns,
        spoken=SpokenNouns(nouns),
        names=[names[row] for row in order],
    )
