"""The exact index agrees with a plain sort, whatever was added and removed before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m2hf_core.index import ExactIndex

WIDTH = 3


def vector_of(number: int) -> np.ndarray:
    # Few distinct values, so that ties are common.
    return np.asarray([number % 3, (number // 3) % 2, 1], np.float32)


def plain_search(vectors: dict[int, np.ndarray], query: np.ndarray, k: int) -> list[int]:
    return sorted(vectors, key=lambda i: (-float(vectors[i] @ query), i))[:k]


@given(
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 20), st.integers(0, 9)), max_size=60),
    k=st.integers(0, 25),
)
def test_any_history_gives_the_plain_answer(steps: list[tuple[bool, int, int]], k: int) -> None:
    index, truth = ExactIndex(WIDTH), {}
    for is_add, clip_id, number in steps:
        if is_add:
            index.add(np.asarray([clip_id]), vector_of(number)[None])
            truth[clip_id] = vector_of(number)
        else:
            index.remove(np.asarray([clip_id]))
            truth.pop(clip_id, None)
    query = np.asarray([1.0, -1.0, 0.5], np.float32)
    ids, scores = index.search(query, k)
    assert ids.tolist() == plain_search(truth, query, k)
    assert scores.tolist() == [float(truth[i] @ query) for i in ids.tolist()]
    assert len(index) == len(truth)


def test_refuses_wrong_shapes_and_values() -> None:
    index = ExactIndex(WIDTH)
    with pytest.raises(ValueError, match="shape"):
        index.add(np.asarray([1]), np.zeros((1, 4), np.float32))
    with pytest.raises(ValueError, match="finite"):
        index.add(np.asarray([1]), np.full((1, WIDTH), np.nan, np.float32))
    with pytest.raises(ValueError, match="width"):
        index.search(np.zeros(2, np.float32), 1)
    with pytest.raises(ValueError, match="positive"):
        ExactIndex(0)
