"""What was asked, as search carries it out: steps with their words, filters, exact words and what to push down."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from m2hf_core.model.ranks import BoolArray
from m2hf_core.model.speech import SpokenNouns
from m2hf_core.records import NAME_LANE, Branch, Fusion, SearchHit
from m2hf_core.search.calibrate import MAYBE, Calibration
from m2hf_core.search.engine import fuse_lanes, hits_of, pool_of
from m2hf_core.search.gallery import Gallery
from m2hf_core.search.lanes import DENSE, EncodedQuery, LaneScores, Scored, populations, score_lanes
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


def fuse_steps(
    gallery: Gallery,
    scored: Sequence[Scored],
    *,
    k: int,
    fusion: Fusion,
    branches: Collection[str],
    explain: bool = False,
) -> tuple[tuple[SearchHit, ...], Mapping[str, str], list[str]]:
    """(the k best clips of the first step, why its branches abstain, where the later steps follow)."""
    abstained = {name: reason for name, reason in scored[0].abstained.items() if name in branches}
    if len(scored) == 1:
        hits = fuse_lanes(gallery, scored[0], k=k, fusion=fusion, branches=branches, explain=explain)
        return hits, abstained, []
    pools = [pool_of(gallery, step, branches, fusion) for step in scored]
    order, follows = follow(gallery, pools, fusion)
    found = reordered_receipts(
        pools[0], fusion, order[:k], lambda lane: follow(gallery, pools, fusion, without=lane)[0]
    )
    hits = hits_of(gallery, scored[0], pools[0], found, explain)
    notes = []
    for receipt in found:
        row, seconds = int(pools[0].rows[receipt.item]), []
        for after in follows:
            row = after[row]
            seconds.append(f"{gallery.clips[row].start_s:g} s")
        notes.append(f"Hit {receipt.rank} is followed at {', then '.join(seconds)}.")
    return hits, abstained, notes


def score_step(
    gallery: Gallery,
    step: AskedStep,
    passing: BoolArray | None,
    calibration: Calibration | None = None,
    for_mean: Collection[str] | None = None,
) -> Scored:
    """Every lane's scores, the pool, and what is pushed down; `for_mean` as in `score_lanes`."""
    narrowed, literal = passing, dict[str, BoolArray]()
    if step.exact is not None:
        narrowed = step.exact.holding if passing is None else passing & step.exact.holding
        literal = {Branch.SPEECH: step.exact.spoken, NAME_LANE: step.exact.named}
    scored = score_lanes(gallery, step.query, step.asleep, narrowed, literal, for_mean=for_mean)
    lanes, pool = dict(scored.lanes), scored.pool
    abstained = dict(scored.abstained)
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
        pushed=_joined(_pushed(gallery, step, pool), _unearned(gallery, lanes, pool, calibration)),
        said_at={} if step.exact is None else step.exact.said_at,
        calibration=calibration,
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


def _joined(pushed: BoolArray | None, hubs: BoolArray | None) -> BoolArray | None:
    return hubs if pushed is None else pushed if hubs is None else pushed | hubs


def _unearned(
    gallery: Gallery,
    lanes: Mapping[str, LaneScores],
    pool: BoolArray | None,
    calibration: Calibration | None,
) -> BoolArray | None:
    """[N] hubs in the pool that the query gives no reason to show: nothing is unusual, nobody speaks of it."""
    if calibration is None or not calibration.hubs.any():
        return None
    pushed = np.zeros(len(gallery), np.bool_)
    for row in np.flatnonzero(calibration.hubs if pool is None else calibration.hubs & pool).tolist():
        own = {name: float(lane.scores[row]) for name, lane in lanes.items() if not lane.abstain[row]}
        dense = {name: score for name, score in own.items() if name in DENSE}
        share = calibration.share(row, dense)
        pushed[row] = dense.keys() == own.keys() and share is not None and share < MAYBE
    return pushed


def _pushed(gallery: Gallery, step: AskedStep, pool: BoolArray | None) -> BoolArray | None:
    """[N] True where some negative matches; None when there are none. Dense branches are asked inside the pool."""
    if not step.negatives:
        return None
    pushed = np.zeros(len(gallery), np.bool_)
    for negative in step.negatives:
        unwanted, only = negative.query, negative.branch
        if only != Branch.SPEECH:
            _push_likeness(gallery, step.query, unwanted, only or Branch.VISUAL, pool, pushed)
        if only in (None, Branch.SPEECH) and unwanted.nouns:
            pushed |= _holding_all(gallery.spoken, unwanted.nouns)
        if only is None and unwanted.words:
            pushed |= _holding_all(gallery.named, unwanted.words)
    return pushed


def _push_likeness(
    gallery: Gallery,
    query: EncodedQuery,
    unwanted: EncodedQuery,
    branch: str,
    pool: BoolArray | None,
    pushed: BoolArray,
) -> None:
    """Mark the clips that fit what is unwanted better than what is asked for, by one dense branch."""
    wanted = populations(gallery, query)
    for known, other in zip(wanted, populations(gallery, unwanted), strict=True):
        encoded, yes, no = known.encoded, known.readings.get(branch), other.readings.get(branch)
        if yes is None or no is None:
            continue
        if encoded.pooled_is_score:
            index = encoded.index[branch]
            pushed |= encoded.present[branch] & (index.scores(no.vector) > index.scores(yes.vector))
        else:
            rows = np.flatnonzero(encoded.present[branch] if pool is None else encoded.present[branch] & pool)
            pushed[rows] |= encoded.score(branch, no, rows) > encoded.score(branch, yes, rows)


def _holding_all(words_of: SpokenNouns, words: frozenset[str]) -> BoolArray:
    """[N] True where every word is held."""
    holding = np.zeros(len(words_of), np.bool_)
    rows, shared = words_of.shared(words)
    holding[rows] = shared == len(words)
    return holding
