"""Multi-modal factorised bilinear pooling (M2HF, Eq. 2 and 3): frame and sound meet channel by channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from m2hf_core.model.heads import full_precision, unit_rows

ROOT_EPS = 1e-6
"""Keeps the slope of the square root at most 500; the plain root has a NaN gradient at 0."""


def signed_root(x: Tensor) -> Tensor:
    """`sign(x) sqrt(|x| + eps)`, 0 at 0: the power normalisation of Eq. 3."""
    return torch.sign(x) * torch.sqrt(x.abs() + ROOT_EPS)


class MultimodalFactorizedBilinear(nn.Module):
    """[..., a] and [..., b] -> [..., width], unit length.

    Project both to `factor * width`, multiply, drop, sum runs of `factor` neighbours, signed root, L2 per frame.
    Departures: the projections have biases and no ReLU (`relu=True` adds the one that the paper's text names and its
    Eq. 2 omits), and dropout acts on the product **before** pooling, where it thins factors and not whole channels.
    """

    def __init__(
        self,
        left_width: int,
        right_width: int,
        width: int,
        factor: int = 5,
        dropout: float = 0.1,
        relu: bool = False,
    ) -> None:
        super().__init__()
        self.factor, self.relu = factor, relu
        self.left = nn.Linear(left_width, factor * width)
        self.right = nn.Linear(right_width, factor * width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        a, b = full_precision(self.left(left)), full_precision(self.right(right))
        if self.relu:
            a, b = torch.relu(a), torch.relu(b)
        product = self.dropout(a * b)
        pooled = product.view(*product.shape[:-1], -1, self.factor).sum(dim=-1)
        return unit_rows(signed_root(pooled))
