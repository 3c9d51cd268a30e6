"""CLIP's towers in front of the scorer, so that a run can teach them too (the paper's end-to-end training)."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from m2hf_core.model.inputs import TextFeatures, VideoFeatures
from m2hf_core.text.tower import TowerModules
from m2hf_core.training.sides import PairEncoder, Sides


@dataclass(frozen=True, slots=True, eq=False)
class LiveBatch:
    """b pairs before CLIP has seen them, on the run's device."""

    ids: Tensor
    """[b, T] int64, cut to the longest text of the batch"""
    token_mask: Tensor
    """[b, T] as `TextFeatures.mask`"""
    pooled: Tensor
    """[b]"""
    seen: Tensor
    """[b, F, 3, h, w] preprocessed pictures, or [b, F, d] stored frames where the vision tower does not learn"""
    frame_mask: Tensor
    audio: Tensor
    has_audio: Tensor
    motion: Tensor
    has_motion: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def encode(self, encoder: nn.Module, part: slice) -> Sides:
        sides: Sides = encoder(*(getattr(self, one.name)[part] for one in fields(self)))
        return sides


class TowerEncoder(nn.Module):
    """Tokens and pictures of b pairs -> `Sides`."""

    def __init__(
        self, pairs: PairEncoder, text: TowerModules, visual: nn.Module | None, checkpointing: bool
    ) -> None:
        """`visual` None: frames come stored. `checkpointing`: recompute the vision tower when going backward."""
        super().__init__()
        self.pairs, self.text, self.visual = pairs, text, visual
        self.checkpointing = checkpointing

    def train(self, mode: bool = True) -> TowerEncoder:
        """Batch norms keep their statistics: the few frames of a micro-batch are no measure of all pictures."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def forward(
        self,
        ids: Tensor,
        token_mask: Tensor,
        pooled: Tensor,
        seen: Tensor,
        frame_mask: Tensor,
        audio: Tensor,
        has_audio: Tensor,
        motion: Tensor,
        has_motion: Tensor,
    ) -> Sides:
        tokens, _ = self.text(ids, cut=False)
        frames = seen if self.visual is None else self._look(seen, frame_mask)
        video = VideoFeatures(frames, frame_mask, audio, has_audio, motion, has_motion)
        sides: Sides = self.pairs(TextFeatures(tokens, token_mask, pooled), video)
        return sides

    def _look(self, pictures: Tensor, mask: Tensor) -> Tensor:
        """[b, F, 3, h, w] -> [b, F, d]; padding is not looked at."""
        assert self.visual is not None
        real = pictures[mask]
        if self.checkpointing and torch.is_grad_enabled():
            rows: Tensor = checkpoint(self.visual, real, use_reentrant=False)
        else:
            rows = self.visual(real)
        frames = rows.new_zeros(*mask.shape, rows.shape[-1])
        frames[mask] = rows
        return frames
