"""Video to text: the captions nearest to a clip, ranked by the same branches the other way round.

Before training the picture has one vector, so its product with every caption is the score and nothing else is
needed. With a trained scorer the products of each branch's vector only choose a pool; its captions are then scored
exactly, word by word, and ranks are those of the pool.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from m2hf_core.index.best import best_of
from m2hf_core.index.vectors import unit_rows
from m2hf_core.model.fusion import fuse
from m2hf_core.model.inputs import TextFeatures, VideoFeatures
from m2hf_core.model.m2hf import M2HF
from m2hf_core.model.ranks import ABSTAINED, branch_ranks
from m2hf_core.model.receipt import receipts
from m2hf_core.model.speech import SpokenNouns
from m2hf_core.records import BRANCHES, Branch, BranchHit, CaptionHit, Fusion
from m2hf_core.search.captions_cache import BankVectors, FloatArray
from m2hf_core.search.lanes import UNTRAINED
from m2hf_core.search.moment import Moment

POOL = 200
"""Captions that each branch brings into the pool that is scored exactly."""

TokenFeatures = Callable[[Sequence[str]], TextFeatures]


@dataclass(frozen=True, slots=True, eq=False)
class CaptionBank:
    """M captions, ready to be compared, in the order that breaks ties."""

    texts: Sequence[str]
    sources: Sequence[str]
    vectors: BankVectors | None
    """Unit pooled text features; None while the visual branch is asleep."""
    spoken: SpokenNouns
    """The nouns as an inverted index: going through 200,000 sets took a quarter of a second for each question."""
    said_only_in: npt.NDArray[np.int64]
    """[M] the video whose transcript is the text's only source, 0 for all other texts. Such a text is left out for that
    video's own clips: what is said there is known, and would win its speech branch every time."""


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One branch over some captions: scores [n], and where it abstains [n]."""

    scores: FloatArray
    abstain: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class CaptionLanes:
    """What each branch says of the pool, the rows of the bank in it, and why branches say nothing."""

    rows: npt.NDArray[np.int64]
    lanes: Mapping[str, Lane]
    abstained: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class ActiveScorer:
    """A trained scorer, and how it reads texts."""

    scorer: M2HF
    branches: Sequence[str]
    """Those that it scores."""
    widths: tuple[int, int]
    """Of the audio and motion features that it reads."""
    tokens: TokenFeatures


def score_captions(
    moment: Moment, bank: CaptionBank, asleep: Mapping[str, str], trained: ActiveScorer | None = None
) -> CaptionLanes:
    """Score the bank against a moment. `asleep` maps a branch to the reason why it cannot be used at all."""
    abstained: dict[str, str] = {}
    rows = np.flatnonzero(bank.said_only_in != moment.clip.video_id)
    speech = _speech(moment, bank, rows)
    if speech.abstain.all():
        abstained[Branch.SPEECH] = (
            "no caption shares a noun with what is said" if moment.nouns else "nothing is said in this clip"
        )
    if moment.frames is None or bank.vectors is None:
        why = asleep.get(Branch.VISUAL, "this video has not been looked at yet")
        dense: dict[str, Lane] = {}
        abstained |= dict.fromkeys((Branch.VISUAL, Branch.AUDIO, Branch.MOTION), why)
    elif trained is None:
        abstained |= {branch: asleep.get(branch, UNTRAINED) for branch in (Branch.AUDIO, Branch.MOTION)}
        mean = unit_rows(moment.frames).mean(axis=0)
        scores = bank.vectors.scores(mean[None])[0, rows]
        dense = {Branch.VISUAL: Lane(scores, np.zeros(len(scores), np.bool_))}
    else:
        pool, dense = _trained(moment, moment.frames, bank, rows, speech, trained)
        rows, speech = rows[pool], Lane(speech.scores[pool], speech.abstain[pool])
        for branch, input_of in ((Branch.AUDIO, "sound"), (Branch.MOTION, "movement")):
            if branch not in dense:
                abstained[branch] = asleep.get(branch, f"this clip has no {input_of} that was extracted")
    lanes = dict(dense)
    if Branch.SPEECH not in abstained:
        lanes[Branch.SPEECH] = speech
    return CaptionLanes(rows, lanes, abstained)


def rank_captions(
    bank: CaptionBank, scored: CaptionLanes, *, k: int, fusion: Fusion
) -> tuple[CaptionHit, ...]:
    """The k best captions that some branch ranks, with their rank and score per branch."""
    lanes = scored.lanes
    ranks = branch_ranks(
        {name: lane.scores for name, lane in lanes.items()},
        scored.rows,
        {name: lane.abstain for name, lane in lanes.items()},
    )
    if not ranks:
        return ()
    best = fuse(ranks, fusion, scored.rows, top=k)
    best = best[np.any([values[best] != ABSTAINED for values in ranks.values()], axis=0)]
    hits = []
    for receipt in receipts(ranks, fusion, scored.rows, best):
        branches: dict[str, BranchHit | None] = dict.fromkeys(BRANCHES)
        for name, rank in receipt.ranks.items():
            if rank is not None:
                branches[name] = BranchHit(rank, float(lanes[name].scores[receipt.item]))
        row = int(scored.rows[receipt.item])
        hits.append(CaptionHit(receipt.rank, bank.texts[row], bank.sources[row], receipt.won_by, branches))
    return tuple(hits)


def _speech(moment: Moment, bank: CaptionBank, rows: npt.NDArray[np.int64]) -> Lane:
    """Jaccard of nouns over `rows`; a pair that shares none abstains (M2HF, Eq. 11)."""
    every = np.zeros(len(bank.texts), np.float32)
    sharing, values = bank.spoken.scores(moment.nouns)
    every[sharing] = values
    scores = every[rows]
    return Lane(scores, scores == 0)


def _trained(
    moment: Moment,
    frames: FloatArray,
    bank: CaptionBank,
    rows: npt.NDArray[np.int64],
    speech: Lane,
    trained: ActiveScorer,
) -> tuple[npt.NDArray[np.int64], dict[str, Lane]]:
    """The pool as positions in `rows`, and its exact scores in every branch that this clip has an input for."""
    assert bank.vectors is not None
    with torch.inference_mode():
        encoded = trained.scorer.encode_video(_video_features(moment, frames, trained.widths))
        names = [name for name in trained.branches if bool(encoded.present[name][0])]
        vectors = np.stack([encoded.branches[name].vector()[0].float().numpy() for name in names])
        pool = _pool(bank.vectors.scores(vectors)[:, rows], speech)
        text = trained.tokens([bank.texts[row] for row in rows[pool].tolist()])
        scores = trained.scorer.score(text, encoded, names)
    silent = np.zeros(len(pool), np.bool_)
    return pool, {name: Lane(values[:, 0].float().numpy(), silent) for name, values in scores.items()}


def _pool(scores: FloatArray, speech: Lane) -> npt.NDArray[np.int64]:
    """Positions, ascending, that are among the best of some branch; scores [branches, n]."""
    chosen = [_best(row) for row in scores]
    spoken = np.flatnonzero(~speech.abstain)
    chosen.append(spoken[_best(speech.scores[spoken])])
    return np.unique(np.concatenate(chosen))


def _best(scores: FloatArray) -> npt.NDArray[np.int64]:
    """Positions of the `POOL` largest scores, ties by position."""
    return best_of(scores, np.arange(len(scores)), POOL)


def _video_features(moment: Moment, frames: FloatArray, widths: tuple[int, int]) -> VideoFeatures:
    def one(values: npt.NDArray[np.generic]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values))[None]

    def sized(values: FloatArray, width: int) -> torch.Tensor:
        return one(values if values.shape[1] else np.zeros((len(values), width), np.float32))

    return VideoFeatures(
        frames=one(frames),
        frame_mask=torch.ones(1, len(frames), dtype=torch.bool),
        audio=sized(moment.audio, widths[0]),
        has_audio=one(moment.has_audio),
        motion=sized(moment.motion, widths[1]),
        has_motion=one(moment.has_motion),
    )
