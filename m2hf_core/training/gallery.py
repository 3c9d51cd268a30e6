"""A few held-out captions with their first hits, each with its rank per branch and the moment that its words chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from m2hf_core.model.config import Scorer
from m2hf_core.model.fusion import fuse
from m2hf_core.model.m2hf import M2HF
from m2hf_core.model.ranks import ABSTAINED, branch_ranks
from m2hf_core.training.data.dataset import Split

CAPTIONS, HITS = 8, 3


@dataclass(frozen=True, slots=True)
class Hit:
    clip: str
    ranks: Mapping[str, int]
    """Rank per branch that took part."""
    words: str
    """The best frame per dense branch, in seconds."""
    right: bool


def gallery(
    scorer: Scorer,
    split: Split,
    scores: Mapping[str, npt.NDArray[np.floating]],
    silent: Mapping[str, npt.NDArray[np.bool_]],
) -> list[tuple[str, list[Hit]]]:
    """(caption, its first hits by rrf) for captions spread evenly over the split."""
    ids = np.arange(len(split))
    found = []
    for text in np.linspace(0, len(split.texts) - 1, min(CAPTIONS, len(split.texts))).astype(np.int64):
        quiet = {name: mask[text] for name, mask in silent.items()}
        ranks = branch_ranks({name: values[text] for name, values in scores.items()}, ids, quiet)
        first = fuse(ranks, "rrf", ids, top=HITS)
        moments = _moments(scorer, split, int(text), np.asarray(first))
        hits = [
            Hit(
                split.infos[clip].path or split.infos[clip].clip_id,
                {name: int(values[clip]) for name, values in ranks.items() if values[clip] != ABSTAINED},
                moments[place],
                clip == split.clip_of_text[text],
            )
            for place, clip in enumerate(first)
        ]
        found.append((split.texts[text], hits))
    return found


@torch.inference_mode()
def _moments(scorer: Scorer, split: Split, text: int, clips: npt.NDArray[np.int64]) -> list[str]:
    """Per clip the best frame of each dense branch as "visual 0:02, audio 0:03"; a baseline knows no moments."""
    if not isinstance(scorer, M2HF):
        return ["-"] * len(clips)
    encoded = scorer.encode_video(split.clips.batch(clips))
    aligned = scorer.align(split.tokens.batch([text]), encoded)
    told = []
    for place, clip in enumerate(clips):
        info, count = split.infos[clip], int(split.clips.frame_mask[clip].sum())
        step = (info.end_s - info.start_s) / count
        at = {
            str(name): info.start_s + (int(found.best_frame[place]) + 0.5) * step
            for name, found in aligned.items()
        }
        told.append(", ".join(f"{name} {seconds:.1f} s" for name, seconds in at.items()))
    return told
