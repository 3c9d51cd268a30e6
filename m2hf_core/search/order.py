"""Order one step's pool: the fused order, with what was pushed down behind everything else.

A pushed clip stands behind the others in every lane and in the list, but it stays in it. Its receipt is exact: the
same order is made again without each lane.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from m2hf_core.model.fusion import Places, fuse
from m2hf_core.model.ranks import ABSTAINED, TIED_LANES, BoolArray, FloatArray, RankArray, branch_ranks
from m2hf_core.model.receipt import Receipt, receipts
from m2hf_core.records import Fusion
from m2hf_core.search.everywhere import Everywhere

Order = Callable[[str], Places]
"""Makes an order again with one lane left out."""


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The clips that a step ranks."""

    rows: npt.NDArray[np.int64]
    """[n] rows of the gallery, ascending."""
    ids: npt.NDArray[np.int64]
    """[n] clip ids."""
    ranks: Mapping[str, RankArray]
    """[n] per active lane."""
    pushed: BoolArray
    """[n] True for what stands behind all others."""
    brought_by: Mapping[str, BoolArray] | None = None
    """[n] per lane: what it brought into a pool that is smaller than the gallery."""
    among: int | None = None
    """How many clips dense ranks are places among, and what abstaining costs the mean in every lane; a rank beyond
    counts as much. None = the pool's own size."""


def rank_pool(
    rows: npt.NDArray[np.int64],
    ids: npt.NDArray[np.int64],
    scores: Mapping[str, FloatArray],
    abstain: Mapping[str, BoolArray],
    pushed: BoolArray,
    brought_by: Mapping[str, BoolArray] | None = None,
    passing: BoolArray | None = None,
    everywhere: Everywhere | None = None,
) -> Pool:
    """Rank every lane for the pool `rows` [n]; all other arrays [N] are the gallery's.

    Dense lanes rank the pool, or, with `everywhere`, all that pass. Speech and names are known of everything that
    passes, so theirs are the ranks there: inside the pool a word that thousands share would look as rare as the pool
    is small. Where no dense lane takes part, all ranks are places among what passes.
    """
    silent = {name: values[rows] for name, values in abstain.items()}
    down = pushed[rows]
    brought = None
    if brought_by is not None:
        nobody = np.zeros(len(rows), np.bool_)
        brought = {name: brought_by[name][rows] if name in brought_by else nobody for name in scores}
    dense = {name: values[rows] for name, values in scores.items() if name not in TIED_LANES}
    if everywhere is None:
        ranked = branch_ranks(dense, ids[rows], {name: silent[name] for name in dense})
        active = {name: int(np.count_nonzero(values != ABSTAINED)) for name, values in ranked.items()}
    else:
        ranked = _ranks_everywhere(everywhere, dense, silent, rows)
        active = {name: int(np.count_nonzero(everywhere.active[name])) for name in ranked}
    if down.any():
        ranked = {name: behind(values, down, active[name]) for name, values in ranked.items()}
    among = None
    if everywhere is not None or not ranked:
        among = len(ids) if passing is None else int(np.count_nonzero(passing))
    for name in scores:
        if name in TIED_LANES and not silent[name].all():
            taking = ~abstain[name] if passing is None else ~abstain[name] & passing
            ranked[name] = _tied_ranks(scores[name], taking, pushed, rows, silent[name])
    in_order = {name: ranked[name] for name in scores if name in ranked}
    return Pool(rows, ids[rows], in_order, down, brought, among)


def _ranks_everywhere(
    everywhere: Everywhere, scores: Mapping[str, FloatArray], silent: Mapping[str, BoolArray], rows: Places
) -> dict[str, RankArray]:
    """Ranks [n] of dense lanes among all that pass; a lane that is silent about everything is left out."""
    found = {}
    for name, values in scores.items():
        here = ~silent[name]
        if here.any():
            found[name] = np.full(len(rows), ABSTAINED, np.int32)
            found[name][here] = everywhere.ranks(name, rows[here], values[here])
    return found


def behind(ranks: RankArray, pushed: BoolArray, active: int) -> RankArray:
    """Ranks [n] of a lane with what is pushed [n] put behind all of the `active` clips that it ranks."""
    # The same places as with lowered scores, and no float is touched.
    down = np.sort(ranks[pushed & (ranks != ABSTAINED)])
    place = np.searchsorted(down, ranks)
    found = np.where(pushed, active - len(down) + place + 1, ranks - place)
    return np.where(ranks == ABSTAINED, ABSTAINED, found).astype(np.int32)


def _tied_ranks(
    scores: FloatArray,
    active: BoolArray,
    pushed: BoolArray,
    rows: npt.NDArray[np.int64],
    silent: BoolArray,
) -> RankArray:
    """Ranks [n] of `rows` among all that are active [N]: equals share the last place, what is pushed comes after."""
    upper, lower = np.sort(scores[active & ~pushed]), np.sort(scores[active & pushed])
    own, down = scores[rows], pushed[rows]
    ranks = np.where(
        down,
        len(upper) + len(lower) - np.searchsorted(lower, own),
        len(upper) - np.searchsorted(upper, own),
    )
    found: RankArray = np.where(silent, ABSTAINED, ranks).astype(np.int32)
    return found


def order_pool(pool: Pool, ranks: Mapping[str, RankArray], fusion: Fusion, top: int | None = None) -> Places:
    """Pool positions that some lane ranks, best first, what is pushed down last; `ranks` may lack lanes."""
    if not ranks:
        return np.empty(0, np.int64)
    best = fuse(ranks, fusion, pool.ids, None if pool.pushed.any() else top, pool.among)
    best = best[np.any([values[best] != ABSTAINED for values in ranks.values()], axis=0)]
    down = pool.pushed[best]
    return np.concatenate([best[~down], best[down]])[:top]


def left_out(pool: Pool, lane: str) -> dict[str, RankArray]:
    """The pool's ranks without those of one lane."""
    return {name: values for name, values in pool.ranks.items() if name != lane}


def pool_receipts(pool: Pool, fusion: Fusion, k: int) -> list[Receipt]:
    """Receipts of the first k."""
    best = order_pool(pool, pool.ranks, fusion, k)
    if not pool.pushed.any():
        return receipts(pool.ranks, fusion, pool.ids, best, pool.brought_by, pool.among)
    return reordered_receipts(pool, fusion, best, lambda lane: order_pool(pool, left_out(pool, lane), fusion))


def reordered_receipts(pool: Pool, fusion: Fusion, best: Places, order: Order) -> list[Receipt]:
    """Receipts of `best` [H], the head of an order that is more than a fusion: made again without each lane."""
    without = {}
    for lane in pool.ranks:
        without[lane] = {item: rank for rank, item in enumerate(order(lane).tolist(), 1)}
    beyond = f"beyond {len(pool.rows)}"
    return [
        replace(
            receipt,
            rank=rank,
            without={
                lane: beyond if receipt.without[lane] == beyond else places.get(receipt.item, beyond)
                for lane, places in without.items()
            },
        )
        for rank, receipt in enumerate(
            receipts(pool.ranks, fusion, pool.ids, best, pool.brought_by, pool.among), 1
        )
    ]
