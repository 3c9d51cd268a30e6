"""Turn a lane's scores into ranks, because M2HF's late fusion (Eq. 13) compares places and never scores.

A lane is one of the four branches, or the file-name lane beside them. Decisions:

- Rank 1 is best; ranks count only the pairs that take part. A pair that abstains has no rank: `ABSTAINED`.
- Dense scores that tie go by stable id, so the order of the pool never shows.
- Speech and name lanes hand out few distinct values, so equal values all get the *worst* rank of their group:
  fifty clips that share one word have rank 50, and none of them beats a clip that some branch really preferred.
- float32 (and float16) scores are packed with their column into one integer and sorted as that, which costs a
  tenth of a stable argsort and leaves no tie to repair; float64 keeps its precision and takes a slower sort.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from m2hf_core.records import NAME_LANE, Branch

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.integer]
FloatArray = npt.NDArray[np.floating]
RankArray = npt.NDArray[np.int32]

ABSTAINED: int = int(np.iinfo(np.int32).max)
"""The infinite rank of a pair that abstains."""

TIED_LANES: frozenset[str] = frozenset({Branch.SPEECH.value, NAME_LANE})
"""Lanes whose equal values all get the worst rank of their group."""

_COLUMN_BITS = 31
_COLUMN = (1 << _COLUMN_BITS) - 1


def branch_ranks(
    scores: Mapping[str, FloatArray],
    ids: IntArray,
    abstain: Mapping[str, BoolArray] | None = None,
    tied: Collection[str] = TIED_LANES,
) -> dict[str, RankArray]:
    """Ranks [N] of every lane over one query's pool, in the order of `scores`.

    `scores` [N] per lane, larger is better; `ids` [N] stable and distinct; `abstain` [N] per lane, True where
    the pair has no score (whatever the score array holds there, NaN included). A lane that abstains for the
    whole pool is left out. Raises ValueError for other shapes, repeated ids, or NaN where a lane takes part.
    """
    ids = np.asarray(ids)
    by_id = _id_order(ids)
    ranks: dict[str, RankArray] = {}
    for lane, values in scores.items():
        silent = (abstain or {}).get(lane)
        if values.shape != ids.shape or (silent is not None and silent.shape != ids.shape):
            raise ValueError(f"lane {lane}: {values.shape} scores for {ids.shape} ids")
        taking: npt.NDArray[np.int64] | slice = slice(None) if by_id is None else by_id
        if silent is not None:
            taking = np.flatnonzero(~silent) if by_id is None else by_id[~silent[by_id]]
        active = values[taking]
        if active.size:
            ranks[lane] = np.full(ids.size, ABSTAINED, np.int32)
            ranks[lane][taking] = rank_rows(active[None], tied=lane in tied)[0]
    return ranks


def rank_rows(
    scores: FloatArray, abstain: BoolArray | None = None, tied: bool = False, late: BoolArray | None = None
) -> RankArray:
    """Ranks [Q, N] of many pools at once: the larger score first, ties by column.

    `late` [Q, N] marks the columns that lose a tie against the unmarked ones, which is how an evaluation lets
    the truth win or lose all its ties. Raises ValueError for NaN where the lane takes part.
    """
    rows, columns = scores.shape
    odd = np.isnan(scores)
    if (odd if abstain is None else odd & ~abstain).any():
        raise ValueError("a score is NaN where its lane takes part")
    order = _best_first(scores, abstain, late)
    places = np.broadcast_to(np.arange(1, columns + 1, dtype=np.int32), (rows, columns))
    if tied:
        places = _worst_of_group(scores, abstain, order)
    ranks = np.empty((rows, columns), np.int32)
    np.put_along_axis(ranks, order, places, axis=1)
    if abstain is not None:
        ranks[abstain] = ABSTAINED
    return ranks


def id_places(ids: IntArray) -> npt.NDArray[np.int64]:
    """Each item's 0-based place [N] in ascending id order. Raises ValueError for repeated ids."""
    ids = np.asarray(ids)
    places = np.arange(ids.size)
    order = _id_order(ids)
    if order is not None:
        places[order] = np.arange(ids.size)
    return places


def _id_order(ids: IntArray) -> npt.NDArray[np.int64] | None:
    """Pool positions by ascending id, None when they stand so already (the usual case)."""
    if (ids[1:] > ids[:-1]).all():
        return None
    order = np.argsort(ids)
    if (ids[order][1:] == ids[order][:-1]).any():
        raise ValueError("the pool holds one id twice")
    return order


def _best_first(
    scores: FloatArray, abstain: BoolArray | None, late: BoolArray | None
) -> npt.NDArray[np.int64]:
    """Columns [Q, N] from best to worst; those that abstain stand last."""
    if scores.dtype not in (np.float16, np.float32):
        last_first = (late, -scores.astype(np.float64), abstain)
        return np.lexsort(tuple(key for key in last_first if key is not None), axis=-1)
    # IEEE floats compare like sign-magnitude integers: flip the magnitude bits of the negative ones.
    # Subtracting from zero, rather than negating, makes -0.0 and 0.0 one number here too.
    falling = (np.float32(0) - scores.astype(np.float32)).view(np.int32)
    falling ^= (falling >> 31) & np.int32(_COLUMN)
    if abstain is not None:
        falling[abstain] = _COLUMN  # a NaN's pattern, beyond every number
    packed = falling.astype(np.int64) << 32
    packed |= np.arange(scores.shape[1])
    if late is not None:
        packed |= late.astype(np.int64) << _COLUMN_BITS
    packed.sort(axis=1)
    packed &= _COLUMN
    return packed


def _worst_of_group(scores: FloatArray, abstain: BoolArray | None, order: npt.NDArray[np.int64]) -> RankArray:
    """The rank [Q, N] at each sorted position when equal scores share the last place of their group."""
    columns = order.shape[1]
    values = np.take_along_axis(scores, order, axis=1)
    ends = np.ones(order.shape, np.bool_)
    ends[:, :-1] = values[:, 1:] != values[:, :-1]
    if abstain is not None:
        silent = np.take_along_axis(abstain, order, axis=1)
        ends[:, :-1] |= silent[:, 1:] != silent[:, :-1]
    places = np.where(ends, np.arange(1, columns + 1, dtype=np.int32), np.int32(ABSTAINED))
    worst: RankArray = np.minimum.accumulate(places[:, ::-1], axis=1)[:, ::-1]
    return worst
