"""What the scorer takes and what a library keeps: the three bundles of tensors that travel together.

Masks are boolean, True = real. Rows under False may hold anything, NaN included: nothing downstream reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import torch
from torch import Tensor

from m2hf_core.records import Branch

DENSE_BRANCHES: tuple[Branch, ...] = (Branch.VISUAL, Branch.AUDIO, Branch.MOTION)
"""The branches that WTI scores; the speech branch compares words and lives in `speech`."""

JOINT = "joint"
"""Name of the only branch of a one-branch scorer (Table 11)."""


@dataclass(frozen=True, slots=True)
class TextFeatures:
    """Captions or queries after CLIP's text tower: every position, projected, not normalised."""

    tokens: Tensor
    """[B, T, d]"""
    mask: Tensor
    """[B, T] bool, True where the tokenizer put something, start and end tokens included."""
    pooled: Tensor
    """[B] int64: the position whose feature is the sentence (EOT for CLIP, the last one for SigLIP)."""

    def __len__(self) -> int:
        return self.tokens.shape[0]

    def select(self, index: Tensor | slice) -> TextFeatures:
        return TextFeatures(self.tokens[index], self.mask[index], self.pooled[index])

    def to(self, device: torch.device | str) -> TextFeatures:
        return TextFeatures(self.tokens.to(device), self.mask.to(device), self.pooled.to(device))


@dataclass(frozen=True, slots=True)
class VideoFeatures:
    """Clips as the extractors and `align` left them: one row per frame in every sense."""

    frames: Tensor
    """[B, F, d] projected image embeddings, not normalised."""
    frame_mask: Tensor
    """[B, F] bool; every clip has at least one frame."""
    audio: Tensor
    """[B, F, d_a] VGGish rows aligned to the frames, not standardised."""
    has_audio: Tensor
    """[B, F] bool"""
    motion: Tensor
    """[B, F, d_m] S3D rows aligned to the frames."""
    has_motion: Tensor
    """[B, F] bool"""

    def __len__(self) -> int:
        return self.frames.shape[0]

    def select(self, index: Tensor | slice) -> VideoFeatures:
        return VideoFeatures(*(tensor[index] for tensor in self._tensors()))

    def to(self, device: torch.device | str) -> VideoFeatures:
        return VideoFeatures(*(tensor.to(device) for tensor in self._tensors()))

    def without_audio(self) -> VideoFeatures:
        """The same clips with the sound replaced by its completion (to ask what the sound changed)."""
        return replace(self, has_audio=torch.zeros_like(self.has_audio))

    def without_motion(self) -> VideoFeatures:
        """The same clips with the motion replaced by its completion."""
        return replace(self, has_motion=torch.zeros_like(self.has_motion))

    def _tensors(self) -> tuple[Tensor, ...]:
        return self.frames, self.frame_mask, self.audio, self.has_audio, self.motion, self.has_motion


class Side(NamedTuple):
    """One side of WTI, ready for products: unit rows and the share that each has in the score.

    Rows under a False mask are copies of a real row of the same item with weight 0. A maximum over a set does
    not change when a member is repeated, so such padding can win no maximum that a real row would not win:
    the same as excluding it with -inf, at no cost and without NaN.
    """

    unit: Tensor
    """[B, n, d], L2-normalised"""
    weight: Tensor
    """[B, n], sums to 1 over real rows, 0 elsewhere"""
    mask: Tensor
    """[B, n] bool"""

    def select(self, index: Tensor | slice) -> Side:
        return Side(self.unit[index], self.weight[index], self.mask[index])

    def vector(self) -> Tensor:
        """[B, d]: the weighted mean of the unit rows, for finding candidates with one product."""
        return torch.einsum("bnd,bn->bd", self.unit.to(self.weight.dtype), self.weight)


@dataclass(frozen=True, slots=True)
class EncodedVideo:
    """All that a library keeps of a clip for one scorer: per branch the unit frames and their weights."""

    branches: Mapping[str, Side]
    present: Mapping[str, Tensor]
    """Per branch [B] bool: the clip really has this input (not only its completion)."""

    def __len__(self) -> int:
        return len(next(iter(self.branches.values())).unit)

    def select(self, index: Tensor | slice) -> EncodedVideo:
        return EncodedVideo(
            {name: side.select(index) for name, side in self.branches.items()},
            {name: present[index] for name, present in self.present.items()},
        )

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> EncodedVideo:
        """Move; `dtype` (float16 for the store) applies to the unit frames only."""
        return EncodedVideo(
            {
                name: Side(side.unit.to(device, dtype), side.weight.to(device), side.mask.to(device))
                for name, side in self.branches.items()
            },
            {name: present.to(device) for name, present in self.present.items()},
        )

    def vectors(self) -> dict[str, Tensor]:
        """Per branch [B, d], to be compared with `query_vectors` of the same scorer."""
        return {name: side.vector() for name, side in self.branches.items()}

    @classmethod
    def concatenate(cls, parts: list[Self]) -> EncodedVideo:
        """Join batches of clips that were encoded with the same F."""
        first = parts[0]
        return EncodedVideo(
            {
                name: Side(
                    *(torch.cat(columns) for columns in zip(*(p.branches[name] for p in parts), strict=True))
                )
                for name in first.branches
            },
            {name: torch.cat([part.present[name] for part in parts]) for name in first.present},
        )
