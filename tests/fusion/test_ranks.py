"""Ranks inside one lane: ties, silence, and floats at their edges."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m2hf_core.model.ranks import ABSTAINED, branch_ranks, id_places, rank_rows


@given(data=st.data())
def test_ranks_follow_the_definition(reference: Any, data: st.DataObject) -> None:
    pool = data.draw(reference.pools())
    scores, ids, abstain = pool.arrays()
    ranks = branch_ranks(scores, ids, abstain)
    for lane in scores:
        expected = [reference.rank(pool, lane, i) for i in range(len(ids))]
        if all(rank == inf for rank in expected):
            assert lane not in ranks
        else:
            assert [inf if rank == ABSTAINED else rank for rank in ranks[lane].tolist()] == expected


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@given(values=st.lists(st.floats(width=16, allow_nan=False), min_size=1, max_size=40))
def test_every_float_has_its_place(values: list[float], dtype: Any) -> None:
    """Negative, subnormal, infinite numbers and both zeros."""
    ranks = rank_rows(np.array([values], dtype))[0]
    order = sorted(range(len(values)), key=lambda i: (-values[i], i))
    assert [order.index(i) + 1 for i in range(len(values))] == ranks.tolist()


def test_fifty_clips_that_share_a_word_have_rank_fifty() -> None:
    words = np.full(80, 0.25, np.float32)
    silent = np.arange(80) >= 50
    ranks = branch_ranks({"speech": words, "visual": words}, np.arange(80), {"speech": silent})
    assert set(ranks["speech"][:50].tolist()) == {50}
    assert set(ranks["speech"][50:].tolist()) == {ABSTAINED}
    assert ranks["visual"].tolist() == list(range(1, 81)), "dense scores that tie go by id"


def test_a_better_word_match_stands_before_the_group() -> None:
    ranks = branch_ranks({"speech": np.array([0.2, 0.5, 0.2, 0.1], np.float32)}, np.arange(4))
    assert ranks["speech"].tolist() == [3, 1, 3, 4]


def test_minus_infinity_is_not_silence() -> None:
    values = np.array([-inf, -inf, 1.0], np.float32)
    silent = np.array([False, True, False])
    for dtype in (np.float32, np.float64):
        ranks = branch_ranks({"name": values.astype(dtype)}, np.arange(3), {"name": silent})
        assert ranks["name"].tolist() == [2, ABSTAINED, 1]


def test_what_silent_pairs_hold_is_never_looked_at() -> None:
    values = np.array([0.5, np.nan, 0.7], np.float32)
    silent = np.array([False, True, False])
    assert branch_ranks({"audio": values}, np.arange(3), {"audio": silent})["audio"].tolist() == [
        2,
        ABSTAINED,
        1,
    ]
    with pytest.raises(ValueError, match="NaN"):
        branch_ranks({"audio": values}, np.arange(3))


def test_late_columns_lose_their_ties() -> None:
    scores = np.array([[1, 2, 1, 1]], np.float32)
    late = np.array([[True, True, False, False]])
    for dtype in (np.float32, np.float64):
        assert rank_rows(scores.astype(dtype), late=late).tolist() == [[4, 1, 2, 3]]


def test_repeated_ids_and_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="one id twice"):
        branch_ranks({"visual": np.zeros(3, np.float32)}, np.array([4, 2, 4]))
    with pytest.raises(ValueError, match="visual"):
        branch_ranks({"visual": np.zeros(3, np.float32)}, np.arange(4))


def test_an_empty_pool_has_no_lanes() -> None:
    assert branch_ranks({"visual": np.zeros(0, np.float32)}, np.arange(0)) == {}


def test_id_places_invert_the_id_order() -> None:
    assert id_places(np.array([30, 10, 20])).tolist() == [2, 0, 1]
