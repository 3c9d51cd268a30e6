"""How good a model in training is on clips held out from it: the readings of `metrics`, for choosing an epoch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from m2hf_core.model.config import Scorer
from m2hf_core.model.inputs import EncodedVideo
from m2hf_core.model.metrics import table, text_to_video
from m2hf_core.model.readings import Readings
from m2hf_core.model.speech import jaccard_matrix
from m2hf_core.records import Branch
from m2hf_core.training.data.dataset import Split, batches

TEXTS_AT_ONCE = 256
CLIPS_AT_ONCE = 128

Matrix = npt.NDArray[np.float32]


@torch.inference_mode()
def dense_scores(scorer: Scorer, split: Split, device: str) -> dict[str, Matrix]:
    """Per branch of the scorer S [texts, clips], from stored features."""
    scorer.eval()
    clips = np.arange(len(split))
    encoded = EncodedVideo.concatenate(
        [scorer.encode_video(split.clips.batch(rows).to(device)) for rows in batches(clips, CLIPS_AT_ONCE)]
    )
    parts = [
        scorer.score(split.tokens.batch(texts).to(device), encoded)
        for texts in batches(np.arange(len(split.texts)), TEXTS_AT_ONCE)
    ]
    return {str(name): torch.cat([part[name] for part in parts]).float().cpu().numpy() for name in parts[0]}


def lanes_of(
    dense: Mapping[str, Matrix], split: Split
) -> tuple[dict[str, npt.NDArray[np.floating]], dict[str, npt.NDArray[np.bool_]]]:
    """(scores, abstain) with the speech branch beside the dense ones, where anything was said at all."""
    scores: dict[str, npt.NDArray[np.floating]] = dict(dense)
    silent: dict[str, npt.NDArray[np.bool_]] = {}
    if any(split.spoken):
        spoken, quiet = jaccard_matrix(split.text_nouns, split.spoken)
        scores[Branch.SPEECH], silent[Branch.SPEECH] = spoken.astype(np.float32), quiet
    return scores, silent


def read_split(dense: Mapping[str, Matrix], split: Split) -> Readings:
    """Text-to-video readings of these scores with the speech branch beside them."""
    scores, silent = lanes_of(dense, split)
    return text_to_video(scores, split.clip_of_text, silent)


def summary(readings: Readings) -> dict[str, object]:
    """R@1 in percent of every reading, for a metrics line."""
    return {
        "honest": table(readings.honest)["R@1"],
        **{fusion: table(ranks)["R@1"] for fusion, ranks in readings.fusions.items()},
        "branches": {lane: table(ranks)["R@1"] for lane, ranks in readings.branches.items()},
    }
