"""Evaluate one scorer on one split in every reading, and two of them against each other on the same queries.

Figures are those of `model.metrics`; here they get their 95 % intervals, every choice of lanes, and the columns that
must never be mixed with them: inputs that abstain instead of being completed, and re-weighting at test time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from m2hf_core.model.bootstrap import ROUNDS, compare, interval
from m2hf_core.model.config import Scorer
from m2hf_core.model.metrics import RECALLS, Protocol, table, tables, text_to_video, video_to_text
from m2hf_core.model.ranks import BoolArray, FloatArray
from m2hf_core.model.readings import Readings, TruthRanks
from m2hf_core.records import FUSIONS, Branch, Fusion
from m2hf_core.training.data.dataset import Split
from m2hf_core.training.validation import dense_scores, lanes_of

Post = Literal["dsl"]
Document = dict[str, Any]
METRICS = tuple(f"R@{k}" for k in RECALLS)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Every lane's scores of one system on one split: S[i, j] of caption i and clip j."""

    system: str
    dataset: str
    split: str
    scores: Mapping[str, FloatArray]
    """[T, V] per lane, dense ones before speech"""
    abstain: Mapping[str, BoolArray]
    """[T, V] for speech"""
    without_input: Mapping[str, BoolArray]
    """[V] per lane: True where the clip has no such input at all, only its completion"""
    clip_of_text: npt.NDArray[np.int64]
    eta: float
    """logit scale, for re-weighting"""
    senses: tuple[frozenset[str], ...] = ()

    def only(self, lanes: Sequence[str]) -> Scored:
        return replace(self, scores={name: values for name, values in self.scores.items() if name in lanes})

    def abstaining(self) -> Scored:
        """Clips abstain in the branches whose input they lack, as a search has it."""
        shape = next(iter(self.scores.values())).shape
        lacking = {
            name: np.broadcast_to(mask, shape)
            for name, mask in self.without_input.items()
            if name in self.scores and mask.any()
        }
        return replace(self, abstain={**self.abstain, **lacking})


def score_split(
    system: str,
    scorer: Scorer,
    split: Split,
    *,
    dataset: str,
    branches: Sequence[str] | None = None,
    device: str = "cpu",
) -> Scored:
    """Score everything with everything. `branches`: those that take part (None: all of the scorer)."""
    dense = dense_scores(scorer, split, device)
    if branches is not None:
        dense = {name: values for name, values in dense.items() if name in branches}
    scores, abstain = lanes_of(dense, split)
    clips = split.clips
    without = {
        Branch.AUDIO.value: np.logical_not(np.any(clips.has_audio, axis=1)),
        Branch.MOTION.value: np.logical_not(np.any(clips.has_motion, axis=1)),
    }
    eta = float(scorer.logit_scale().item())
    return Scored(
        system, dataset, split.name, scores, abstain, without, split.clip_of_text, eta, split.senses
    )


def report(
    scored: Scored,
    *,
    v2t: Protocol = "group",
    post: Post | None = None,
    subsets: bool = False,
    rounds: int = ROUNDS,
) -> Document:
    """The document that `eval --json` prints."""
    texts, videos = next(iter(scored.scores.values())).shape
    document: Document = {
        "dataset": scored.dataset,
        "split": scored.split,
        "system": scored.system,
        "texts": texts,
        "videos": videos,
        "protocol": {"ties": "mean", "post": post, "v2t": v2t, "missing": "completed"},
        **_directions(scored, v2t, rounds),
    }
    quiet = scored.abstaining()
    if quiet.abstain.keys() != scored.abstain.keys():
        document["abstaining"] = _directions(quiet, v2t, rounds)
    if post is not None:
        document["post"] = {post: _directions(scored, v2t, rounds, post)}
    if subsets:
        document["subsets"] = subset_rows(scored, rounds)
    if rows := one_sense_rows(scored):
        document["one_sense"] = rows
    return document


def _directions(scored: Scored, v2t: Protocol, rounds: int, post: Post | None = None) -> Document:
    forth = scored if post is None else reweighted(scored, axis=0)
    back = scored if post is None else reweighted(scored, axis=1)
    return {
        "t2v": _with_intervals(t2v_readings(forth), rounds),
        "v2t": _with_intervals(
            video_to_text(back.scores, back.clip_of_text, back.abstain, protocol=v2t), rounds
        ),
    }


def t2v_readings(scored: Scored) -> Readings:
    return text_to_video(scored.scores, scored.clip_of_text, scored.abstain)


def _with_intervals(readings: Readings, rounds: int) -> Document:
    named: dict[str, TruthRanks] = {
        "honest": readings.honest,
        "oracle": readings.oracle,
        "pessimistic": readings.pessimistic,
        **readings.branches,
        **readings.fusions,
    }
    intervals = {
        name: {metric: interval(ranks, metric, rounds=rounds) for metric in METRICS}
        for name, ranks in named.items()
    }
    return {**tables(readings), "intervals": intervals}


def reweighted(scored: Scored, axis: int) -> Scored:
    """Dual softmax over the whole query set: log of (softmax over candidates times softmax over queries).

    `axis` is that of the queries (0 for text to video). For a query the first factor orders candidates as
    `eta S` does, so the order is that of `2 eta S - logsumexp_queries(eta S)`. Lanes without a logit stay.
    """
    changed = dict(scored.scores)
    for name, values in scored.scores.items():
        if name != Branch.SPEECH:
            logit = scored.eta * np.asarray(values, np.float64)
            top = logit.max(axis=axis, keepdims=True)
            prior = top + np.log(np.exp(logit - top).sum(axis=axis, keepdims=True))
            changed[name] = 2 * logit - prior
    return replace(scored, scores=changed)


def ranks_under(readings: Readings, fusion: Fusion) -> TruthRanks:
    """The truth's places in the list that a fusion shows."""
    return readings.honest if fusion == "mmbf" else readings.fusions[fusion]


def subset_rows(scored: Scored, rounds: int = ROUNDS) -> list[Document]:
    """Every choice of lanes under every fusion, largest first, each against all lanes on the same queries."""
    whole = t2v_readings(scored)
    rows = []
    for lanes in _choices(list(scored.scores)):
        readings = t2v_readings(scored.only(lanes))
        row: Document = {"branches": list(lanes)}
        for fusion in FUSIONS:
            ranks = ranks_under(readings, fusion)
            against = compare(ranks_under(whole, fusion), ranks, "R@1", rounds=rounds)
            row[fusion] = {
                **table(ranks),
                "interval": interval(ranks, "R@1", rounds=rounds),
                "minus_all": [against.difference, against.low, against.high],
            }
        rows.append(row)
    return rows


def _choices(lanes: list[str]) -> Iterator[tuple[str, ...]]:
    for size in range(len(lanes), 0, -1):
        yield from combinations(lanes, size)


def one_sense_rows(scored: Scored) -> list[Document]:
    """Captions that appeal to one sense alone: what each branch, and each fusion, finds by them. Chance is 100 / V.

    Empty where the data set does not know, or has no such caption.
    """
    found = []
    for sense in Branch:
        rows = np.asarray([i for i, senses in enumerate(scored.senses) if senses == {sense.value}], np.int64)
        if not len(rows):
            continue
        part = replace(
            scored,
            scores={name: values[rows] for name, values in scored.scores.items()},
            abstain={name: mask[rows] for name, mask in scored.abstain.items()},
            clip_of_text=scored.clip_of_text[rows],
        )
        readings = t2v_readings(part)
        found.append(
            {
                "sense": sense.value,
                "texts": len(rows),
                "chance": 100 / next(iter(scored.scores.values())).shape[1],
                "branches": {lane: _figure(ranks) for lane, ranks in readings.branches.items()},
                "fusions": {fusion: _figure(ranks_under(readings, fusion)) for fusion in FUSIONS},
            }
        )
    return found


def _figure(ranks: TruthRanks) -> Document:
    """R@1, its interval, and the median rank, which shows chance better than a rare hit does."""
    figures = table(ranks)
    return {"R@1": figures["R@1"], "interval": interval(ranks, "R@1"), "MdR": figures["MdR"]}


def comparison(first: Scored, second: Scored, rounds: int = ROUNDS) -> Document:
    """The second system minus the first, text to video on the same queries, with 95 % intervals.

    Raises `ValueError` when they were not given the same queries.
    """
    if not np.array_equal(first.clip_of_text, second.clip_of_text):
        raise ValueError("the two systems were not given the same queries")
    before, after = t2v_readings(first), t2v_readings(second)
    document: Document = {"first": first.system, "second": second.system}
    for fusion in FUSIONS:
        document[fusion] = {}
        for metric in METRICS:
            found = compare(ranks_under(before, fusion), ranks_under(after, fusion), metric, rounds=rounds)
            document[fusion][metric] = {
                "difference": found.difference,
                "interval": [found.low, found.high],
                "settled": found.settled,
            }
    return document
