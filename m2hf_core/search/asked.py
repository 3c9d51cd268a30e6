"""What was asked, as search carries it out: steps with their words, filters, exact words and what to push down."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from m2hf_core.model.ranks import BoolArray
from m2hf_core.records import NAME_LANE, Branch, Fusion, SearchHit
from m2hf_core.search.engine import EncodedQuery, LaneScores, Scored, fuse_lanes, hit_of, pool_of, score_lanes
from m2hf_core.search.gallery import Gallery
from m2hf_core.search.narrow import ExactRows
from m2hf_core.search.order import Pool, left_out, order_pool, reordered_receipts

NOT_IN_POOL = "none of the clips that the filters and exact words leave has anything for it"


@dataclass(frozen=True, slots=True, eq=False)
class EncodedNegative:
    """What to push down: clips that hold all its nouns or words, or look more like it than like the query."""

    query: EncodedQuery
    branch: Branch | None = None
    """Where to look for it; None = wherever it can be seen, heard or read."""


@dataclass(frozen=True, slots=True, eq=False)
class AskedStep:
    """One moment that is asked for."""

    query: EncodedQuery
    asleep: Mapping[str, str]
    """Why a branch has nothing to go by, for this step."""
    negatives: Sequence[EncodedNegative] = ()
    exact: ExactRows | None = None


def search_steps(
    gallery: Gallery,
    steps: Sequence[AskedStep],
    passing: BoolArray | None,
    *,
    k: int,
    fusion: Fusion,
    branches: Collection[str],
    explain: bool = False,
) -> tuple[tuple[SearchHit, ...], Mapping[str, str], list[str]]:
    """(the k best clips of the first step, why its branches abstain, where the later steps follow).

    `passing` [N] is what the filters let in, None = everything.
    """
    scored = [score_step(gallery, step, passing) for step in steps]
    abstained = {name: reason for name, reason in scored[0].abstained.items() if name in branches}
    if len(steps) == 1:
        hits = fuse_lanes(gallery, scored[0], k=k, fusion=fusion, branches=branches, explain=explain)
        return hits, abstained, []
    pools = [pool_of(gallery, step, branches) for step in scored]
    order, follows = follow(gallery, pools, fusion)
    found = reordered_receipts(
        pools[0], fusion, order[:k], lambda lane: follow(gallery, pools, fusion, without=lane)[0]
    )
    hits = tuple(hit_of(gallery, scored[0], pools[0], receipt, explain) for receipt in found)
    notes = []
    for receipt in found:
        row, seconds = int(pools[0].rows[receipt.item]), []
        for after in follows:
            row = after[row]
            seconds.append(f"{gallery.clips[row].start_s:g} s")
        notes.append(f"Hit {receipt.rank} is followed at {', then '.join(seconds)}.")
    return hits, abstained, notes


def score_step(gallery: Gallery, step: AskedStep, passing: BoolArray | None) -> Scored:
    """Every lane's scores, the pool, and what is pushed down."""
    scored = score_lanes(gallery, step.query, step.asleep)
    lanes, pool = dict(scored.lanes), passing
    if step.exact is not None:
        pool = step.exact.holding if pool is None else pool & step.exact.holding
        for name, rows in ((Branch.SPEECH, step.exact.spoken), (NAME_LANE, step.exact.named)):
            if rows.any():
                lanes[name] = _with_literal(lanes.get(name), rows)
    abstained = {name: reason for name, reason in scored.abstained.items() if name not in lanes}
    if pool is not None:
        for name in [name for name, lane in lanes.items() if lane.abstain[pool].all()]:
            del lanes[name]
            if name != NAME_LANE:
                abstained[name] = NOT_IN_POOL
    return replace(
        scored,
        lanes=lanes,
        abstained=abstained,
        pool=pool,
        pushed=_pushed(gallery, step),
        said_at={} if step.exact is None else step.exact.said_at,
    )


def follow(
    gallery: Gallery, pools: Sequence[Pool], fusion: Fusion, without: str = ""
) -> tuple[npt.NDArray[np.int64], list[dict[int, int]]]:
    """(positions in the first pool, best first; per later step: row -> the row that follows it best).

    A clip's cost is its own rank plus the least cost of a clip of the next step that begins later in the same video;
    a clip that nothing follows is out. Equal costs go by own rank. `without` leaves a lane out of every step.
    """
    follows: list[dict[int, int]] = []
    later: dict[int, int] | None = None
    for pool in reversed(pools):
        order = order_pool(pool, left_out(pool, without), fusion)
        costs = {int(pool.rows[place]): rank for rank, place in enumerate(order.tolist(), 1)}
        if later is not None:
            after = _best_later(gallery, costs, later)
            costs = {row: cost + later[after[row]] for row, cost in costs.items() if row in after}
            follows.insert(0, after)
        later = costs
    places = [place for place in order.tolist() if int(pools[0].rows[place]) in costs]
    places.sort(
        key=lambda place: costs[int(pools[0].rows[place])]
    )  # stable: equal costs keep their own order
    return np.asarray(places, np.int64), follows


def _best_later(gallery: Gallery, rows: Collection[int], later: Mapping[int, int]) -> dict[int, int]:
    """Row -> the cheapest row of `later` (row -> cost) that begins after it in its video; the earliest of equals."""
    clips = gallery.clips

    def by_time(row: int) -> tuple[int, float]:
        return clips[row].video_id, clips[row].start_s

    waiting = sorted(later, key=by_time)
    found: dict[int, int] = {}
    best: int | None = None
    for row in sorted(rows, key=by_time, reverse=True):
        while waiting and by_time(waiting[-1]) > by_time(row):
            candidate = waiting.pop()
            if (
                best is None
                or clips[best].video_id != clips[candidate].video_id
                or later[candidate] <= later[best]
            ):
                best = candidate
        if best is not None and clips[best].video_id == clips[row].video_id:
            found[row] = best
    return found


def _with_literal(lane: LaneScores | None, rows: BoolArray) -> LaneScores:
    """The lane with a full score where exact words stand."""
    if lane is None:
        return LaneScores(rows.astype(np.float32), ~rows)
    return LaneScores(np.where(rows, np.float32(1), lane.scores), lane.abstain & ~rows)


def _pushed(gallery: Gallery, step: AskedStep) -> BoolArray | None:
    """[N] True where some negative matches; None when there are none."""
    if not step.negatives:
        return None
    pushed = np.zeros(len(gallery), np.bool_)
    for negative in step.negatives:
        unwanted, branch = negative.query, negative.branch
        seen, wanted = unwanted.visual, step.query.visual
        if branch in (None, Branch.VISUAL) and gallery.pooled and seen is not None and wanted is not None:
            pushed[gallery.seen] |= gallery.pooled.scores(seen) > gallery.pooled.scores(wanted)
        if branch in (None, Branch.SPEECH) and unwanted.nouns:
            pushed |= np.asarray([unwanted.nouns <= spoken for spoken in gallery.nouns], np.bool_)
        if branch is None and unwanted.words:
            pushed |= np.asarray([unwanted.words <= name for name in gallery.names], np.bool_)
    return pushed
