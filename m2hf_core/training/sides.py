"""From a batch to the two sides that meet in WTI: the part of a model that runs apart for every pair.

Contrast needs all pairs at once, encoding does not. Splitting there is what lets a run encode a few pairs at a time, or
on several devices, and still contrast the whole batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from m2hf_core.model.config import Scorer
from m2hf_core.model.heads import pooled_side
from m2hf_core.model.inputs import Side, TextFeatures, VideoFeatures
from m2hf_core.model.m2hf import M2HF
from m2hf_core.model.wti import Reduction, reduce_tile, wti_matrix


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """Per branch both sides of b pairs, and the logit scale that they were encoded with."""

    text: Mapping[str, Side]
    video: Mapping[str, Side]
    eta: Tensor
    """scalar"""

    def tensors(self) -> list[Tensor]:
        """Everything that carries a gradient, in a fixed order: unit rows and weights, and last eta."""
        sides = [*self.text.values(), *self.video.values()]
        return [tensor for side in sides for tensor in (side.unit, side.weight)] + [self.eta]

    def with_tensors(self, tensors: Sequence[Tensor]) -> Sides:
        """The same masks around other numbers, in the order of `tensors()`."""
        left = iter(tensors)

        def rebuilt(sides: Mapping[str, Side]) -> dict[str, Side]:
            return {name: Side(next(left), next(left), side.mask) for name, side in sides.items()}

        return Sides(rebuilt(self.text), rebuilt(self.video), next(left))

    @classmethod
    def joined(cls, parts: Sequence[Sides]) -> Sides:
        """Several micro-batches as one; all were padded to the same lengths."""

        def cat(name: str, of: str) -> Side:
            columns = zip(*(getattr(part, of)[name] for part in parts), strict=True)
            return Side(*(torch.cat(column) for column in columns))

        first = parts[0]
        return cls(
            {name: cat(name, "text") for name in first.text},
            {name: cat(name, "video") for name in first.video},
            first.eta,
        )


class PairEncoder(nn.Module):
    """Features of b pairs -> `Sides`: everything of a scorer that has parameters."""

    def __init__(self, scorer: Scorer) -> None:
        super().__init__()
        self.scorer = scorer

    @property
    def rho(self) -> float:
        return self.scorer.rho if isinstance(self.scorer, M2HF) else 0.0

    def forward(self, text: TextFeatures, video: VideoFeatures) -> Sides:
        encoded = self.scorer.encode_video(video)
        if isinstance(self.scorer, M2HF):
            words = self.scorer.encode_text(text)
        else:
            words = {str(name): pooled_side(text.tokens, text.pooled) for name in encoded.branches}
        return Sides(words, dict(encoded.branches), self.scorer.logit_scale())


def score_sides(
    text: Mapping[str, Side], video: Mapping[str, Side], rho: float, reduction: Reduction = reduce_tile
) -> dict[str, Tensor]:
    """Per branch S [B_t, B_v], `S[i, j]` = text i with clip j."""
    return {name: wti_matrix(side, video[name], rho, reduction=reduction) for name, side in text.items()}
