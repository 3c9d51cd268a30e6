"""Fuse the branches' ranks into one order: MMBF as M2HF defines it (Eq. 13), reciprocal rank, mean rank.

Decisions, where the paper is silent:

- `mmbf`: Eq. 13 keeps only each item's best rank, and up to one item per branch has rank 1. So items are ordered
  by the ascending vector of their branch ranks, compared number by number, then by visual score, then by id.
- `rrf` adds 1 / (60 + rank), an abstaining pair adds 0; `mean-rank` counts an abstaining pair, and a rank beyond,
  as the number of clips that the ranks are places among: the pool's size, or `among` where that says more. Ties of
  both go by visual score, then id. Shares are whole multiples of 2^-56, so that they add up exactly whatever the
  lanes' order (up to seven lanes), and sums are compared in units of 2^-40, so that sums that are equal on paper
  tie here too.
- "Visual score, then id" is the order that the visual lane's ranks already spell, so ranks are all that fusing
  needs. With the visual lane switched off, ties go by id at once: a lane that is off is off everywhere.
- Only the items that can reach the wanted prefix are ordered exactly. One selection on the first key finds them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from m2hf_core.model.ranks import ABSTAINED, IntArray, RankArray, id_places
from m2hf_core.records import Branch, Fusion

RRF_K = 60
_SHARE = 2.0**56
_ROUND = 2.0**16

Places = npt.NDArray[np.int64]


def fuse(
    ranks: Mapping[str, RankArray],
    fusion: Fusion,
    ids: IntArray,
    top: int | None = None,
    among: int | None = None,
) -> Places:
    """Pool positions, best first: all [N] of them, or the first `top`, equal to the full order's prefix.

    `ranks` [N] per active lane as `branch_ranks` gives them; `ids` [N]. `among`: how many clips the ranks are places
    among, which is what abstaining costs in `mean-rank`; None for the pool's own size. Raises ValueError for an
    unknown fusion.
    """
    places = id_places(ids)
    first = first_key(list(ranks.values()), fusion, places.shape, among)
    chosen = np.arange(places.size)
    if top is not None and top < places.size:
        last = max(top, 1) - 1
        chosen = np.flatnonzero(first <= np.partition(first, last)[last])
    return _exactly(chosen, first, ranks, fusion, places)[:top]


def positions(
    ranks: Mapping[str, RankArray], fusion: Fusion, places: Places, items: Places, among: int | None = None
) -> Places:
    """The 1-based fused ranks [H] of a few pool items, without ordering the rest; `places` [N] as `id_places`."""
    first = first_key(list(ranks.values()), fusion, places.shape, among)
    wanted = first[items]
    ordered = np.sort(first)
    ahead = np.searchsorted(ordered, wanted)
    shared = np.searchsorted(ordered, wanted, side="right") - ahead > 1
    rivals = np.flatnonzero(np.isin(first, wanted[shared]))
    rivals = _exactly(rivals, first, ranks, fusion, places)
    standing = np.zeros(places.size, np.int64)
    standing[rivals] = np.arange(rivals.size)
    within_tie = standing[items] - np.searchsorted(first[rivals], wanted)
    return ahead + 1 + np.where(shared, within_tie, 0)


def first_key(
    lanes: Sequence[RankArray], fusion: Fusion, shape: tuple[int, ...], among: int | None = None
) -> IntArray:
    """What a fusion compares first, [..., N] like each lane; smaller is better.

    The pool's size N is the last axis of `shape`, which also serves when no lane is active; `among` as in `fuse`.
    """
    size = shape[-1] if among is None else among
    if fusion == "mmbf":
        return np.minimum.reduce(lanes) if lanes else np.zeros(shape, np.int32)
    if fusion == "mean-rank":
        total = np.zeros(shape, np.int64)
        for lane in lanes:
            total += np.minimum(lane, size)  # abstaining is the largest rank; so is a place beyond the pool
        return total
    if fusion == "rrf":
        shares = np.zeros(shape)
        for lane in lanes:
            shares += np.floor(_SHARE / (RRF_K + lane.astype(np.float64))) * (lane != ABSTAINED)
        return -np.rint(shares / _ROUND).astype(np.int64)
    raise ValueError(f"no fusion is called {fusion!r}")


def later_keys(ranks: Mapping[str, RankArray], fusion: Fusion) -> list[RankArray]:
    """What decides after the first key, in order, each [..., N]; the id comes after all of them."""
    keys = ascending(list(ranks.values()))[1:] if fusion == "mmbf" else []
    if Branch.VISUAL in ranks:
        keys.append(ranks[Branch.VISUAL])
    return keys


def ascending(lanes: Sequence[RankArray]) -> list[RankArray]:
    """Sort across the lanes, item by item: element 0 is each item's best rank, the last its worst."""
    lanes = list(lanes)
    for end in range(len(lanes) - 1, 0, -1):
        for i in range(end):
            lanes[i], lanes[i + 1] = np.minimum(lanes[i], lanes[i + 1]), np.maximum(lanes[i], lanes[i + 1])
    return lanes


def _exactly(
    chosen: Places, first: IntArray, ranks: Mapping[str, RankArray], fusion: Fusion, places: Places
) -> Places:
    """The chosen pool positions in their exact fused order."""
    later = later_keys({lane: values[chosen] for lane, values in ranks.items()}, fusion)
    keys: list[IntArray] = [places[chosen], *reversed(later), first[chosen]]
    return chosen[np.lexsort(keys)]
