"""Several processes as one run: what `torchrun` started finds each other, on graphics cards or on processors alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from m2hf_core.features.device import resolve_device
from m2hf_core.training.gather import world_size


@contextmanager
def joined_processes(asked_device: str) -> Iterator[str]:
    """The device of this process, with the process group of `torchrun` around it when there are several.

    Raises `KnownError` when a device was asked for that is not there.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield resolve_device(asked_device)
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    wants_cards = asked_device.startswith("cuda") or (asked_device == "auto" and torch.cuda.is_available())
    device = resolve_device(f"cuda:{local}" if wants_cards else "cpu")
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def wrapped(encoder: nn.Module, device: str) -> nn.Module:
    """Averages gradients over all processes after each backward pass; as it is when there is only one."""
    if world_size() == 1:
        return encoder
    return DistributedDataParallel(encoder, device_ids=[device] if device.startswith("cuda") else None)


def agreed(figure: float, device: str) -> float:
    """The first process's value, for every process."""
    if world_size() == 1:
        return figure
    value = torch.tensor([figure], dtype=torch.float64, device=device)
    dist.broadcast(value, 0)
    return float(value)
