"""Rows of sound and motion find their frames."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m2hf_core.model.align import align_to_frames


def rows(spans):
    return np.array([[10.0 * i, 1.0] for i in range(len(spans))]), *np.array(spans, float).T


def cells(*edges):
    return np.array(edges[:-1], float), np.array(edges[1:], float)


def test_a_frame_gets_the_mean_over_its_cell():
    values, start, end = rows([(0, 1), (1, 2), (2, 3)])
    aligned, present = align_to_frames(values, start, end, *cells(0, 1, 3))
    assert aligned[:, 0].tolist() == [0.0, 15.0]
    assert present.all()


def test_rows_count_by_how_long_they_overlap():
    values, start, end = rows([(0, 0.96), (0.96, 1.92)])
    aligned, _ = align_to_frames(values, start, end, *cells(0, 1))
    assert aligned[0, 0] == pytest.approx(10 * 0.04 / 1.0)


def test_without_overlap_the_nearest_row_serves_and_the_earlier_of_two():
    values, start, end = rows([(0, 1), (5, 6)])
    aligned, present = align_to_frames(values, start, end, *cells(1, 2, 4, 5, 9))
    assert aligned[:, 0].tolist() == [0.0, 0.0, 10.0, 10.0]
    assert present.all()


def test_touching_is_not_overlapping():
    values, start, end = rows([(0, 1), (1, 2)])
    aligned, _ = align_to_frames(values, start, end, np.array([1.0]), np.array([2.0]))
    assert aligned[0, 0] == 10.0


def test_beyond_the_reach_nothing_is_present():
    values, start, end = rows([(0, 1)])
    aligned, present = align_to_frames(values, start, end, *cells(0, 1, 2, 3), reach_s=0.5)
    assert present.tolist() == [True, True, False]
    assert aligned[2].tolist() == [0.0, 0.0]


def test_no_rows_means_none_present():
    aligned, present = align_to_frames(np.zeros((0, 128)), np.zeros(0), np.zeros(0), *cells(0, 1, 2))
    assert aligned.shape == (2, 128)
    assert not present.any()


def test_a_frame_without_length_takes_the_row_around_it():
    values, start, end = rows([(0, 1), (1, 2)])
    aligned, present = align_to_frames(values, start, end, np.array([1.5]), np.array([1.5]))
    assert aligned[0, 0] == 10.0
    assert present.all()


@given(
    st.lists(st.floats(0.1, 3), min_size=1, max_size=8), st.lists(st.floats(0.1, 3), min_size=1, max_size=8)
)
@settings(max_examples=50, deadline=None)
def test_it_agrees_with_fine_sampling(row_lengths, frame_lengths):
    """Where the rows cover a cell, its mean is that of the row sounding at each instant."""
    row_edges, frame_edges = np.cumsum([0, *row_lengths]), np.cumsum([0, *frame_lengths])
    values = np.arange(len(row_lengths), dtype=float)[:, None]
    aligned, present = align_to_frames(
        values, row_edges[:-1], row_edges[1:], frame_edges[:-1], frame_edges[1:]
    )
    assert present.all()
    for f, (start, end) in enumerate(pairwise(frame_edges)):
        instants = (
            np.linspace(start, min(end, row_edges[-1]), 2001)[:-1] + (min(end, row_edges[-1]) - start) / 4000
        )
        if start >= row_edges[-1]:
            assert aligned[f, 0] == len(row_lengths) - 1
        else:
            sounding = np.searchsorted(row_edges, instants, side="right") - 1
            assert aligned[f, 0] == pytest.approx(sounding.clip(0, len(values) - 1).mean(), abs=0.02)
