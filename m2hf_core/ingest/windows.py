"""Cuts a video into clips, the units of search, from frame features that exist anyway.

A clip (an "M2HF video") has at most 12 frames at one frame per second. Its borders follow visual change, seen as
drops of similarity between neighbouring frame features, so that no second decode is needed.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from m2hf_core.records import Feature

MAX_FRAMES = 12
MIN_FRAMES = 2
CUT_FACTOR = 4.0
"""A border is a cut when its change is this many times the video's median change ..."""
CUT_FLOOR = 0.15
"""... and at least this much in cosine, so that a still video is not cut at its noise."""

LONGEST_FADE_S = 2.0
"""Flat frames have no row. Less than this is a fade, which belongs to the clip before it; what is longer (a black
leader, a pause card) becomes clips of its own, which sight cannot find but words can."""
SHORTEST_S = 0.04
"""A picture without duration is shown for as long as a cinema frame."""

Span = tuple[float, float]


def cut_video(duration_s: float, frames: Feature | None) -> list[Span]:
    """The clips of a video, in order, without gap from 0 to its end; None, or no frames at all, cuts evenly."""
    duration_s = max(duration_s, SHORTEST_S)
    if frames is None or len(frames.values) == 0:
        return uniform_windows(duration_s)
    starts_s, ends_s = frames.start_s, frames.end_s
    gaps = np.flatnonzero(starts_s[1:] - ends_s[:-1] >= LONGEST_FADE_S) + 1
    spans: list[Span] = []
    reached = 0.0
    for first, end in pairwise([0, *gaps.tolist(), len(starts_s)]):
        spans += _unseen(reached, float(starts_s[first]))
        seen = slice(first, end)
        clips = change_windows(starts_s[seen], ends_s[seen], frames.values[seen])
        # Each ends where the next begins: a fade between them belongs to the one that fades.
        begins = [spans[-1][1] if spans else 0.0, *(clip[0] for clip in clips[1:])]
        reached = float(ends_s[end - 1])
        spans += pairwise([*begins, reached])
    spans += _unseen(reached, duration_s)
    # The last cell may end a little before or after the container says; the last clip ends with the video.
    start_s = spans[-1][0]
    return [*spans[:-1], (start_s, max(duration_s, start_s + SHORTEST_S))]


def _unseen(start_s: float, end_s: float) -> list[Span]:
    """Clips of a stretch without frames, none where it is only a fade."""
    if end_s - start_s < LONGEST_FADE_S:
        return []
    return [(start_s + begin, start_s + end) for begin, end in uniform_windows(end_s - start_s)]


def uniform_windows(duration_s: float, max_s: float = float(MAX_FRAMES)) -> list[Span]:
    """Equal clips of at most `max_s` seconds: what can be had without frame features."""
    if duration_s <= 0:
        return [(0.0, 0.0)]
    count = max(1, math.ceil(duration_s / max_s - 1e-9))
    edges = np.linspace(0.0, duration_s, count + 1)
    return [(float(a), float(b)) for a, b in pairwise(edges)]


def change_windows(
    starts_s: npt.NDArray[np.float64],
    ends_s: npt.NDArray[np.float64],
    frames: npt.NDArray[np.floating],
    *,
    max_frames: int = MAX_FRAMES,
    min_frames: int = MIN_FRAMES,
) -> list[Span]:
    """Clips whose borders follow change. starts_s, ends_s [n] seconds, frames [n, d]; returns spans in order.

    Every frame belongs to exactly one clip; no clip has more than `max_frames` frames, and none has fewer
    than `min_frames` unless the video itself has.
    """
    n = len(frames)
    if n == 0:
        raise ValueError("a video without frames has no clips")
    change = _neighbour_change(np.asarray(frames, np.float32))
    edges = [0, *_cuts(change, min_frames, n), n]
    parts: list[tuple[int, int]] = []
    for first, end in pairwise(edges):
        _split(change, first, end, max_frames, min_frames, parts)
    return [(float(starts_s[first]), float(ends_s[end - 1])) for first, end in parts]


def _neighbour_change(frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """1 - cosine of neighbours: change[i] lies between frame i and frame i + 1; [n - 1]."""
    norms = np.maximum(np.linalg.norm(frames, axis=1, keepdims=True), 1e-12)
    unit = frames / norms
    change: npt.NDArray[np.float32] = 1.0 - np.einsum("nd,nd->n", unit[:-1], unit[1:])
    return change


def _cuts(change: npt.NDArray[np.float32], min_frames: int, n: int) -> list[int]:
    """Frame numbers at which a new scene begins, strongest cuts first chosen, kept `min_frames` apart."""
    if len(change) == 0:
        return []
    threshold = max(CUT_FLOOR, CUT_FACTOR * float(np.median(change)))
    chosen: list[int] = []
    for border in np.argsort(-change, kind="stable").tolist():
        if change[border] < threshold:
            break
        at = border + 1
        if all(abs(at - other) >= min_frames for other in (0, n, *chosen)):
            chosen.append(at)
    return sorted(chosen)


def _split(
    change: npt.NDArray[np.float32],
    first: int,
    end: int,
    max_frames: int,
    min_frames: int,
    parts: list[tuple[int, int]],
) -> None:
    """Append [first, end) to parts, halved at the largest change of its middle third while it is too long."""
    length = end - first
    if length <= max_frames:
        parts.append((first, end))
        return
    low = first + max(min_frames, length // 3)
    high = end - max(min_frames, length // 3)
    at = low + int(np.argmax(change[low - 1 : high]))
    _split(change, first, at, max_frames, min_frames, parts)
    _split(change, at, end, max_frames, min_frames, parts)
