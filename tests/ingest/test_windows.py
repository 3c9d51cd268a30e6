"""Clips cover the video once, stay within their size, and follow visible change."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m2hf_core.ingest.windows import MAX_FRAMES, change_windows, cut_video, uniform_windows
from m2hf_core.records import Feature


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


def seen(starts: list[float], duration_s: float) -> Feature:
    """One frame of a second at each start, all alike."""
    begin = np.asarray(starts, np.float64)
    return Feature(np.ones((len(starts), 4), np.float16), begin, np.minimum(begin + 1, duration_s))


@given(
    flat=st.lists(st.booleans(), min_size=1, max_size=90),
    rest_s=st.sampled_from([0.0, 0.5, 0.999]),
    seed=st.integers(0, 100),
)
def test_clips_tile_a_video_whatever_is_flat_in_it(flat: list[bool], rest_s: float, seed: int) -> None:
    duration_s = len(flat) + rest_s
    starts = [float(second) for second, is_flat in enumerate(flat) if not is_flat]
    feature = seen(starts, duration_s)
    values = np.random.default_rng(seed).normal(size=feature.values.shape)
    spans = cut_video(duration_s, Feature(values, feature.start_s, feature.end_s))
    assert spans[0][0] == 0
    assert spans[-1][1] == pytest.approx(duration_s)
    assert all(a[1] == pytest.approx(b[0]) for a, b in pairwise(spans))
    assert all(begin < end for begin, end in spans)
    frames = [sum(begin - 1e-6 <= start < end - 1e-6 for start in starts) for begin, end in spans]
    assert sum(frames) == len(starts)
    assert max(frames) <= MAX_FRAMES


def test_a_fade_belongs_to_its_scene_and_a_pause_stands_alone() -> None:
    fade = seen([0, 1, 2, 4, 5], 6.0)
    assert cut_video(6.0, fade) == [(0.0, 6.0)]
    pause = seen([0, 1, 2, 9, 10], 11.0)
    assert cut_video(11.0, pause) == [(0.0, 3.0), (3.0, 9.0), (9.0, 11.0)]
    leader = seen([5, 6], 20.0)
    assert cut_video(20.0, leader) == [(0.0, 5.0), (5.0, 7.0), (7.0, 13.5), (13.5, 20.0)]


def test_a_video_without_a_single_picture_is_cut_evenly() -> None:
    assert cut_video(24.0, seen([], 24.0)) == cut_video(24.0, None) == [(0.0, 12.0), (12.0, 24.0)]
