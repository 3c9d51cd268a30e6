"""Video to text: the captions nearest to a clip, ranked by the same branches the other way round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from m2hf_core.model.fusion import fuse
from m2hf_core.model.ranks import ABSTAINED, branch_ranks
from m2hf_core.model.receipt import receipts
from m2hf_core.model.speech import SpokenNouns
from m2hf_core.records import BRANCHES, Branch, BranchHit, CaptionHit, Fusion
from m2hf_core.search.engine import UNTRAINED, LaneScores, speech_lane
from m2hf_core.search.gallery import FloatArray, Gallery


@dataclass(frozen=True, slots=True, eq=False)
class CaptionBank:
    """M captions, ready to be compared."""

    ids: Sequence[int]
    texts: Sequence[str]
    sources: Sequence[str]
    vectors: FloatArray | None
    """[M, d] L2-normalised pooled text features; None while the visual branch is asleep."""
    nouns: Sequence[frozenset[str]]


def nearest_captions(
    gallery: Gallery, row: int, bank: CaptionBank, asleep: Mapping[str, str], *, k: int, fusion: Fusion
) -> tuple[tuple[CaptionHit, ...], dict[str, str]]:
    """The k captions nearest to the clip in `row`, and why branches abstain for it."""
    lanes: dict[str, LaneScores] = {}
    abstained: dict[str, str] = {
        branch: asleep.get(branch, UNTRAINED) for branch in (Branch.AUDIO, Branch.MOTION)
    }
    frames = gallery.frames[row]
    if frames is None or bank.vectors is None:
        abstained[Branch.VISUAL] = asleep.get(Branch.VISUAL, "this video has not been looked at yet")
    else:
        scores = np.asarray(bank.vectors @ frames.mean(axis=0), np.float32)
        lanes[Branch.VISUAL] = LaneScores(scores, np.zeros(len(scores), np.bool_))
    speech = speech_lane(SpokenNouns(bank.nouns), gallery.nouns[row])
    if speech.abstain.all():
        abstained[Branch.SPEECH] = "no caption shares a noun with what is said"
    else:
        lanes[Branch.SPEECH] = speech
    ids = np.asarray(bank.ids, np.int64)
    ranks = branch_ranks(
        {name: lane.scores for name, lane in lanes.items()},
        ids,
        {name: lane.abstain for name, lane in lanes.items()},
    )
    if not ranks:
        return (), abstained
    best = fuse(ranks, fusion, ids, top=k)
    best = best[np.any([values[best] != ABSTAINED for values in ranks.values()], axis=0)]
    hits = []
    for receipt in receipts(ranks, fusion, ids, best):
        branches: dict[str, BranchHit | None] = dict.fromkeys(BRANCHES)
        for name, rank in receipt.ranks.items():
            if rank is not None:
                branches[name] = BranchHit(rank, float(lanes[name].scores[receipt.item]))
        hits.append(
            CaptionHit(
                rank=receipt.rank,
                text=bank.texts[receipt.item],
                source=bank.sources[receipt.item],
                won_by=receipt.won_by,
                branches=branches,
            )
        )
    return tuple(hits), abstained
