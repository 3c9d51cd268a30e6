"""Intervals against normal theory and against queries that cannot vary."""

from __future__ import annotations

import numpy as np
import pytest

from m2hf_core.model.bootstrap import compare, interval
from m2hf_core.model.readings import TruthRanks


def ranked(places: list[int] | np.ndarray) -> TruthRanks:
    array = np.asarray(places, np.int64)
    return TruthRanks(array, array, np.ones_like(array))


def test_recall_has_the_interval_of_a_proportion() -> None:
    """400 queries, a quarter found: 25 +- 1.96 * sqrt(.25 * .75 / 400) = 20.76 to 29.24 percent."""
    low, high = interval(ranked([1] * 100 + [7] * 300), "R@1", rounds=4000)
    assert low == pytest.approx(20.76, abs=0.6)
    assert high == pytest.approx(29.24, abs=0.6)
    assert interval(ranked([1] * 100 + [7] * 300), "R@10") == (100, 100)


def test_mean_rank_has_the_interval_of_a_mean() -> None:
    places = np.random.default_rng(0).integers(1, 101, 900)
    spread = 1.96 * places.std() / 30
    low, high = interval(ranked(places), "MnR", rounds=4000)
    assert (low, high) == pytest.approx((places.mean() - spread, places.mean() + spread), abs=0.25)


def test_median_rank_stays_between_neighbours() -> None:
    low, high = interval(ranked(list(range(1, 102))), "MdR")
    assert 30 < low < 51 < high < 72


def test_the_same_seed_gives_the_same_interval() -> None:
    ranks = ranked(np.random.default_rng(1).integers(1, 9, 50))
    assert interval(ranks, "R@5", seed=4) == interval(ranks, "R@5", seed=4)
    assert interval(ranks, "MnR", seed=4) != interval(ranks, "MnR", seed=5)


def test_pairing_sees_what_two_intervals_hide() -> None:
    """Every query one place better: no doubt at all, though the two intervals overlap widely."""
    first = np.random.default_rng(2).integers(2, 200, 80)
    better = compare(ranked(first), ranked(first - 1), "MnR")
    assert (better.difference, better.low, better.high) == pytest.approx((-1, -1, -1))
    assert better.settled
    assert interval(ranked(first), "MnR")[0] < interval(ranked(first - 1), "MnR")[1]
    assert not compare(ranked(first), ranked(first), "R@1").settled


def test_noise_is_not_called_a_difference() -> None:
    rng = np.random.default_rng(3)
    found = compare(ranked(rng.integers(1, 50, 60)), ranked(rng.integers(1, 50, 60)), "MdR")
    assert found.low < 0 < found.high
    assert not found.settled


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="metric"):
        interval(ranked([1]), "R@0")
    with pytest.raises(ValueError, match="no queries"):
        interval(ranked([]), "R@1")
    with pytest.raises(ValueError, match="paired"):
        compare(ranked([1]), ranked([1, 2]), "R@1")
