"""The three fusions against their definitions, item by item."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m2hf_core.model.fusion import ascending, fuse, positions
from m2hf_core.model.fusion_bench import measure, plain_order, plain_ranks, pool
from m2hf_core.model.ranks import ABSTAINED, branch_ranks, id_places
from m2hf_core.records import FUSIONS, Fusion

fusions = st.sampled_from(FUSIONS)


@given(data=st.data(), fusion=fusions)
def test_the_order_follows_the_definition(reference: Any, data: st.DataObject, fusion: Fusion) -> None:
    candidates = data.draw(reference.pools())
    scores, ids, abstain = candidates.arrays()
    order = fuse(branch_ranks(scores, ids, abstain), fusion, ids)
    assert order.tolist() == reference.order(candidates, fusion)


@given(data=st.data(), fusion=fusions, top=st.integers(0, 30))
def test_top_is_the_prefix_of_the_whole_order(
    reference: Any, data: st.DataObject, fusion: Fusion, top: int
) -> None:
    scores, ids, abstain = data.draw(reference.pools()).arrays()
    ranks = branch_ranks(scores, ids, abstain)
    assert fuse(ranks, fusion, ids, top).tolist() == fuse(ranks, fusion, ids)[:top].tolist()


@given(data=st.data(), fusion=fusions)
def test_the_order_of_the_pool_does_not_matter(reference: Any, data: st.DataObject, fusion: Fusion) -> None:
    scores, ids, abstain = data.draw(reference.pools()).arrays()
    shuffle = np.array(data.draw(st.permutations(range(ids.size))))
    order = fuse(branch_ranks(scores, ids, abstain), fusion, ids)
    again = fuse(
        branch_ranks(
            {lane: values[shuffle] for lane, values in scores.items()},
            ids[shuffle],
            {lane: mask[shuffle] for lane, mask in abstain.items()},
        ),
        fusion,
        ids[shuffle],
    )
    assert ids[shuffle][again].tolist() == ids[order].tolist()


@given(data=st.data(), fusion=fusions)
def test_the_order_of_the_lanes_does_not_matter(reference: Any, data: st.DataObject, fusion: Fusion) -> None:
    scores, ids, abstain = data.draw(reference.pools()).arrays()
    ranks = branch_ranks(scores, ids, abstain)
    turned = dict(reversed(ranks.items()))
    assert fuse(turned, fusion, ids).tolist() == fuse(ranks, fusion, ids).tolist()


@given(data=st.data(), fusion=fusions, lane=st.sampled_from(["audio", "motion", "speech"]))
def test_switching_off_a_branch_that_abstains_changes_nothing(
    reference: Any, data: st.DataObject, fusion: Fusion, lane: str
) -> None:
    scores, ids, abstain = data.draw(reference.pools()).arrays()
    scores.pop(lane, None)
    without = fuse(branch_ranks(scores, ids, abstain), fusion, ids)
    scores[lane], abstain[lane] = np.ones(ids.size, np.float32), np.ones(ids.size, bool)
    assert fuse(branch_ranks(scores, ids, abstain), fusion, ids).tolist() == without.tolist()


@given(data=st.data(), fusion=fusions)
def test_positions_agree_with_the_whole_order(reference: Any, data: st.DataObject, fusion: Fusion) -> None:
    scores, ids, abstain = data.draw(reference.pools()).arrays()
    items = np.array(data.draw(st.lists(st.integers(0, ids.size - 1), min_size=1, unique=True)))
    ranks = branch_ranks(scores, ids, abstain)
    order = fuse(ranks, fusion, ids).tolist()
    found = positions(ranks, fusion, id_places(ids), items)
    assert found.tolist() == [order.index(item) + 1 for item in items.tolist()]


def test_best_ranks_are_compared_one_after_the_other() -> None:
    """Both have a first place; the second number decides, not the visual score."""
    ranks = {
        "visual": np.array([1, 5, 2], np.int32),
        "audio": np.array([4, 1, 9], np.int32),
        "motion": np.array([3, 2, 8], np.int32),
    }
    assert fuse(ranks, "mmbf", np.arange(3)).tolist() == [1, 0, 2]


def test_equal_vectors_go_by_visual_score() -> None:
    ranks = {"visual": np.array([2, 1], np.int32), "audio": np.array([1, 2], np.int32)}
    assert fuse(ranks, "mmbf", np.arange(2)).tolist() == [1, 0]
    assert fuse({"motion": ranks["visual"], "audio": ranks["audio"]}, "mmbf", np.arange(2)).tolist() == [0, 1]


def test_reciprocal_ranks_that_are_equal_on_paper_tie() -> None:
    """1/63 + 1/84 = 1/72 + 1/72, though no float sum knows it; then the visual rank decides."""
    size = 30
    visual, audio = np.full(size, size, np.int32), np.full(size, size, np.int32)
    visual[4], audio[4] = 24, 3
    visual[9], audio[9] = 12, 12
    order = fuse({"visual": visual, "audio": audio}, "rrf", np.arange(size), 2)
    assert order.tolist() == [9, 4]
    visual[4], audio[4] = 3, 24
    assert fuse({"visual": visual, "audio": audio}, "rrf", np.arange(size), 2).tolist() == [4, 9]


def test_silence_adds_nothing_to_reciprocal_ranks() -> None:
    """1/61 is as much as 1/122 twice; the silent pair adds nothing, so the visual lane decides."""
    visual, audio, motion = (np.full(80, ABSTAINED, np.int32) for _ in range(3))
    audio[3] = 1
    visual[8], motion[8] = 62, 62
    ranks = {"visual": visual, "audio": audio, "motion": motion}
    assert fuse(ranks, "rrf", np.arange(80), 2).tolist() == [8, 3]


def test_no_lane_at_all_leaves_the_id_order() -> None:
    for fusion in FUSIONS:
        assert fuse({}, fusion, np.array([7, 3, 5])).tolist() == [1, 2, 0]


def test_an_unknown_fusion_is_refused() -> None:
    with pytest.raises(ValueError, match="borda"):
        fuse({"visual": np.array([1], np.int32)}, "borda", np.arange(1))  # type: ignore[arg-type]


@given(data=st.data(), lanes=st.integers(1, 6))
def test_ascending_sorts_across_lanes(data: st.DataObject, lanes: int) -> None:
    rows = data.draw(
        st.lists(st.lists(st.integers(1, 9), min_size=4, max_size=4), min_size=lanes, max_size=lanes)
    )
    ranks = [np.array(row, np.int32) for row in rows]
    assert np.array_equal(np.stack(ascending(ranks)), np.sort(np.stack(ranks), axis=0))


def test_the_bench_compares_like_with_like() -> None:
    """What it times against does the same job, at a size where the two share no path by accident."""
    scores, abstain = pool(5_000, np.random.default_rng(3))
    ids = np.arange(5_000)
    ranks = branch_ranks(scores, ids, abstain)
    plain = plain_ranks(scores, abstain)
    assert all(np.array_equal(ranks[lane], plain[lane]) for lane in scores)
    assert np.array_equal(plain_order(plain, scores["visual"])[:200], fuse(ranks, "mmbf", ids, 200))
    report = measure(500, 10, 1)
    assert list(report) == ["machine", "sizes", "figures", "against"]
    assert set(report["against"]) <= set(report["figures"])
