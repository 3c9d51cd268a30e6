"""The squeeze-and-excitation gate (M2HF, Eq. 4 and 9): what was heard or moved chooses channels of the picture."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Squeeze = Literal["none", "mean"]


class SqueezeExcitationGate(nn.Module):
    """`sigmoid(W2 relu(W1 f))` with hidden width d / 2 and no biases, as in Eq. 4.

    Per frame (`squeeze="none"`, despite the name that the paper gives it) or from the mean over a clip's real frames
    (`squeeze="mean"`, what squeeze-and-excitation does with images). W2 starts at zero: 0.5 on every channel,
    which a cosine does not see, so a guided branch starts as the visual one.
    """

    def __init__(self, width: int, squeeze: Squeeze = "none") -> None:
        super().__init__()
        self.squeeze = squeeze
        self.shrink = nn.Linear(width, width // 2, bias=False)
        self.grow = nn.Linear(width // 2, width, bias=False)
        nn.init.zeros_(self.grow.weight)

    def forward(self, fused: Tensor, mask: Tensor) -> Tensor:
        """[B, F, d], [B, F] -> gate [B, F, d], or [B, 1, d] when squeezed."""
        if self.squeeze == "mean":
            real = mask.unsqueeze(-1).to(fused.dtype)
            fused = (fused * real).sum(dim=1, keepdim=True) / real.sum(dim=1, keepdim=True)
        return torch.sigmoid(self.grow(torch.relu(self.shrink(fused))))
