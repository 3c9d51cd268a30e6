"""Say how sure a figure is: percentile bootstrap over the queries, alone and for two systems on the same queries.

The seed is an argument with a default, so that a report can be made again to the last digit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m2hf_core.model.readings import TruthRanks

ROUNDS = 1000
_SAMPLES_AT_ONCE = 1_000_000

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The second system's figure minus the first's, on the same queries."""

    difference: float
    low: float
    high: float
    """The 95 % interval of the difference."""

    @property
    def settled(self) -> bool:
        """True when the interval excludes "no difference"."""
        return self.low > 0 or self.high < 0


def interval(
    ranks: TruthRanks, metric: str, *, rounds: int = ROUNDS, seed: int = 0, share: float = 0.95
) -> tuple[float, float]:
    """The interval that holds `share` of the metric's values over resampled queries.

    `metric` is "R@K" (percent), "MdR" or "MnR". Raises ValueError for another metric or no queries.
    """
    values, statistic = _per_query(ranks, metric)
    drawn = [statistic(values[sample]) for sample in _samples(values.size, rounds, seed)]
    return _middle(np.concatenate(drawn), share)


def compare(
    first: TruthRanks,
    second: TruthRanks,
    metric: str,
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
    share: float = 0.95,
) -> Comparison:
    """Compare two systems on the same queries in the same order, drawing the same queries for both.

    A positive difference means more recall, or a *larger* (worse) rank. Raises ValueError when they differ in length.
    """
    a, statistic = _per_query(first, metric)
    b, _ = _per_query(second, metric)
    if a.size != b.size:
        raise ValueError(f"{a.size} queries cannot be paired with {b.size}")
    drawn = [statistic(b[sample]) - statistic(a[sample]) for sample in _samples(a.size, rounds, seed)]
    low, high = _middle(np.concatenate(drawn), share)
    return Comparison(float(statistic(b[None])[0] - statistic(a[None])[0]), low, high)


def _per_query(ranks: TruthRanks, metric: str) -> tuple[Values, Callable[[Values], Values]]:
    """One value per query [Q], and what reduces resampled values [R, Q] to the metric [R]."""
    if metric == "MdR":
        return ranks.expected(), _median
    if metric == "MnR":
        return ranks.expected(), _mean
    if recall := re.fullmatch(r"R@([1-9]\d*)", metric):
        return 100 * ranks.recall(int(recall[1])), _mean
    raise ValueError(f"no metric is called {metric!r}")


def _mean(values: Values) -> Values:
    return np.asarray(values.mean(axis=1), np.float64)


def _median(values: Values) -> Values:
    return np.asarray(np.median(values, axis=1), np.float64)


def _samples(queries: int, rounds: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Blocks [R, Q] of query numbers drawn with replacement, `rounds` rows in all."""
    if queries == 0:
        raise ValueError("there are no queries to draw from")
    rng = np.random.default_rng(seed)
    step = max(1, _SAMPLES_AT_ONCE // queries)
    for start in range(0, rounds, step):
        yield rng.integers(queries, size=(min(step, rounds - start), queries))


def _middle(values: Values, share: float) -> tuple[float, float]:
    outside = 50 * (1 - share)
    low, high = np.percentile(values, [outside, 100 - outside])
    return float(low), float(high)
