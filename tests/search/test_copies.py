"""The same stretch of two videos is found with its times, and what only looks alike is not."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m2hf_core.search.copies import SAME, Frames, extended, same_stretch

WIDTH = 32


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def video(rng: np.random.Generator, seconds: int) -> Frames:
    return Frames(unit(rng.normal(size=(seconds, WIDTH))), np.arange(seconds) + 0.5)


def again(rng: np.random.Generator, frames: Frames, start: int, end: int, at: int = 0) -> Frames:
    """Seconds `start` to `end` encoded anew, after `at` seconds of something else."""
    noisy = unit(frames.values[start:end] + 0.02 * rng.normal(size=(end - start, WIDTH)))
    values = np.concatenate([unit(rng.normal(size=(at, WIDTH))), noisy]) if at else noisy
    return Frames(values, np.arange(len(values)) + 0.5)


@given(st.integers(0, 2**32), st.integers(0, 30), st.integers(3, 25), st.integers(0, 10))
def test_a_cut_is_found_where_it_was_taken_from(seed: int, start: int, length: int, at: int) -> None:
    rng = np.random.default_rng(seed)
    whole = video(rng, 60)
    cut = again(rng, whole, start, start + length, at)
    found = same_stretch(cut, whole)
    assert found is not None
    assert (found.start_s, found.end_s) == pytest.approx((at, at + length))
    assert (found.other_start_s, found.other_end_s) == pytest.approx((start, start + length))
    back = same_stretch(whole, cut)
    assert (back.start_s, back.end_s, back.other_start_s) == pytest.approx((start, start + length, at))


@given(st.integers(0, 2**32), st.integers(0, 40))
def test_other_videos_share_nothing(seed: int, seconds: int) -> None:
    rng = np.random.default_rng(seed)
    assert same_stretch(video(rng, 50), video(rng, seconds)) is None


def test_two_frames_are_too_few_and_a_gap_of_one_is_let_pass() -> None:
    rng = np.random.default_rng(0)
    whole = video(rng, 20)
    assert same_stretch(again(rng, whole, 4, 6), whole) is None
    holed = again(rng, whole, 4, 12)
    holed.values[3] = unit(rng.normal(size=(1, WIDTH)))[0]
    found = same_stretch(holed, whole)
    assert (found.start_s, found.end_s) == pytest.approx((0, 8))


def test_frames_in_another_order_are_no_copy() -> None:
    rng = np.random.default_rng(0)
    whole = video(rng, 30)
    mixed = Frames(whole.values[rng.permutation(30)], whole.times)
    found = same_stretch(mixed, whole)
    assert found is None or found.end_s - found.start_s < 5


def test_a_still_picture_agrees_at_the_smallest_shift() -> None:
    rng = np.random.default_rng(0)
    still = Frames(np.repeat(unit(rng.normal(size=(1, WIDTH))), 12, axis=0), np.arange(12) + 0.5)
    found = same_stretch(still, still)
    assert (found.start_s, found.end_s, found.other_start_s, found.other_end_s) == pytest.approx(
        (0, 12, 0, 12)
    )


def test_half_seconds_between_the_frame_grids() -> None:
    rng = np.random.default_rng(0)
    whole = video(rng, 30)
    cut = again(rng, whole, 10, 20)
    late = Frames(cut.values, cut.times + 0.4)
    found = same_stretch(late, whole)
    assert found is not None
    assert found.end_s - found.start_s == pytest.approx(10)


@given(st.integers(0, 2**32), st.integers(0, 30), st.integers(12, 25), st.integers(0, 10), st.integers(0, 9))
def test_a_clip_is_extended_to_the_whole_stretch(
    seed: int, start: int, length: int, at: int, tenths: int
) -> None:
    """Twelve frames of the cut say where it is from; the rest follows along their shift, as if all were compared."""
    rng = np.random.default_rng(seed)
    whole = video(rng, 60)
    cut = again(rng, whole, start, start + length, at)
    cut = Frames(cut.values, cut.times + tenths / 10)
    clip = slice(at, at + 12)
    found = same_stretch(Frames(cut.values[clip], cut.times[clip]), whole)
    assert extended(cut, whole, found) == same_stretch(cut, whole)


def test_hours_of_a_still_picture_are_compared_in_the_memory_of_one_video() -> None:
    one = unit(np.random.default_rng(0).normal(size=(1, WIDTH)))
    still = Frames(np.repeat(one, 20_000, axis=0), np.arange(20_000) + 0.5)
    found = same_stretch(Frames(still.values[:12], still.times[:12]), still)
    tracemalloc.start()
    try:
        stretch = extended(still, still, found)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (stretch.start_s, stretch.end_s, stretch.other_start_s) == pytest.approx((0, 20_000, 0))
    assert peak < 32 << 20, "every frame with every other would be 1.6 GB"


def test_a_camera_that_stands_still_is_placed_where_frames_fit_best() -> None:
    """Every frame looks like every other at the threshold; only at the true shift they are nearly the same."""
    rng = np.random.default_rng(8)
    still = rng.normal(size=64)
    scene = still + rng.normal(0, 0.1, (10, 64))
    scene /= np.linalg.norm(scene, axis=1, keepdims=True)
    whole = Frames(scene.astype(np.float32), np.arange(10) + 0.5)
    assert float((whole.values @ whole.values.T).min()) > SAME
    cut = Frames(whole.values[3:9], np.arange(6) + 0.5)
    found = same_stretch(cut, whole)
    assert found is not None
    assert (found.start_s, found.end_s) == (0.0, 6.0)
    assert (found.other_start_s, found.other_end_s) == (3.0, 9.0)
