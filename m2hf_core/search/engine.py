"""A query to ranked clips with receipts: scores per lane, ranks per lane, one fusion, and the reasons.

The four branches are those of M2HF. Audio and motion are gated by a trained scorer; until there is one they abstain
and the answer says so. File names are searched beside the branches as a labelled lane of their own.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from m2hf_core.model.ranks import BoolArray, RankArray, branch_ranks
from m2hf_core.model.receipt import Receipt
from m2hf_core.model.speech import SpokenNouns
from m2hf_core.records import (
    BRANCHES,
    NAME_LANE,
    AlignedWord,
    Branch,
    BranchHit,
    Fusion,
    SearchHit,
)
from m2hf_core.search.gallery import FloatArray, Gallery, unit_rows
from m2hf_core.search.order import Pool, pool_receipts, rank_pool
from m2hf_core.text.names import name_score

UNTRAINED = "no trained scorer: sound and movement need one"


@dataclass(frozen=True, slots=True, eq=False)
class EncodedQuery:
    """A query as each lane reads it. `visual` is None while the visual branch is asleep."""

    text: str
    visual: FloatArray | None
    """[d] the pooled token's feature, L2-normalised."""
    nouns: frozenset[str]
    words: frozenset[str]
    """Words and numbers, for file names."""


@dataclass(frozen=True, slots=True, eq=False)
class LaneScores:
    """One lane over the whole gallery: scores [N], and where it abstains [N]."""

    scores: npt.NDArray[np.float32]
    abstain: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """All lanes of one query, kept so that switching a branch fuses again without a new query."""

    query: EncodedQuery
    lanes: Mapping[str, LaneScores]
    abstained: Mapping[str, str] = field(default_factory=dict)
    """Why a branch abstains for the whole query."""
    pool: BoolArray | None = None
    """[N] the clips that take part; None = all."""
    pushed: BoolArray | None = None
    """[N] the clips that stand behind all others; None = none."""
    said_at: Mapping[int, float] = field(default_factory=dict)
    """Row -> second at which exact words are heard."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    hits: tuple[SearchHit, ...]
    abstained: Mapping[str, str]
    took_ms: float


def search_gallery(
    gallery: Gallery,
    query: EncodedQuery,
    asleep: Mapping[str, str],
    *,
    k: int,
    fusion: Fusion,
    branches: Collection[str] = BRANCHES,
    explain: bool = False,
) -> Found:
    """The k best clips. `asleep` maps a branch to the reason why it cannot be used at all."""
    began = time.perf_counter()
    scored = score_lanes(gallery, query, asleep)
    hits = fuse_lanes(gallery, scored, k=k, fusion=fusion, branches=branches, explain=explain)
    abstained = {name: reason for name, reason in scored.abstained.items() if name in branches}
    return Found(hits, abstained, (time.perf_counter() - began) * 1000)


def score_lanes(gallery: Gallery, query: EncodedQuery, asleep: Mapping[str, str]) -> Scored:
    """Score every clip in every lane that can say something about this query."""
    lanes: dict[str, LaneScores] = {}
    abstained: dict[str, str] = {}
    if query.visual is None or gallery.pooled is None:
        abstained[Branch.VISUAL] = asleep.get(Branch.VISUAL, "no video has been looked at yet")
    else:
        # Untrained: eot . mean of the unit frames, which is mean-pooled CLIP and needs one vector per clip.
        scores = np.zeros(len(gallery), np.float32)
        scores[gallery.seen] = gallery.pooled.scores(query.visual)
        lanes[Branch.VISUAL] = LaneScores(scores, ~gallery.seen)
    for branch in (Branch.AUDIO, Branch.MOTION):
        abstained[branch] = asleep.get(branch, UNTRAINED)
    speech = speech_lane(gallery.spoken, query.nouns)
    if speech.abstain.all():
        abstained[Branch.SPEECH] = asleep.get(Branch.SPEECH) or _why_no_speech(gallery, query)
    else:
        lanes[Branch.SPEECH] = speech
    name = _name_lane(gallery, query)
    if not name.abstain.all():
        lanes[NAME_LANE] = name
    return Scored(query, lanes, abstained)


def fuse_lanes(
    gallery: Gallery,
    scored: Scored,
    *,
    k: int,
    fusion: Fusion,
    branches: Collection[str] = BRANCHES,
    explain: bool = False,
) -> tuple[SearchHit, ...]:
    """Rank the clips over the chosen branches; the name lane takes part when none was left out."""
    pool = pool_of(gallery, scored, branches)
    return tuple(hit_of(gallery, scored, pool, found, explain) for found in pool_receipts(pool, fusion, k))


def pool_of(gallery: Gallery, scored: Scored, branches: Collection[str]) -> Pool:
    """The pool with the ranks of the chosen branches and of the name lane."""
    named = set(BRANCHES) <= set(
        branches
    )  # whoever picks branches by hand does not want file names among them
    active = {
        name: lane for name, lane in scored.lanes.items() if name in branches or (name == NAME_LANE and named)
    }
    size = len(gallery)
    return rank_pool(
        np.arange(size) if scored.pool is None else np.flatnonzero(scored.pool),
        gallery.ids,
        {name: lane.scores for name, lane in active.items()},
        {name: lane.abstain for name, lane in active.items()},
        np.zeros(size, np.bool_) if scored.pushed is None else scored.pushed,
    )


def lane_ranks(gallery: Gallery, scored: Scored, branches: Collection[str]) -> dict[str, RankArray]:
    """Ranks [N] of the chosen branches alone, for evaluation."""
    chosen = {name: lane for name, lane in scored.lanes.items() if name in branches}
    return branch_ranks(
        {name: lane.scores for name, lane in chosen.items()},
        gallery.ids,
        {name: lane.abstain for name, lane in chosen.items()},
    )


def speech_lane(spoken: SpokenNouns, nouns: frozenset[str]) -> LaneScores:
    """Jaccard of each noun set with `nouns`; a pair that shares nothing abstains (M2HF, Eq. 11)."""
    scores = np.zeros(len(spoken), np.float32)
    rows, values = spoken.scores(nouns)
    scores[rows] = values
    return LaneScores(scores, scores == 0)


def _name_lane(gallery: Gallery, query: EncodedQuery) -> LaneScores:
    """The share of the query's words that a file's name and folder contain."""
    scores = np.asarray([name_score(query.words, name) or 0.0 for name in gallery.names], np.float32)
    return LaneScores(scores, scores == 0)


def _why_no_speech(gallery: Gallery, query: EncodedQuery) -> str:
    if not any(gallery.nouns):
        return "no video has a transcript"
    if not query.nouns:
        return "the query names no noun"
    return "no transcript shares a noun with the query"


def hit_of(gallery: Gallery, scored: Scored, pool: Pool, receipt: Receipt, explain: bool) -> SearchHit:
    """One pool item with everything that is said about it."""
    row = int(pool.rows[receipt.item])
    clip = gallery.clips[row]
    branches: dict[str, BranchHit | None] = dict.fromkeys(BRANCHES)
    for name, rank in receipt.ranks.items():
        if rank is not None:
            score = float(scored.lanes[name].scores[row])
            branches[name] = BranchHit(rank, score, _best_moment(gallery, scored, name, row))
    shared = gallery.nouns[row] & scored.query.nouns if Branch.SPEECH in pool.ranks else frozenset[str]()
    return SearchHit(
        rank=receipt.rank,
        clip_id=clip.clip_id,
        video=clip.path,
        start_s=clip.start_s,
        end_s=clip.end_s,
        best_s=_moment_of_hit(clip.start_s, receipt, branches),
        title=clip.path.name,
        won_by=receipt.won_by,
        branches=branches,
        without=receipt.without,
        words=tuple(sorted(shared)),
        alignment=_alignment(gallery, scored, pool.ranks, row) if explain else (),
    )


def _moment_of_hit(start_s: float, receipt: Receipt, branches: Mapping[str, BranchHit | None]) -> float:
    """The winning branch's best moment, else that of any branch, else the clip's start."""
    for name in (*receipt.won_by, *branches):
        hit = branches.get(name)
        if hit is not None and hit.best_s is not None:
            return hit.best_s
    return start_s


def _best_moment(gallery: Gallery, scored: Scored, lane: str, row: int) -> float | None:
    """Where in the clip the lane matches best: the nearest frame, the exact words, or the line with most nouns."""
    query = scored.query
    frames, times = gallery.frames[row], gallery.frame_times[row]
    if lane == Branch.VISUAL and frames is not None and times is not None and query.visual is not None:
        return float(times[int(np.argmax(frames @ query.visual))])
    if lane == Branch.SPEECH and row in scored.said_at:
        return scored.said_at[row]
    if lane == Branch.SPEECH:
        line = max(gallery.lines[row], key=lambda line: len(line.nouns & query.nouns), default=None)
        return None if line is None else line.start_s
    return None


def _alignment(
    gallery: Gallery, scored: Scored, active: Collection[str], row: int
) -> tuple[AlignedWord, ...]:
    """Untrained, the visual branch weighs the text as a whole; speech names its nouns and their lines."""
    found: list[AlignedWord] = []
    query = scored.query
    moment = _best_moment(gallery, scored, Branch.VISUAL, row) if Branch.VISUAL in active else None
    if moment is not None:
        found.append(AlignedWord(query.text, Branch.VISUAL, moment, 1.0))
    if Branch.SPEECH in active:
        shared = sorted(gallery.nouns[row] & query.nouns)
        for noun in shared:
            line = next(line for line in gallery.lines[row] if noun in line.nouns)
            found.append(AlignedWord(noun, Branch.SPEECH, line.start_s, 1 / len(shared)))
    return tuple(found)


def unit_vector(values: npt.NDArray[np.floating]) -> FloatArray:
    """One vector [d] scaled to length one."""
    unit: FloatArray = unit_rows(values[None])[0]
    return unit
