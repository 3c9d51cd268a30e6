"""Say why a hit stands where it stands: who won it, and where it would be without each lane.

A fusion of ranks makes this exact rather than a story told afterwards: leaving a lane out changes no other lane's
ranks, so the same fusion is simply done again without it. Decisions:

- A hit is won by every lane in which it has its best rank, whichever fusion ordered the list.
- Ranks are taken inside the candidate pool. A hit that no other lane ranks, or that no other lane would have
  brought into a pool smaller than the gallery, would not be in the list at all: "beyond N", N the pool's size.
- Audio and motion scores are gated visual scores, so a first place there does not prove that sound or movement
  mattered. It did only if the hit falls in that branch once its input is replaced by the completion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m2hf_core.model.fusion import Places, positions
from m2hf_core.model.ranks import ABSTAINED, BoolArray, FloatArray, IntArray, RankArray, id_places
from m2hf_core.records import Fusion


@dataclass(frozen=True, slots=True)
class Receipt:
    """Why one pool item is a hit."""

    item: int
    """Its position in the pool's arrays."""
    rank: int
    won_by: tuple[str, ...]
    ranks: Mapping[str, int | None]
    """Its rank in every active lane, None where it abstains."""
    without: Mapping[str, int | str]
    """Its fused rank with that lane left out, for every active lane; "beyond N" when outside the pool."""


def receipts(
    ranks: Mapping[str, RankArray],
    fusion: Fusion,
    ids: IntArray,
    items: IntArray,
    brought_by: Mapping[str, BoolArray] | None = None,
    among: int | None = None,
) -> list[Receipt]:
    """Receipts for some pool items, in their order; `ranks` [N] per active lane, `ids` [N], `items` [H].

    `brought_by` [N] per lane tells which lanes' own candidate lists hold the item, needed when the pool is smaller
    than the gallery; None says that the pool is the gallery and every counterfactual rank is exact. `among` as in
    `fuse`.
    """
    chosen: Places = np.asarray(items, np.int64)
    places = id_places(ids)
    stands = positions(ranks, fusion, places, chosen, among)
    without = {lane: _without(lane, ranks, fusion, places, chosen, brought_by, among) for lane in ranks}
    found = []
    for h, item in enumerate(chosen.tolist()):
        own = {lane: int(values[item]) for lane, values in ranks.items()}
        best = min(own.values(), default=ABSTAINED)
        found.append(
            Receipt(
                item=item,
                rank=int(stands[h]),
                won_by=tuple(lane for lane, rank in own.items() if rank == best != ABSTAINED),
                ranks={lane: None if rank == ABSTAINED else rank for lane, rank in own.items()},
                without={lane: without[lane][h] for lane in ranks},
            )
        )
    return found


def _without(
    lane: str,
    ranks: Mapping[str, RankArray],
    fusion: Fusion,
    places: Places,
    items: Places,
    brought_by: Mapping[str, BoolArray] | None,
    among: int | None,
) -> list[int | str]:
    """The items' ranks [H] when one lane is left out."""
    rest = {other: values for other, values in ranks.items() if other != lane}
    seen = np.zeros(items.size, np.bool_)
    for other, values in rest.items():
        ranked = values[items] != ABSTAINED
        seen |= ranked if brought_by is None else ranked & brought_by[other][items]
    stands = positions(rest, fusion, places, items, among).tolist()
    beyond = f"beyond {places.size}"
    return [rank if inside else beyond for rank, inside in zip(stands, seen.tolist(), strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class InputTest:
    """Whether sound (or movement) carried some hits in its branch."""

    rank: RankArray
    """[H] in the branch as it is; `ABSTAINED` where it abstains."""
    replaced_rank: RankArray
    """[H] with the hit's own input replaced by its completion and everything else as it is."""

    @property
    def mattered(self) -> BoolArray:
        """[H] True where replacing the input costs the hit places: "heard" for audio, "moved" for motion."""
        found: BoolArray = self.replaced_rank > self.rank
        return found


def weigh_input(
    scores: FloatArray, rank: RankArray, ids: IntArray, items: IntArray, replaced: npt.ArrayLike
) -> InputTest:
    """Rank some items again in a dense branch, each alone with its score replaced.

    `scores`, `rank`, `ids` [N] are the branch's own; `items` [H]; `replaced` [H] is the branch's score of each
    item with its sound (or movement) replaced by the completion. Raises ValueError when one of those is NaN.
    """
    places = id_places(ids)
    values = np.asarray(replaced, dtype=scores.dtype)
    if np.isnan(values).any():
        raise ValueError("a replaced score is NaN")
    active = rank != ABSTAINED
    ordered = np.sort(scores[active])
    below_or_level = np.searchsorted(ordered, values, side="right")
    ahead = ordered.size - below_or_level - (scores[items] > values)
    for h in np.flatnonzero(below_or_level > np.searchsorted(ordered, values)).tolist():
        level = active & (scores == values[h])
        ahead[h] += np.count_nonzero(level & (places < places[items[h]]))
    ranked = np.where(active[items], ahead + 1, ABSTAINED).astype(np.int32)
    return InputTest(rank[items], ranked)
