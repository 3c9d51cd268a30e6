"""Finds the same picture in two videos: a cut, a re-encoded or a renamed copy, and from where to where it is.

Files with equal content are one video already (their fingerprints agree). Near-identical ones are found by their
frame features: one shift in time at which frame after frame agrees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m2hf_core.search.captions_cache import FloatArray

SAME = 0.98
"""Cosine from which two frames count as one; README.md has what was measured. A camera that never
moves looks the same on two days: that is why a copy is told under its hit, with its times, and not dropped."""
SHORTEST = 3
"""Frames in a row, so that one black frame or one title does not make two videos the same."""
STEP_S = 1.0
AT_ONCE = 4096
"""Frames of a whole video that are compared together: 16 MB at width 512."""


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """A video's unit frame features [n, d] and their times [n] in seconds, ascending."""

    values: FloatArray
    times: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stretch:
    """[start_s, end_s) of one video is [other_start_s, other_end_s) of the other."""

    start_s: float
    end_s: float
    other_start_s: float
    other_end_s: float


def same_stretch(one: Frames, other: Frames) -> Stretch | None:
    """The longest stretch of `one` that is in `other` too, at one shift in time; None when there is none.

    Compares every frame with every other: one of the two is to be short. For whole videos there is `extended`.
    """
    if not len(one.times) or not len(other.times):
        return None
    fits = one.values @ other.values.T
    pairs = np.argwhere(fits >= SAME)
    if len(pairs) < SHORTEST:
        return None
    shifts = np.round((other.times[pairs[:, 1]] - one.times[pairs[:, 0]]) / STEP_S).astype(np.int64)
    best: Stretch | None = None
    # A camera that stands still agrees at many shifts: the one with most frames, of those the one that fits best, of
    # those (a still picture) the smallest.
    found, own, votes = np.unique(shifts, return_inverse=True, return_counts=True)
    fit = np.round(np.bincount(own, fits[pairs[:, 0], pairs[:, 1]]) / votes, 3)
    for shift in found[np.lexsort((np.abs(found), -fit, -votes))][:5]:
        stretch = _longest_run(one, other, pairs[shifts == shift])
        if stretch is not None and (best is None or _length(stretch) > _length(best)):
            best = stretch
    return best


def extended(one: Frames, other: Frames, found: Stretch) -> Stretch | None:
    """The longest stretch of `one` that is in `other` at the shift of `found`, in time and memory of one video."""
    wanted = one.times + (found.other_end_s - found.end_s)
    nearest = _nearest(other.times, wanted)
    close = np.flatnonzero(np.abs(other.times[nearest] - wanted) <= STEP_S / 2)
    same = np.zeros(len(close), np.bool_)
    for start in range(0, len(close), AT_ONCE):
        rows = close[start : start + AT_ONCE]
        fit = np.einsum("nd,nd->n", one.values[rows], other.values[nearest[rows]])
        same[start : start + AT_ONCE] = fit >= SAME
    rows = close[same]
    return _longest_run(one, other, np.stack([rows, nearest[rows]], axis=1)) if len(rows) else None


def _nearest(times: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The place in ascending `times` that is nearest to each wanted second."""
    between = (times[1:] + times[:-1]) / 2
    return np.searchsorted(between, wanted)


def _longest_run(one: Frames, other: Frames, pairs: npt.NDArray[np.int64]) -> Stretch | None:
    """The longest run of frames of `one` among pairs [m, 2] of one shift; a gap of one frame is let pass."""
    rows, first = np.unique(pairs[:, 0], return_index=True)
    partners = pairs[first, 1]
    breaks = np.flatnonzero(np.diff(one.times[rows]) > 2.5 * STEP_S) + 1
    runs = [run for run in np.split(np.arange(len(rows)), breaks) if len(run) >= SHORTEST]
    if not runs:
        return None
    run = max(runs, key=len)
    here, there = one.times[rows[run]], other.times[partners[run]]
    half = STEP_S / 2
    return Stretch(
        max(0.0, float(here[0]) - half),
        float(here[-1]) + half,
        max(0.0, float(there[0]) - half),
        float(there[-1]) + half,
    )


def _length(stretch: Stretch) -> float:
    return stretch.end_s - stretch.start_s
