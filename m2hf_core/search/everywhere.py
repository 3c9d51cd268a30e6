"""Ranks among all clips that pass, for `mean-rank`, when only a pool of them is scored exactly.

A mean of ranks weighs whether a clip is 300th or 3,000th in a branch. Places in a pool of a few hundred do not tell
these apart, so the clips outside are counted too: what their vectors say stands for their exact scores. How the two
belong together is learned from the query itself, on clips spread over the whole order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from m2hf_core.model.ranks import BoolArray, FloatArray, RankArray, rank_rows

Places = npt.NDArray[np.int64]

DRAWN = 400
"""Clips that come into the pool for the mean of their ranks."""
SPREAD = 200
"""Clips of each dense lane's order that show how exact scores lie around what vectors say. More changed nothing."""
LESS = 0.25
"""What a place by vectors counts beside an exact one when clips are drawn: an exact score may carry it far up.
Abstaining in a dense lane counts as its last place, and so as little."""
BINS, STEPS = 256, 200
EQUAL = 1e-6
"""Scores no farther apart say nothing about which is larger; exact ones are no more exact than this."""


@dataclass(frozen=True, slots=True, eq=False)
class Everywhere:
    """The dense lanes of one query over all clips that pass."""

    vectors_say: Mapping[str, FloatArray]
    """Per lane [N] scores by vectors, in deviations from their mean; 0 where nothing is known."""
    active: Mapping[str, BoolArray]
    """Per lane [N] the clips that it could rank."""
    spread: Places
    """Rows of the gallery that stand all over the lanes' orders, and are scored to learn from."""
    drawn: Places
    """Rows that are scored: these, and the best by the mean of ranks."""

    def ranks(self, lane: str, rows: Places, exact: FloatArray) -> RankArray:
        """Places [n] in the lane of pool clips `rows` [n], ascending and all active, with exact scores [n].

        Inside the pool they are counted, outside estimated; where the pool is all there is, they are exact.
        """
        own: RankArray = rank_rows(exact[None])[0]
        outside = self.active[lane].copy()
        outside[rows] = False
        if not outside.any():
            return own
        learn = np.isin(rows, self.spread)
        edges = np.linspace(exact.max(), exact.min(), STEPS)
        expected = _ahead(
            self._said(lane, rows[learn]), exact[learn], self._said(lane, np.flatnonzero(outside)), edges
        )
        # Edges fall and what is ahead never does, so a better score never ends behind a worse one.
        ahead: npt.NDArray[np.float64] = np.rint(np.interp(-exact, -edges, expected))
        own += ahead.astype(np.int32)
        return own

    def _said(self, lane: str, rows: Places) -> npt.NDArray[np.float64]:
        """[n, L + 2] what an exact score of the lane is guessed from: frames that one gate shows others show too."""
        own = self.vectors_say[lane][rows]
        others = [values[rows] for name, values in self.vectors_say.items() if name != lane]
        return np.stack([np.ones_like(own), own, own * own, *others], axis=1).astype(np.float64)


def _ahead(
    said: npt.NDArray[np.float64],
    exact: FloatArray,
    outside: npt.NDArray[np.float64],
    edges: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """How many clips `outside` [M, p] are likely to score more than each edge, by what `said` [S, p] of `exact` [S].

    Exact scores are taken for normal around a guess, with a deviation that changes along it.
    """
    weight = np.linalg.lstsq(said, exact.astype(np.float64), rcond=None)[0]
    guess = said @ weight
    # The mean distance of a normal variable from its mean is 0.8 of its deviation.
    off = np.abs(exact - guess) * np.sqrt(np.pi / 2)
    along = np.linalg.lstsq(np.stack([np.ones_like(guess), guess], axis=1), off, rcond=None)[0]
    guesses = outside @ weight
    # Wider by what is equal, as there are no bins between guesses that are all one.
    counts, ends = np.histogram(guesses, BINS, (guesses.min() - EQUAL, guesses.max() + EQUAL))
    middles = (ends[1:] + ends[:-1]) / 2
    usual = max(float(off.mean()), EQUAL)
    deviation = np.clip(along[0] + along[1] * middles, usual / 3, usual * 3)
    above = torch.special.ndtr(torch.from_numpy((middles[None] - edges[:, None]) / deviation)).numpy()
    found: npt.NDArray[np.float64] = above @ counts
    return found


def rank_beside(
    ranks: RankArray, exact: FloatArray, places: RankArray, scores: npt.NDArray[np.floating]
) -> RankArray:
    """The ranks [m] in a dense lane that other scores [m] would have, which have `places` [m] in the pool.

    `ranks` [n] and `exact` [n] are those of the pool clips that the lane ranks. The clips outside that are ahead are
    read off between those of the pool's neighbouring scores.
    """
    order = np.argsort(ranks)
    outside = ranks[order] - np.arange(1, len(order) + 1)
    ahead: npt.NDArray[np.float64] = np.rint(np.interp(-scores, -exact[order], outside))
    return places + ahead.astype(np.int32)


def draw_for_mean(
    vectors_say: Mapping[str, FloatArray],
    active: Mapping[str, BoolArray],
    known: Collection[RankArray],
    passing: BoolArray,
    lanes: Collection[str],
) -> Everywhere:
    """Draw clips for the mean of ranks of `lanes`; all arrays [N].

    `vectors_say` and `active` are of the dense lanes, `active` within `passing` and somewhere in each; `known` are the
    exact ranks of those among the other lanes that count.
    """
    size, among = len(passing), int(np.count_nonzero(passing))
    cost = np.zeros(size, np.float64)
    for ranks in known:
        cost += np.minimum(ranks, among)
    spread, deviations = [np.empty(0, np.int64)], {}
    for lane, values in vectors_say.items():
        rows = np.flatnonzero(active[lane])
        own = values[rows]
        places = rank_rows(own[None])[0]
        by_place = np.empty_like(rows)
        by_place[places - 1] = rows
        # Closer to each other where a few places decide.
        chosen = np.unique((np.linspace(0, 1, SPREAD) ** 2 * (len(rows) - 1)).astype(np.int64))
        spread.append(by_place[chosen])
        deviations[lane] = np.zeros(size, np.float32)
        deviations[lane][rows] = (own - own.mean()) / max(float(own.std()), 1e-9)
        if lane in lanes:
            ranks = np.full(size, among, np.int64)
            ranks[rows] = places
            cost += LESS * ranks
    taking = np.flatnonzero(passing)
    best = taking[np.argsort(cost[taking], kind="stable")[:DRAWN]]
    learn = np.unique(np.concatenate(spread))
    return Everywhere(deviations, active, learn, np.union1d(best, learn))
