"""Where the truth stands, query by query, under every reading of M2HF's fusion, with ties averaged.

The paper scores the truth's own best rank (Eq. 13), which no ranked list can show; a list has to order the items
that share a best rank. The readings, always labelled:

- `honest`: the truth's place in the order that a search shows. The only one that may be called R@K.
- `oracle`: the truth's own minimal rank over the branches, the paper's reading.
- `pessimistic`: the truth behind everything that has its minimal rank.
- each branch alone, where a truth that abstains has rank N; and the fusions `rrf` and `mean-rank`, honestly.

Ties. A search breaks ties by stable id, and an evaluation that did the same would reward a lucky numbering. So every
place is computed twice, with the truth winning and then losing every tie of dense scores, and it is taken to be
anywhere in between with equal chance. For one branch that is the expected rank under a random tie order; for the
fused order it keeps what total orders have, recall of oracle >= honest >= pessimistic wherever the truth takes part
in a dense branch, which average ranks inside the branches would break; and scores that are all alike score chance
(pessimistic: nothing). Speech keeps its rule, the worst rank of the group, and so does its own table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m2hf_core.model.fusion import first_key, later_keys
from m2hf_core.model.ranks import ABSTAINED, TIED_LANES, BoolArray, FloatArray, IntArray, rank_rows
from m2hf_core.records import Fusion

OTHER_FUSIONS: tuple[Fusion, ...] = ("rrf", "mean-rank")
_BLOCK = 1_000_000
"""Pairs ranked at once: about 100 MB of working arrays with four lanes."""


@dataclass(frozen=True, slots=True, eq=False)
class TruthRanks:
    """The truth's place for each of Q queries, somewhere in [best, worst] as ties fall."""

    best: npt.NDArray[np.int64]
    worst: npt.NDArray[np.int64]
    peers: npt.NDArray[np.int64]
    """Right answers that stand in that tie together, 1 unless a query has several right answers."""

    def expected(self) -> npt.NDArray[np.float64]:
        """The expected place [Q] of the first right answer."""
        places: npt.NDArray[np.float64] = self.best + (self.worst - self.best) / (self.peers + 1)
        return places

    def recall(self, k: int) -> npt.NDArray[np.float64]:
        """The chance [Q], 0 to 1, that a right answer is among the first `k`."""
        others = self.worst - self.best
        missed = np.ones(self.best.size)
        # Draw the tie's places one after the other: each shows a wrong answer with others / all that are left.
        for drawn in range(k):
            wrong = np.maximum(others - drawn, 0) / np.maximum(others + self.peers - drawn, 1)
            missed = np.where(self.best + drawn <= k, missed * wrong, missed)
        return 1 - missed


@dataclass(frozen=True, slots=True)
class Readings:
    """All readings of one direction, T2V or V2T."""

    honest: TruthRanks
    oracle: TruthRanks
    pessimistic: TruthRanks
    branches: Mapping[str, TruthRanks]
    fusions: Mapping[str, TruthRanks]


def read_truths(
    scores: Mapping[str, FloatArray],
    truth: IntArray,
    owner: IntArray | None = None,
    abstain: Mapping[str, BoolArray] | None = None,
    tied: Collection[str] = TIED_LANES,
) -> Readings:
    """Rank the truth of Q queries among N items.

    `scores` [Q, N] per lane; item j answers query i when `owner[j] == truth[i]` (`owner` [N] is 0..N-1 when None);
    `abstain` per lane, broadcastable to [Q, N]. Items are in stable id order. Raises ValueError when there is no
    lane, shapes differ, or a query has no right answer.
    """
    truth = np.asarray(truth)
    if not scores or not truth.size:
        raise ValueError("there is no lane or no query to evaluate")
    shape = (truth.size, next(iter(scores.values())).shape[-1])
    owner = np.arange(shape[-1]) if owner is None else np.asarray(owner)
    if owner.size != shape[-1] or any(values.shape != shape for values in scores.values()):
        raise ValueError(f"scores are not [{truth.size} queries, {owner.size} items] in every lane")
    if not np.isin(truth, owner).all():
        raise ValueError("a query has no right answer among the items")
    silent = {lane: np.broadcast_to(mask, shape) for lane, mask in (abstain or {}).items() if lane in scores}
    step = max(1, _BLOCK // owner.size)
    blocks = []
    for start in range(0, truth.size, step):
        rows = slice(start, start + step)
        blocks.append(
            _read_block(
                {lane: values[rows] for lane, values in scores.items()},
                owner == truth[rows, None],
                {lane: mask[rows] for lane, mask in silent.items()},
                tied,
            )
        )
    return Readings(
        honest=_joined(blocks, "honest"),
        oracle=_joined(blocks, "oracle"),
        pessimistic=_joined(blocks, "pessimistic"),
        branches={lane: _joined(blocks, f"branch {lane}") for lane in scores},
        fusions={fusion: _joined(blocks, fusion) for fusion in OTHER_FUSIONS},
    )


def _joined(blocks: list[dict[str, TruthRanks]], name: str) -> TruthRanks:
    parts = [block[name] for block in blocks]
    return TruthRanks(
        np.concatenate([part.best for part in parts]),
        np.concatenate([part.worst for part in parts]),
        np.concatenate([part.peers for part in parts]),
    )


def _read_block(
    scores: Mapping[str, FloatArray], own: BoolArray, silent: Mapping[str, BoolArray], tied: Collection[str]
) -> dict[str, TruthRanks]:
    lucky, chosen = _places(scores, own, silent, tied, late=~own)
    unlucky, _ = _places(scores, own, silent, tied, late=own)
    lucky["pessimistic"] = unlucky["pessimistic"]
    peers = _peers(scores, own, silent, chosen)
    return {name: TruthRanks(lucky[name], unlucky[name], peers) for name in lucky}


def _places(
    scores: Mapping[str, FloatArray],
    own: BoolArray,
    silent: Mapping[str, BoolArray],
    tied: Collection[str],
    late: BoolArray,
) -> tuple[dict[str, npt.NDArray[np.int64]], npt.NDArray[np.int64]]:
    """Every reading's place [Q] of the truth under one tie order, and the column that is first in the honest one."""
    size = own.shape[1]
    ranks = {lane: rank_rows(values, silent.get(lane), lane in tied, late) for lane, values in scores.items()}
    places: dict[str, npt.NDArray[np.int64]] = {}
    for lane, values in ranks.items():
        place = np.where(own, values, ABSTAINED).min(axis=1).astype(np.int64)
        places[f"branch {lane}"] = np.where(place == ABSTAINED, size, place)
    places["oracle"] = np.minimum.reduce([places[f"branch {lane}"] for lane in ranks])
    last = np.arange(size) + size * late
    lanes = list(ranks.values())
    for fusion in OTHER_FUSIONS:
        places[fusion], _ = _first_own(
            [first_key(lanes, fusion, own.shape), *later_keys(ranks, fusion), last], own
        )
    best = first_key(lanes, "mmbf", own.shape)
    places["honest"], chosen = _first_own([best, *later_keys(ranks, "mmbf"), last], own)
    level = np.where(own, best, ABSTAINED).min(axis=1, keepdims=True)
    places["pessimistic"] = 1 + np.count_nonzero((best <= level) & ~own, axis=1)
    return places, chosen


def _first_own(
    keys: Sequence[IntArray], own: BoolArray
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Place [Q] and column [Q] of the first right answer when items are ordered by `keys`, each [Q, N]."""
    level = np.ones_like(own)
    ahead = np.zeros(own.shape[0], np.int64)
    for key in keys:
        best = np.where(own, key, np.iinfo(key.dtype).max).min(axis=1, keepdims=True)
        ahead += np.count_nonzero(level & (key < best), axis=1)
        level = level & (key == best)
        own = own & level
    return ahead + 1, own.argmax(axis=1)


def _peers(
    scores: Mapping[str, FloatArray],
    own: BoolArray,
    silent: Mapping[str, BoolArray],
    chosen: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """How many right answers [Q] equal the first one in every lane, and so fall with its ties."""
    alike: BoolArray = own
    for lane, values in scores.items():
        same = values == np.take_along_axis(values, chosen[:, None], axis=1)
        if lane in silent:
            quiet = np.take_along_axis(silent[lane], chosen[:, None], axis=1)
            same = np.where(quiet, silent[lane], same & ~silent[lane])
        alike = alike & same
    return np.asarray(np.count_nonzero(alike, axis=1), np.int64)
