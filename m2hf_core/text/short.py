"""One short text through a text tower: large weights, a handful of positions.

Such a product is bound by reading the weights, and the usual one, with the rows first, reads them at a third of the
memory's speed. With the weights first it takes 58 to 72 % of the time; so a query's blocks are walked here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from m2hf_core.text.network import Block

FEW = 24
"""Positions up to which this pays."""


def walkable(blocks: Iterable[nn.Module]) -> bool:
    """Whether these compute in float32 on the processor, where `walk` is the quicker way."""
    return all(isinstance(block, Block) and _plain(block.attn) for block in blocks)


def _plain(attention: Any) -> bool:
    weight = attention.in_proj_weight
    return weight is not None and weight.dtype == torch.float32 and weight.device.type == "cpu"


def walk(blocks: Iterable[nn.Module], x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """What the blocks make of one text, float32 [T, d]; `mask` is added to the attention, [T, T]."""
    for block in blocks:
        assert isinstance(block, Block)
        x = x + block.ls_1(_attend(block.attn, block.ln_1(x), mask))
        hidden = block.mlp.gelu(_product(block.ln_2(x), block.mlp.c_fc.weight, block.mlp.c_fc.bias))
        x = x + block.ls_2(_product(hidden, block.mlp.c_proj.weight, block.mlp.c_proj.bias))
    return x


def _attend(attention: nn.MultiheadAttention, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    length, width = x.shape
    assert attention.in_proj_weight is not None
    inward = _product(x, attention.in_proj_weight, attention.in_proj_bias)
    queries, keys, values = inward.view(length, 3, attention.num_heads, -1).permute(1, 2, 0, 3)
    seen = F.scaled_dot_product_attention(queries[None], keys[None], values[None], attn_mask=mask)
    out = attention.out_proj
    return _product(seen[0].transpose(0, 1).reshape(length, width), out.weight, out.bias)


def _product(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """`x @ weight.T + bias` with the weights first."""
    product = (weight @ x.T.contiguous()).T.contiguous()
    return product if bias is None else product.add_(bias)
