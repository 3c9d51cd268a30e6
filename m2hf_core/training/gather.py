"""Joins what several processes computed, and lets the gradient find its way back to each of them.

Every process evaluates the same loss on the same joined batch, so the gradient that comes back is summed over all of
them; DistributedDataParallel then takes the mean of the parameters' gradients. Together that is exactly the gradient of
one process with the joined batch (a test holds this).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from m2hf_core.model.inputs import Side


def world_size() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.size = len(rows)
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        whole = grads[0].contiguous()
        dist.all_reduce(whole)
        start = ctx.size * dist.get_rank()
        return whole[start : start + ctx.size]


def gather_rows(rows: Tensor) -> Tensor:
    """[b, ...] of every process -> [world * b, ...], in the order of ranks; equal shapes everywhere."""
    if world_size() == 1:
        return rows
    if not rows.is_floating_point():
        return _gathered_flags(rows)
    gathered: Tensor = _GatherRows.apply(rows)  # type: ignore[no-untyped-call]
    return gathered


def _gathered_flags(flags: Tensor) -> Tensor:
    parts = [torch.empty_like(flags, dtype=torch.uint8) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, flags.to(torch.uint8).contiguous())
    return torch.cat(parts).to(flags.dtype)


def gather_side(side: Side) -> Side:
    return Side(gather_rows(side.unit), gather_rows(side.weight), gather_rows(side.mask))
