"""Audio-guided and motion-guided visual features (M2HF, Eq. 2 to 10), completion of what is missing included."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from m2hf_core.model.gate import Squeeze, SqueezeExcitationGate
from m2hf_core.model.mfb import MultimodalFactorizedBilinear
from m2hf_core.model.transformer import BlockForm, DualModalTransformer

EarlyFusion = Literal["mfb", "dual", "none"]

_SMALLEST_STD = 1e-6


class Completion(nn.Module):
    """Standardise an input with a stored mean and standard deviation, then fill missing rows with ones.

    `ones=False` leaves them at zero (Table 15, without completion). Ones are filled after standardising, so they
    mean the same whatever the scale of the extractor. The statistics are buffers: they travel with the checkpoint.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, width: int, ones: bool = True) -> None:
        super().__init__()
        self.fill = 1.0 if ones else 0.0
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """[d] each, over the training clips' present rows; a channel that never varies keeps its scale."""
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > _SMALLEST_STD, std, torch.ones_like(std)))

    def forward(self, rows: Tensor, present: Tensor) -> Tensor:
        """[B, F, d], [B, F] -> [B, F, d]"""
        standard = (rows.to(self.mean.dtype) - self.mean) / self.std
        return torch.where(present.unsqueeze(-1), standard, torch.full_like(standard, self.fill))


class GuidedVisual(nn.Module):
    """One guiding sense: complete, fuse with the frames, gate the frames.

    `fusion` chooses Eq. 2-3 (`mfb`) or Eq. 6-8 (`dual`) for either sense (Table 13), or `none`, the sense's own
    features projected to the joint space and compared with the text without the picture (Table 12).
    """

    def __init__(
        self,
        guide_width: int,
        width: int,
        fusion: EarlyFusion,
        completion: bool = True,
        block_form: BlockForm = "post_ln",
        squeeze: Squeeze = "none",
        heads: int = 4,
        factor: int = 5,
        dropout: float = 0.1,
        mfb_relu: bool = False,
    ) -> None:
        super().__init__()
        self.completion = Completion(guide_width, ones=completion)
        self.project = nn.Identity() if fusion == "mfb" else nn.Linear(guide_width, width)
        self.mfb = (
            MultimodalFactorizedBilinear(guide_width, width, width, factor, dropout, mfb_relu)
            if fusion == "mfb"
            else None
        )
        self.dual = DualModalTransformer(width, heads, dropout, block_form) if fusion == "dual" else None
        self.gate = None if fusion == "none" else SqueezeExcitationGate(width, squeeze)

    def forward(self, guide: Tensor, present: Tensor, visual: Tensor, mask: Tensor) -> Tensor:
        """[B, F, d_g], [B, F], [B, F, d], [B, F] -> [B, F, d]; rows under a False mask must be finite."""
        features: Tensor = self.project(self.completion(guide, present & mask))
        if self.mfb is not None:
            features = self.mfb(features, visual)
        if self.dual is not None:
            features = self.dual(features, visual, mask)
        if self.gate is None:
            return features
        gated: Tensor = self.gate(features, mask) * visual
        return gated
