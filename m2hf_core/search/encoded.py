"""What one scorer keeps of the clips, as search reads it: per branch the unit frames, their weights, and one vector.

The arrays are segments of `m2hf_core.index`, mapped from disk, so they cost address space and page cache but no
memory of the program. Frames of a segment lie clip after clip without padding; `start` and `count` say whose they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from m2hf_core.index import CodedRows, MappedIndex, Part, Segment, quick_codes
from m2hf_core.index.mapped import runs
from m2hf_core.index.threads import each
from m2hf_core.model.ranks import BoolArray
from m2hf_core.search.meeting import DenseQuery, FloatArray

Places = npt.NDArray[np.int64]


AT_ONCE = 32
"""Clips whose frames are read, widened and compared together: 0.8 MB at width 512, which a core's own cache holds."""


@dataclass(frozen=True, slots=True, eq=False)
class _Picked:
    """Where the frames of some clips lie, which is the same for every branch."""

    rows: Places
    """[R] rows of frames in their segments, clip after clip."""
    runs: Sequence[tuple[int, int, int]]
    """(segment, first, end) of the stretches of `rows`."""
    counts: Places
    """[P] frames of each clip."""


class EncodedClips:
    """N clips in the gallery's order; many have nothing here (not yet looked at), some lack a branch."""

    def __init__(
        self, ids: Places, segments: Sequence[Segment], branches: Sequence[str], pooled_is_score: bool
    ) -> None:
        """`ids` [N] ascending. `pooled_is_score`: one product per clip is the score itself (before training)."""
        self.ids, self.branches, self.pooled_is_score = ids, tuple(branches), pooled_is_score
        self.segments = tuple(segments)
        self._arrays = [{name: np.asarray(a) for name, a in segment.arrays.items()} for segment in segments]
        self._segment = np.full(len(ids), -1, np.int32)
        self._place = np.zeros(len(ids), np.int64)
        self._start = np.zeros(len(ids), np.int64)
        self._count = np.zeros(len(ids), np.int64)
        places = []
        for number, segment in enumerate(segments):
            rows = _rows_of(ids, np.asarray(segment.ids))
            rows[~segment.alive] = -1
            taken = np.flatnonzero(rows >= 0)
            self._segment[rows[taken]], self._place[rows[taken]] = number, taken
            self._start[rows[taken]] = self._arrays[number]["start"][taken]
            self._count[rows[taken]] = self._arrays[number]["count"][taken]
            places.append(rows)
        self.present: dict[str, BoolArray] = {}
        """Per branch [N]: the clip was looked at and really has this input."""
        self.index: dict[str, MappedIndex] = {}
        """Per branch the clips' vectors."""
        for branch in self.branches:
            own = [arrays[f"present.{branch}"] for arrays in self._arrays]
            parts = [
                Part(arrays[f"pooled.{branch}"], np.where(here, rows, -1), self._coded(arrays, branch))
                for arrays, here, rows in zip(self._arrays, own, places, strict=True)
            ]
            self.index[branch] = MappedIndex(self.width, ids, parts)
            self.present[branch] = self.index[branch].known
        self.has = {branch: bool(known.any()) for branch, known in self.present.items()}
        """Per branch whether any clip has it."""

    @property
    def width(self) -> int:
        """d; 0 without any clip."""
        first = next(iter(self._arrays), None)
        return 0 if first is None else int(first[f"pooled.{self.branches[0]}"].shape[1])

    @property
    def seen(self) -> BoolArray:
        """[N] the clip was looked at."""
        known: BoolArray = self._segment >= 0
        return known

    def score(self, branch: str, query: DenseQuery, rows: Places, variant: str = "unit") -> FloatArray:
        """The exact M2HF score [P] of clips that are seen; `variant` "muted" has the branch's input completed."""
        return self.scores({branch: query}, rows, variant)[branch]

    def scores(
        self, queries: Mapping[str, DenseQuery], rows: Places, variant: str = "unit"
    ) -> dict[str, FloatArray]:
        """The same for several branches, which costs less than asking for one after the other."""
        found = {branch: np.zeros(len(rows), np.float32) for branch in queries}

        def score(some: Places) -> None:
            picked = self._picked(rows[some])
            for branch, query in queries.items():
                frames = self._gathered(picked, f"{variant}.{branch}")
                weights = self._gathered(picked, f"{variant}_weight.{branch}")
                found[branch][some] = query.score(frames, weights, picked.counts)

        each(score, self._at_once(rows))
        return found

    def moments(self, queries: Mapping[str, DenseQuery], rows: Places) -> dict[str, npt.NDArray[np.float64]]:
        """Per branch [P] the second of the frame that fits the weighted words best, of clips that are seen."""
        found = {branch: np.zeros(len(rows), np.float64) for branch in queries}

        def seek(some: Places) -> None:
            picked = self._picked(rows[some])
            times = self._taken(picked, "times")
            starts = np.cumsum(picked.counts) - picked.counts
            for branch, query in queries.items():
                # As `along` gives it; so few products are over before the threads of a BLAS have met.
                fit = np.einsum("fd,d->f", self._gathered(picked, f"unit.{branch}"), query.vector)
                best = np.repeat(np.maximum.reduceat(fit, starts), picked.counts)
                there = np.flatnonzero(fit == best)
                found[branch][some] = times[there[np.searchsorted(there, starts)]]

        each(seek, self._at_once(rows))
        return found

    def _at_once(self, rows: Places) -> list[Places]:
        """Positions in `rows` [P] by where their frames lie, so many as are compared together."""
        order = np.lexsort((self._place[rows], self._segment[rows]))
        # In equal shares: two threads would wait for the larger one.
        return np.array_split(order, -(-len(order) // AT_ONCE)) if len(order) else []

    def frames(self, row: int, branch: str) -> FloatArray:
        """[F, d] the unit frames of a clip that was looked at."""
        return self._own(row, f"unit.{branch}").astype(np.float32)

    def times(self, row: int) -> npt.NDArray[np.float64]:
        """[F] seconds, the middle of each frame's cell, of a clip that was looked at."""
        return self._own(row, "times").astype(np.float64)

    def null(self, branch: str) -> FloatArray | None:
        """[N, 2] mean and deviation of each clip's scores with captions that are not about it; None if not kept."""
        if not all(f"null.{branch}" in arrays for arrays in self._arrays) or not self._arrays:
            return None
        found = np.full((len(self.ids), 2), np.nan, np.float32)
        for number, arrays in enumerate(self._arrays):
            rows = np.flatnonzero(self._segment == number)
            found[rows] = arrays[f"null.{branch}"][self._place[rows]]
        return found

    def null_tops(self, branch: str) -> FloatArray | None:
        """[M] how far each caption of the null bank got at its best clip, in deviations; None if not kept."""
        tops = [arrays.get(f"top.{branch}") for arrays in self._arrays]
        kept = [top for top in tops if top is not None]
        return np.max(kept, axis=0) if kept and len(kept) == len(tops) else None

    def _own(self, row: int, name: str) -> npt.NDArray[np.floating]:
        arrays, place = self._arrays[self._segment[row]], self._place[row]
        start = arrays["start"][place]
        found: npt.NDArray[np.floating] = arrays[name][start : start + arrays["count"][place]]
        return found

    def _coded(self, arrays: Mapping[str, npt.NDArray[np.generic]], branch: str) -> CodedRows | None:
        """The vectors in bytes, to find candidates; None where one product is the score, and has to be exact."""
        if self.pooled_is_score or not quick_codes():
            return None
        return CodedRows(
            np.asarray(arrays[f"codes.{branch}"], np.int8), np.asarray(arrays[f"step.{branch}"], np.float32)
        )

    def _picked(self, rows: Places) -> _Picked:
        """`rows` [P] stand by segment."""
        counts, owner = self._count[rows], self._segment[rows]
        ends = np.cumsum(counts)
        frames = np.repeat(self._start[rows] - ends + counts, counts) + np.arange(int(ends[-1]))
        edges = [0, *ends.tolist()]
        return _Picked(
            frames, [(int(owner[first]), edges[first], edges[end]) for first, end in runs(owner)], counts
        )

    def _taken(self, picked: _Picked, name: str) -> npt.NDArray[Any]:
        """An array's rows of these frames, [R, ...]."""
        first = self._arrays[0][name]
        found = np.empty((len(picked.rows), *first.shape[1:]), first.dtype)
        for number, start, end in picked.runs:
            # "clip" only spares a copy on the way: every row is there.
            self._arrays[number][name].take(picked.rows[start:end], 0, found[start:end], "clip")
        return found

    def _gathered(self, picked: _Picked, name: str) -> FloatArray:
        """The same in float32."""
        # torch widens float16 several times as fast as numpy does.
        wide: FloatArray = torch.from_numpy(self._taken(picked, name)).float().numpy()
        return wide


def _rows_of(ids: Places, wanted: Places) -> Places:
    """The row [n] of each wanted id in ascending `ids` [N], -1 for one that is not there."""
    rows = np.searchsorted(ids, wanted)
    rows[rows == len(ids)] = 0
    return np.where(ids[rows] == wanted, rows, -1) if len(ids) else np.full(len(wanted), -1, np.int64)


def frame_arrays(
    ids: Sequence[int],
    frames: Sequence[FloatArray],
    times: Sequence[npt.NDArray[np.float64]],
) -> Mapping[str, npt.NDArray[np.generic]]:
    """The arrays of a segment for the scorer before training: unit frames [F, d] per clip, weighted alike."""
    counts = np.asarray([len(rows) for rows in frames], np.int32)
    flat = np.concatenate(frames).astype(np.float16)
    ends = np.cumsum(counts)
    means = [rows.mean(axis=0) for rows in frames]
    return {
        "ids": np.asarray(ids, np.int64),
        "start": (ends - counts).astype(np.int64),
        "count": counts,
        "times": np.concatenate(times).astype(np.float64),
        "unit.visual": flat,
        "unit_weight.visual": np.repeat(1 / counts, counts).astype(np.float32),
        "pooled.visual": np.stack(means).astype(np.float32),
        "present.visual": np.ones(len(ids), np.bool_),
    }
