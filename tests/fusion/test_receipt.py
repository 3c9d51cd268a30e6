"""Receipts: who won, and what each lane was worth."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m2hf_core.model.fusion import fuse
from m2hf_core.model.ranks import ABSTAINED, branch_ranks
from m2hf_core.model.receipt import receipts, weigh_input
from m2hf_core.records import FUSIONS, Fusion


@given(data=st.data(), fusion=st.sampled_from(FUSIONS))
def test_a_receipt_is_the_fusion_done_again(reference: Any, data: st.DataObject, fusion: Fusion) -> None:
    pool = data.draw(reference.pools())
    scores, ids, abstain = pool.arrays()
    ranks = branch_ranks(scores, ids, abstain)
    items = fuse(ranks, fusion, ids, 8)
    found = receipts(ranks, fusion, ids, items)
    assert [receipt.rank for receipt in found] == list(range(1, items.size + 1))
    for receipt in found:
        i = receipt.item
        own = {lane: reference.rank(pool, lane, i) for lane in ranks}
        assert dict(receipt.ranks) == {lane: None if rank == inf else rank for lane, rank in own.items()}
        best = min(own.values(), default=inf)
        assert receipt.won_by == tuple(lane for lane in own if own[lane] == best < inf)
        assert list(receipt.without) == list(ranks)
        for lane in ranks:
            if all(rank == inf for other, rank in own.items() if other != lane):
                assert receipt.without[lane] == f"beyond {ids.size}"
            else:
                assert receipt.without[lane] == reference.order(pool.without(lane), fusion).index(i) + 1


def test_two_first_places_are_both_named() -> None:
    ranks = {
        "visual": np.array([3, 1, 2], np.int32),
        "audio": np.array([1, 2, 3], np.int32),
        "motion": np.array([1, 3, 2], np.int32),
        "speech": np.array([ABSTAINED, 1, ABSTAINED], np.int32),
    }
    first, second, _ = receipts(ranks, "mmbf", np.arange(3), np.array([1, 0, 2]))
    assert first.won_by == ("visual", "speech")
    assert second.won_by == ("audio", "motion")
    assert second.ranks == {"visual": 3, "audio": 1, "motion": 1, "speech": None}
    # Without audio the hit has (1, 3); item 1 keeps (1, 1, 3). Without visual too it stays second.
    assert second.without == {"visual": 1, "audio": 2, "motion": 2, "speech": 1}


def test_a_hit_that_only_one_lane_brought_is_beyond_the_pool_without_it() -> None:
    ranks = {"visual": np.array([2, 1, 3], np.int32), "audio": np.array([1, 2, 3], np.int32)}
    brought = {"visual": np.array([False, True, True]), "audio": np.array([True, True, False])}
    hit = receipts(ranks, "mmbf", np.arange(3), np.array([0]), brought)[0]
    assert hit.without == {"visual": 2 - 1, "audio": "beyond 3"}
    whole = receipts(ranks, "mmbf", np.arange(3), np.array([0]))[0]
    assert whole.without == {"visual": 1, "audio": 2}


@given(data=st.data())
def test_replacing_one_input_ranks_as_ranking_again_would(reference: Any, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 20))
    value = st.integers(-2, 2).map(float)
    values = data.draw(st.lists(value, min_size=size, max_size=size))
    silent = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    ids = data.draw(st.permutations(range(size)))
    pool = reference.pool(ids, {"audio": values}, {"audio": silent})
    scores, id_array, abstain = pool.arrays()
    rank = branch_ranks(scores, id_array, abstain).get("audio", np.full(size, ABSTAINED, np.int32))
    replaced = data.draw(st.lists(value, min_size=size, max_size=size))
    found = weigh_input(scores["audio"], rank, id_array, np.arange(size), replaced)
    for i in range(size):
        changed = [replaced[i] if j == i else values[j] for j in range(size)]
        again = reference.rank(reference.pool(ids, {"audio": changed}, {"audio": silent}), "audio", i)
        assert found.replaced_rank[i] == (ABSTAINED if again == inf else again)
        assert bool(found.mattered[i]) == (again > reference.rank(pool, "audio", i))


def test_sound_that_changes_nothing_was_not_heard() -> None:
    scores = np.array([0.9, 0.8, 0.1], np.float32)
    rank = branch_ranks({"audio": scores}, np.arange(3))["audio"]
    found = weigh_input(scores, rank, np.arange(3), np.array([0, 1, 2]), [0.85, 0.05, 0.7])
    assert found.rank.tolist() == [1, 2, 3]
    assert found.replaced_rank.tolist() == [1, 3, 3]
    assert found.mattered.tolist() == [False, True, False]
    with pytest.raises(ValueError, match="NaN"):
        weigh_input(scores, rank, np.arange(3), np.array([0]), [np.nan])
