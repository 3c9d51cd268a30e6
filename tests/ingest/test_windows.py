"""Clips cover the video once, stay within their size, and follow visible change."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m2hf_core.ingest.windows import MAX_FRAMES, change_windows, uniform_windows


def times(n: int) -> tuple[np.ndarray, np.ndarray]:
    starts = np.arange(n, dtype=np.float64)
    return starts, starts + 1


@given(n=st.integers(1, 200), seed=st.integers(0, 1000), smooth=st.floats(0, 1))
def test_every_frame_belongs_to_one_clip_of_bounded_size(n: int, seed: int, smooth: float) -> None:
    rng = np.random.default_rng(seed)
    frames = smooth + (1 - smooth) * rng.normal(size=(n, 4))
    spans = change_windows(*times(n), frames)
    assert spans[0][0] == 0
    assert spans[-1][1] == n
    assert all(a[1] == b[0] for a, b in pairwise(spans))
    lengths = [end - start for start, end in spans]
    assert max(lengths) <= MAX_FRAMES
    assert min(lengths) >= min(2, n)


def test_a_hard_cut_is_a_border() -> None:
    frames = np.zeros((20, 2))
    frames[:7, 0] = 1
    frames[7:, 1] = 1
    spans = change_windows(*times(20), frames + 1e-3)
    assert (0.0, 7.0) in spans


def test_a_still_video_is_not_cut_at_its_noise() -> None:
    rng = np.random.default_rng(0)
    frames = np.asarray([1.0, 0, 0, 0]) + 1e-3 * rng.normal(size=(11, 4))
    assert change_windows(*times(11), frames) == [(0.0, 11.0)]


def test_zero_frames_of_features_are_refused() -> None:
    with pytest.raises(ValueError, match="no clips"):
        change_windows(np.empty(0), np.empty(0), np.empty((0, 4)))


@pytest.mark.parametrize(("duration", "count"), [(0.0, 1), (0.3, 1), (12.0, 1), (12.1, 2), (3600.0, 300)])
def test_uniform_clips_are_equal_and_complete(duration: float, count: int) -> None:
    spans = uniform_windows(duration)
    assert len(spans) == count
    assert spans[0][0] == 0
    assert spans[-1][1] == duration
    lengths = [b - a for a, b in spans]
    assert max(lengths) - min(lengths) < 1e-6
