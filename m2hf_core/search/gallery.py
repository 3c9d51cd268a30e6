"""Everything that search compares a query with, held in memory and rebuilt from the store when that changes.

Arrays are in clip order, which is ascending clip id, so a clip's row is found by bisection.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TypeVar, overload

import numpy as np
import numpy.typing as npt

from m2hf_core.index import MappedIndex, Segment
from m2hf_core.index.vectors import unit_rows
from m2hf_core.model.ranks import BoolArray
from m2hf_core.model.speech import SpokenNouns
from m2hf_core.records import Branch
from m2hf_core.search.encoded import EncodedClips, frame_arrays
from m2hf_core.text.query_filters import Filters

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


class Gallery:
    """N clips and what each branch knows of them."""

    def __init__(
        self,
        clips: Sequence[GalleryClip],
        encoded: EncodedClips,
        lines: Sequence[tuple[SpokenLine, ...]],
        names: Sequence[frozenset[str]],
        former: EncodedClips | None = None,
    ) -> None:
        """All in clip order. `encoded` is what the active scorer keeps; `former` what the models before it keep of
        the clips that the active ones have not seen yet."""
        self.clips, self.encoded, self.former, self.lines, self.names = clips, encoded, former, lines, names
        self.ids = encoded.ids
        """[N] ascending clip ids."""
        self.nouns = [frozenset[str]().union(*(line.nouns for line in own)) for own in lines]
        """Per clip the union of its lines' noun sets."""
        self.spoken = SpokenNouns(self.nouns)
        """The same as an inverted index."""
        self.named = SpokenNouns(names)
        """The words of each clip's file name, as an inverted index."""
        self._filtered: dict[Filters, BoolArray] = {}

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def width(self) -> int:
        """d of the frame features; 0 when no clip has any."""
        return self.encoded.width

    @property
    def seen(self) -> BoolArray:
        """[N]: whether frame features are there."""
        return self.encoded.seen

    @property
    def pooled(self) -> MappedIndex | None:
        """The visual branch's one vector per clip; None when no clip was looked at."""
        index = self.encoded.index.get(Branch.VISUAL)
        return index if index is not None and len(index) else None

    @property
    def frames(self) -> Sequence[FloatArray | None]:
        """Per clip the visual branch's unit frames [F, d], F <= 12, or None where they are not extracted."""
        return _Lazy(
            len(self), lambda row: self.encoded.frames(row, Branch.VISUAL) if self.seen[row] else None
        )

    @cached_property
    def videos(self) -> int:
        return len(self.rows_by_video)

    @cached_property
    def rows_by_video(self) -> Mapping[int, Sequence[int]]:
        """Video id -> its rows, in time."""
        found: dict[int, list[int]] = defaultdict(list)
        for row, clip in enumerate(self.clips):
            found[clip.video_id].append(row)
        for rows in found.values():
            rows.sort(key=lambda row: self.clips[row].start_s)
        return found

    def row_of(self, clip_id: int) -> int | None:
        """The row of a clip, None when it is not in the gallery."""
        row = int(np.searchsorted(self.ids, clip_id))
        return row if row < len(self.ids) and self.ids[row] == clip_id else None

    def where(self, filters: Filters, passes: Callable[[GalleryClip, Filters], bool]) -> BoolArray:
        """[N] True where a clip's video passes; asked once per video, and remembered while the filters stay."""
        if filters not in self._filtered:
            rows = np.zeros(len(self), np.bool_)
            for own in self.rows_by_video.values():
                rows[list(own)] = passes(self.clips[own[0]], filters)
            self._filtered = {filters: rows}
        return self._filtered[filters]


T = TypeVar("T")


class _Lazy(Sequence[T]):
    """A sequence whose items are made when they are asked for."""

    def __init__(self, size: int, make: Callable[[int], T]) -> None:
        self._size, self._make = size, make

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, row: int) -> T: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[T]: ...
    def __getitem__(self, row: int | slice) -> T | Sequence[T]:
        if isinstance(row, slice):
            return [self._make(each) for each in range(*row.indices(self._size))]
        if not -self._size <= row < self._size:
            raise IndexError(row)
        return self._make(row % self._size)


def build_gallery(
    clips: Sequence[GalleryClip],
    frames: Sequence[tuple[FloatArray, npt.NDArray[np.float64]] | None],
    lines: Sequence[tuple[SpokenLine, ...]],
    names: Sequence[frozenset[str]],
) -> Gallery:
    """A gallery in memory for the scorer before training; `frames` holds (features [F, d], times [F]) or None."""
    order = sorted(range(len(clips)), key=lambda row: clips[row].clip_id)
    ids = np.asarray([clips[row].clip_id for row in order], np.int64)
    kept = [
        (clips[row].clip_id, *found) for row in order if (found := frames[row]) is not None and len(found[0])
    ]
    segments = []
    if kept:
        own, values, times = zip(*kept, strict=True)
        arrays = frame_arrays(own, [unit_rows(rows) for rows in values], times)
        segments = [Segment("memory", arrays, np.ones(len(own), np.bool_))]
    return Gallery(
        [clips[row] for row in order],
        EncodedClips(ids, segments, (Branch.VISUAL,), pooled_is_score=True),
        [lines[row] for row in order],
        [names[row] for row in order],
    )
