"""How each word and each frame gets its share in a score: the weights of WTI (M2HF, Eq. 1) and what they rest on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from m2hf_core.model.inputs import Side

_SMALLEST_NORM = 1e-8


def full_precision(x: Tensor) -> Tensor:
    """Half types become float32; float32 and float64 stay."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def unit_rows(x: Tensor) -> Tensor:
    """L2-normalise the last dimension in at least float32.

    A zero row stays zero and passes an ordinary gradient: division by a clamped norm would multiply it by 1e12.
    """
    x = full_precision(x)
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / torch.where(norm > _SMALLEST_NORM, norm, torch.ones_like(norm))


def fill_padding(rows: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """[B, n, d] with every row under False replaced by the item's row `source` [B]; see `Side` for why."""
    B, n = mask.shape
    place = torch.where(mask, torch.arange(n, device=mask.device), source.unsqueeze(1))
    item = torch.arange(B, device=mask.device).unsqueeze(1) * n
    return rows.reshape(B * n, -1).index_select(0, (item + place).view(-1)).view(rows.shape)


class WeightHead(nn.Module):
    """`Linear(d, d) -> ReLU -> Linear(d, 1)`, softmax over real rows: the f of Eq. 1.

    Reads features before normalisation. The last layer starts at zero, so the weights start uniform.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.out = nn.Linear(width, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, rows: Tensor, mask: Tensor, offset: Tensor | None = None) -> Tensor:
        """[B, n, d], [B, n] -> [B, n]; `offset` [B, n] is added to the logits. Each item has a real row."""
        logits = full_precision(self.out(torch.relu(self.hidden(rows))).squeeze(-1))
        if offset is not None:
            logits = logits + offset
        return torch.softmax(logits.masked_fill(~mask, -torch.inf), dim=-1)


def eligible_tokens(mask: Tensor, pooled: Tensor, start_token: bool) -> Tensor:
    """[B, T] bool: the tokens that may be matched.

    A causal tower's start token is one vector for every caption and says nothing; the pooled token always counts,
    also where it is padding (SigLIP).
    """
    eligible = mask.clone()
    if start_token:
        eligible[:, 0] = False
    return eligible.scatter(1, pooled.unsqueeze(1), True)


def pooled_offset(eligible: Tensor, pooled: Tensor) -> Tensor:
    """[B, T] logit offset with which uniform logits give the pooled token 90 % of the weight.

    With n eligible tokens it is `log(9 (n - 1))` at the pooled position; a lone token needs none.
    """
    others = (eligible.sum(dim=1) - 1).clamp_min(1)
    lone = eligible.sum(dim=1) == 1
    value = torch.where(lone, torch.zeros_like(others, dtype=torch.float32), torch.log(9.0 * others))
    return torch.zeros_like(eligible, dtype=torch.float32).scatter(1, pooled.unsqueeze(1), value.unsqueeze(1))


class WeightedTokenInteraction(nn.Module):
    """One branch's own token head and frame head (the text encoder is shared, the heads are not)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.token_head = WeightHead(width)
        self.frame_head = WeightHead(width)

    def token_weight(self, rows: Tensor, eligible: Tensor, pooled: Tensor) -> Tensor:
        """[B, T, d] un-normalised tokens without gaps (`fill_padding`) -> [B, T]."""
        weight: Tensor = self.token_head(rows, eligible, pooled_offset(eligible, pooled))
        return weight

    def video_side(self, frames: Tensor, mask: Tensor) -> Side:
        """[B, F, d] un-normalised frames -> the clip side of the products."""
        rows = fill_padding(frames, mask, mask.int().argmax(dim=1))
        return Side(unit_rows(rows), self.frame_head(rows, mask), mask)


def pooled_side(tokens: Tensor, pooled: Tensor) -> Side:
    """The text side of a scorer that reads only the pooled token: one row of weight 1."""
    row = torch.take_along_dim(tokens, pooled[:, None, None], dim=1)
    ones = torch.ones(row.shape[:2], device=row.device)
    return Side(unit_rows(row), ones.to(full_precision(row).dtype), ones.bool())
