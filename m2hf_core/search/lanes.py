"""One query against every clip, lane by lane: scores, who abstains and why, and which clips make the pool.

Before training one vector per clip gives the score itself, and every clip takes part. A trained scorer meets words with
frames, so the vectors only find candidates: the best of each lane make a pool, which is scored exactly.

While a library changes over to other models, some clips are known to the new ones and some to the former ones.
Their scores have nothing in common, their ranks have: a clip then scores by its place among those of its own models.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from m2hf_core.index.best import best_of
from m2hf_core.index.threads import each
from m2hf_core.index.vectors import unit_rows
from m2hf_core.model.ranks import BoolArray, RankArray, branch_ranks
from m2hf_core.model.speech import SpokenNouns
from m2hf_core.records import BRANCHES, NAME_LANE, Branch
from m2hf_core.search.calibrate import Calibration
from m2hf_core.search.encoded import EncodedClips
from m2hf_core.search.everywhere import Everywhere, draw_for_mean
from m2hf_core.search.gallery import FloatArray, Gallery
from m2hf_core.search.meeting import DenseQuery, pooled_query

UNTRAINED = "no trained scorer: sound and movement need one"
PER_LANE = 100
"""Candidates that each lane brings into the pool; README.md has the curve that it was chosen from."""
SCORED_WHOLE = 600
"""Up to so many clips all are scored, and every counterfactual rank is exact."""
DENSE = (Branch.VISUAL, Branch.AUDIO, Branch.MOTION)
_INPUT = {
    Branch.VISUAL: "no video has been looked at yet",
    Branch.AUDIO: "no clip has sound that was listened to",
    Branch.MOTION: "no clip has movement that was looked at",
}


@dataclass(frozen=True, slots=True, eq=False)
class EncodedQuery:
    """A query as each lane reads it. `visual` is None while the visual branch is asleep."""

    text: str
    visual: FloatArray | None
    """[d] the pooled token's feature, L2-normalised."""
    nouns: frozenset[str]
    words: frozenset[str]
    """Words and numbers, for file names."""
    dense: Mapping[str, DenseQuery] = field(default_factory=dict)
    """Per branch, as the active scorer reads it; none before training, when `visual` says it all."""
    former: Mapping[str, DenseQuery] = field(default_factory=dict)
    """The same for the models that are on their way out, while a library changes over."""

    def reading(self, branch: str) -> DenseQuery | None:
        """How a dense branch reads the query; None where it has nothing to go by."""
        if branch == Branch.VISUAL and not self.dense and self.visual is not None:
            return pooled_query(self.visual)
        return self.dense.get(branch)


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
    brought_by: Mapping[str, BoolArray] | None = None
    """Per lane [N]: the clips that it brought into a pool of candidates; None = nobody had to be brought."""
    passing: BoolArray | None = None
    """[N] the clips that the pool was chosen from; None = all."""
    pushed: BoolArray | None = None
    """[N] the clips that stand behind all others; None = none."""
    said_at: Mapping[int, float] = field(default_factory=dict)
    """Row -> second at which exact words are heard."""
    calibration: Calibration | None = None
    """What scores are worth in this gallery; None where that is not known."""
    everywhere: Everywhere | None = None
    """The dense lanes over all clips that pass, where `mean-rank` needs them."""
    ranks_places: bool = False
    """Whether a pool was chosen in which a dense rank is only a place, though more could be known."""


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """The clips that one set of models knows, and how it reads the query."""

    encoded: EncodedClips
    readings: Mapping[str, DenseQuery]
    """Only of branches that have something to compare."""


def lanes_of(branches: Collection[str]) -> frozenset[str]:
    """The lanes that are asked; whoever picks branches by hand does not want file names among them."""
    named = set(BRANCHES) <= set(branches)
    return frozenset({*branches, NAME_LANE} if named else branches)


def populations(gallery: Gallery, query: EncodedQuery) -> list[Population]:
    """The active scorer's clips, and those that only the former models know."""
    found = []
    for encoded, reading in ((gallery.encoded, query.reading), (gallery.former, query.former.get)):
        if encoded is not None:
            readings = {
                str(branch): read
                for branch in encoded.branches
                if encoded.has[branch] and (read := reading(branch)) is not None
            }
            found.append(Population(encoded, readings))
    return found


def meeting_of(
    gallery: Gallery, query: EncodedQuery, branch: str, row: int
) -> tuple[DenseQuery, EncodedClips] | None:
    """How a dense branch read the query for this clip, and what it was compared with; None where it abstains."""
    for population in populations(gallery, query):
        reading = population.readings.get(branch)
        if reading is not None and population.encoded.present[branch][row]:
            return reading, population.encoded
    return None


def score_lanes(
    gallery: Gallery,
    query: EncodedQuery,
    asleep: Mapping[str, str],
    passing: BoolArray | None = None,
    literal: Mapping[str, BoolArray] | None = None,
    per_lane: int | None = None,
    for_mean: Collection[str] | None = None,
) -> Scored:
    """Score the clips in every lane that can say something about this query; `passing` [N], None = all.

    `literal` [N] per lane: where exact words stand, which is a full score in the speech or name lane. `for_mean`: the
    branches whose mean rank will order the answer; it needs more clips scored, and where all others stand.
    """
    lanes: dict[str, LaneScores] = {}
    abstained: dict[str, str] = {}
    literal = literal or {}
    speech = _with_literal(speech_lane(gallery.spoken, query.nouns), literal.get(Branch.SPEECH))
    if speech.abstain.all():
        abstained[Branch.SPEECH] = asleep.get(Branch.SPEECH) or _why_no_speech(gallery, query)
    else:
        lanes[Branch.SPEECH] = speech
    name = _with_literal(_name_lane(gallery, query), literal.get(NAME_LANE))
    if not name.abstain.all():
        lanes[NAME_LANE] = name
    known = populations(gallery, query)
    brought = candidates(gallery, known, lanes, passing, PER_LANE if per_lane is None else per_lane)
    more = brought is not None and len(known) == 1 and bool(known[0].readings)
    overall = None
    if brought is not None and more and for_mean is not None:
        overall = _everywhere(gallery, known[0], lanes, passing, for_mean)
        for known_lane, lane in lanes.items():
            brought[known_lane][overall.drawn] |= ~lane.abstain[overall.drawn]
        for branch, active in overall.active.items():
            brought[branch][overall.drawn] |= active[overall.drawn]
    pool = passing if brought is None else np.logical_or.reduce(list(brought.values()))
    dense = _dense_lanes(known, len(gallery), pool)
    for branch in DENSE:
        if branch in dense:
            lanes[branch] = dense[branch]
        elif branch == Branch.VISUAL or any(branch in population.encoded.branches for population in known):
            abstained[branch] = asleep.get(branch, _INPUT[branch])
        else:
            abstained[branch] = asleep.get(branch, UNTRAINED)
    in_order = {name: lanes[name] for name in (*BRANCHES, NAME_LANE) if name in lanes}
    return Scored(query, in_order, abstained, pool, brought, passing, everywhere=overall, ranks_places=more)


def candidates(
    gallery: Gallery,
    known: Sequence[Population],
    lanes: Mapping[str, LaneScores],
    passing: BoolArray | None,
    per_lane: int,
) -> dict[str, BoolArray] | None:
    """Per lane [N] the clips that it brings into the pool; None when all that pass are scored.

    `lanes` are those whose scores are cheap and already there.
    """
    size = len(gallery) if passing is None else int(np.count_nonzero(passing))
    if size <= SCORED_WHOLE or all(population.encoded.pooled_is_score for population in known):
        return None
    brought: dict[str, BoolArray] = {NAME_LANE: np.zeros(len(gallery), np.bool_)}
    asked = [
        (branch, population.encoded.index[branch], reading.vector)
        for population in known
        for branch, reading in population.readings.items()
    ]
    for (branch, _, _), (ids, _) in zip(
        asked, each(lambda one: one[1].search(one[2], per_lane, passing), asked), strict=True
    ):
        brought.setdefault(branch, np.zeros(len(gallery), np.bool_))[np.searchsorted(gallery.ids, ids)] = True
    for name, lane in lanes.items():
        taking = np.flatnonzero(~lane.abstain if passing is None else ~lane.abstain & passing)
        best = taking[best_of(lane.scores[taking], gallery.ids[taking], per_lane)]
        brought.setdefault(name, np.zeros(len(gallery), np.bool_))[best] = True
    return brought


def _everywhere(
    gallery: Gallery,
    population: Population,
    lanes: Mapping[str, LaneScores],
    passing: BoolArray | None,
    branches: Collection[str],
) -> Everywhere:
    """Where all clips that pass stand, by vectors; `lanes` as in `candidates`."""
    encoded, chosen = population.encoded, lanes_of(branches)
    active = {
        name: here
        for name in population.readings
        if (here := encoded.present[name] if passing is None else encoded.present[name] & passing).any()
    }
    said = each(lambda name: encoded.index[name].likely(population.readings[name].vector), active)
    known: list[RankArray] = []
    for name, lane in lanes.items():
        silent = lane.abstain if passing is None else lane.abstain | ~passing
        if name in chosen:
            known.extend(branch_ranks({name: lane.scores}, gallery.ids, {name: silent}).values())
    everyone = np.ones(len(gallery), np.bool_) if passing is None else passing
    return draw_for_mean(dict(zip(active, said, strict=True)), active, known, everyone, chosen)


def _dense_lanes(known: Sequence[Population], size: int, pool: BoolArray | None) -> dict[str, LaneScores]:
    """The exact scores of the pool; of two populations, each clip's place among its own."""
    found: dict[str, LaneScores] = {}
    for population in known:
        encoded = population.encoded
        seen = np.flatnonzero(encoded.seen if pool is None else encoded.seen & pool)
        exact = {} if encoded.pooled_is_score else encoded.scores(population.readings, seen)
        for branch, reading in population.readings.items():
            here = encoded.present[branch][seen]
            rows = seen[here]
            own = exact[branch][here] if exact else encoded.index[branch].scores(reading.vector)[rows]
            if len(rows) and sum(branch in other.readings for other in known) > 1:
                ranks = branch_ranks({branch: own}, encoded.ids[rows])[branch]
                own = (1 - (ranks - 0.5) / np.count_nonzero(encoded.present[branch])).astype(np.float32)
            if branch not in found:
                found[branch] = LaneScores(np.zeros(size, np.float32), np.ones(size, np.bool_))
            found[branch].scores[rows], found[branch].abstain[rows] = own, False
    return found


def _with_literal(lane: LaneScores, rows: BoolArray | None) -> LaneScores:
    """The lane with a full score where exact words stand."""
    if rows is None:
        return lane
    return LaneScores(np.where(rows, np.float32(1), lane.scores), lane.abstain & ~rows)


def speech_lane(spoken: SpokenNouns, nouns: frozenset[str]) -> LaneScores:
    """Jaccard of each noun set with `nouns`; a pair that shares nothing abstains (M2HF, Eq. 11)."""
    scores = np.zeros(len(spoken), np.float32)
    rows, values = spoken.scores(nouns)
    scores[rows] = values
    return LaneScores(scores, scores == 0)


def _name_lane(gallery: Gallery, query: EncodedQuery) -> LaneScores:
    """The share of the query's words that a file's name and folder contain."""
    scores = np.zeros(len(gallery), np.float32)
    rows, shared = gallery.named.shared(query.words)
    scores[rows] = shared / max(len(query.words), 1)
    return LaneScores(scores, scores == 0)


def _why_no_speech(gallery: Gallery, query: EncodedQuery) -> str:
    if not any(gallery.nouns):
        return "no video has a transcript"
    if not query.nouns:
        return "the query names no noun"
    return "no transcript shares a noun with the query"


def unit_vector(values: npt.NDArray[np.floating]) -> FloatArray:
    """One vector [d] scaled to length one."""
    unit: FloatArray = unit_rows(values[None])[0]
    return unit
