"""The losses of the demo's contrastive model, and the fixed gates that make room for sounds and movements in its space.

A frozen space helps M2HF's gated branches only if its words look at channels that a gate can open or close. So while
the demo's model is trained, each sound and each movement has a fixed, random gate of its own over a quarter of the
channels, and captions meet frames that pass the gates of their clip. Learnt gates would begin equal, and equal gates
teach the words nothing, which teaches the gates nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from m2hf_core.training.demo_data import MOTION_CLASSES, SOUND_CLASSES, VALUES, VISUAL, Int, Truth

CLOSED = 0.02
"""What a closed channel lets through: a sigmoid never closes either."""


class Gates(NamedTuple):
    """[classes, width] each: what frames are multiplied by."""

    sound: torch.Tensor
    motion: torch.Tensor


def random_gates(width: int) -> Gates:
    """Sounds have the third quarter of the channels, movements the last; the first half is for the picture alone."""
    half, last = width // 2, width - width // 4
    return Gates(
        _codes(len(SOUND_CLASSES), width, slice(half, last)),
        _codes(len(MOTION_CLASSES), width, slice(last, width)),
    )


def _codes(classes: int, width: int, coded: slice) -> torch.Tensor:
    """Open everywhere, but in the `coded` channels a pattern of its own for each class, half of it closed."""
    gates = torch.ones(classes, width)
    shape = (classes, len(range(width)[coded]))
    gates[:, coded] = torch.where(torch.rand(shape) < 0.5, CLOSED, 1.0)
    return gates


def gated_losses(
    seen: torch.Tensor, words: torch.Tensor, scale: torch.Tensor, gates: Gates, truth: Truth, values: Int
) -> list[torch.Tensor]:
    """The losses of captions with frames as seen, as heard and as moved.

    `seen` [n, d] un-normalised frame vectors, `words` [n, d] unit caption vectors, both of the same n clips.
    """
    heard = seen * gates.sound[class_of(values, "sound")]
    moved = seen * gates.motion[class_of(values, "motion")]
    ways = ((seen, VISUAL), (heard, (*VISUAL, "sound")), (moved, (*VISUAL, "motion")))
    return [
        many_positive_loss(scale * words @ F.normalize(rows, dim=-1).T, truth.of(values, names))
        for rows, names in ways
    ]


def class_of(values: Int, name: str) -> torch.Tensor:
    bits = values[:, list(VALUES).index(name)]
    return torch.from_numpy(np.log2(bits).astype(np.int64))


def many_positive_loss(logits: torch.Tensor, truth: np.ndarray[Any, np.dtype[np.bool_]]) -> torch.Tensor:
    """[n, m] logits of texts and clips -> symmetric cross-entropy whose target is uniform over all true pairs.

    A text's own clip is always true, so no row or column is empty. The targets' own entropy is taken off, so that
    a perfect model has loss 0.
    """
    target = torch.from_numpy(truth).to(logits.dtype)
    by_text, by_clip = target / target.sum(1, keepdim=True), target / target.sum(0, keepdim=True)
    entropy = (
        torch.special.entr(by_text).sum() / len(by_text)
        + torch.special.entr(by_clip).sum() / by_clip.shape[1]
    )
    loss = F.cross_entropy(logits, by_text) + F.cross_entropy(logits.T, by_clip.T)
    excess: torch.Tensor = (loss - entropy) / 2
    return excess


def warm_cosine(step: int, steps: int) -> float:
    """The share of the learning rate: up over the first twentieth, then half a cosine down to nothing."""
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def by_tenth(losses: Sequence[float]) -> list[float]:
    """The mean loss of each tenth of a training."""
    return [float(np.mean(part)) for part in np.array_split(losses, min(10, len(losses)))]
