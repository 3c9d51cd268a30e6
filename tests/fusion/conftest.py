"""The fusion written out once more, item by item, from its definition: slow, plain, and sharing no code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

LANES = ("visual", "audio", "motion", "speech", "name")
TIED = {"speech", "name"}


@dataclass
class Pool:
    """One query's candidates; plain lists for the reference, arrays for the code under test."""

    ids: list[int]
    scores: dict[str, list[float]]
    abstain: dict[str, list[bool]] = field(default_factory=dict)
    dtype: Any = np.float32

    def arrays(self) -> tuple[dict[str, Any], Any, dict[str, Any]]:
        return (
            {lane: np.array(values, self.dtype) for lane, values in self.scores.items()},
            np.array(self.ids),
            {lane: np.array(mask, bool) for lane, mask in self.abstain.items()},
        )

    def without(self, lane: str) -> Pool:
        rest = {other: values for other, values in self.scores.items() if other != lane}
        return Pool(self.ids, rest, self.abstain, self.dtype)

    def silent(self, lane: str, i: int) -> bool:
        return lane in self.abstain and self.abstain[lane][i]


def slow_rank(pool: Pool, lane: str, i: int) -> float:
    """Rank of item i in one lane, inf when it abstains."""
    if pool.silent(lane, i):
        return inf
    values, rank = pool.scores[lane], 1
    group = 0
    for j in range(len(pool.ids)):
        if j == i or pool.silent(lane, j):
            continue
        if values[j] > values[i] or (
            values[j] == values[i] and lane not in TIED and pool.ids[j] < pool.ids[i]
        ):
            rank += 1
        elif values[j] == values[i] and lane in TIED:
            group += 1
    return rank + group


def slow_order(pool: Pool, fusion: str) -> list[int]:
    """Pool positions, best first, one key per item."""
    size = len(pool.ids)
    active = [lane for lane in pool.scores if not all(pool.silent(lane, i) for i in range(size))]

    def key(i: int) -> tuple[Any, ...]:
        ranks = [slow_rank(pool, lane, i) for lane in active]
        if fusion == "mmbf":
            first: Any = sorted(ranks)
        elif fusion == "rrf":
            first = -sum((Fraction(1, 60 + int(rank)) for rank in ranks if rank < inf), Fraction(0))
        else:
            first = sum(size if rank == inf else rank for rank in ranks)
        seen = "visual" in pool.scores and not pool.silent("visual", i)
        return first, (-pool.scores["visual"][i] if seen else inf), pool.ids[i]

    return sorted(range(size), key=key)


@st.composite
def pools(draw: Any, max_size: int = 14) -> Pool:
    """Pools full of ties and silences, ids in any order."""
    size = draw(st.integers(1, max_size))
    lanes = draw(st.lists(st.sampled_from(LANES), min_size=1, max_size=5, unique=True))
    value = st.one_of(st.integers(-3, 3).map(float), st.floats(-1, 1, width=16))
    return Pool(
        ids=draw(st.permutations(range(size))),
        scores={lane: draw(st.lists(value, min_size=size, max_size=size)) for lane in lanes},
        abstain={
            lane: draw(st.lists(st.booleans(), min_size=size, max_size=size))
            for lane in draw(st.lists(st.sampled_from(lanes), unique=True))
        },
        dtype=draw(st.sampled_from([np.float16, np.float32, np.float64])),
    )


@pytest.fixture(scope="session")
def reference() -> Any:
    """The slow definitions and the strategy, for test files that may not import each other."""

    class Reference:
        pool: Callable[..., Pool] = Pool
        rank = staticmethod(slow_rank)
        order = staticmethod(slow_order)
        pools = staticmethod(pools)

    return Reference
