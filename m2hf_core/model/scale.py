"""CLIP's learned logit scale (eta), which turns cosines into logits, held at 100 at most."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

LARGEST_SCALE = 100.0


class LogitScale(nn.Module):
    """Stored as a logarithm, as CLIP does."""

    def __init__(self, initial: float = LARGEST_SCALE) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.tensor(math.log(initial)))

    def forward(self) -> Tensor:
        return self.log.exp()

    @torch.no_grad()
    def limit(self) -> None:
        """Call after each optimiser step: a clamp inside `forward` would stop the gradient for good at 100."""
        self.log.clamp_(max=math.log(LARGEST_SCALE))
