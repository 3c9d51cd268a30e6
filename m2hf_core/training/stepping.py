"""One optimiser step on one batch, encoded at once or in micro-batches that leave the contrast whole.

In micro-batches each pair is encoded twice: first without keeping anything, to contrast the whole batch and learn the
gradient of every side; then again, a micro-batch at a time, to carry that gradient into the parameters (cached
embeddings, as in GradCache). Dropout is replayed, so both encodings are the same, and so is the result (a test).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from m2hf_core.training.contrast import Contrast
from m2hf_core.training.sides import Sides


class Batch(Protocol):
    """b pairs of this process, wherever they come from: stored features, or pictures and words."""

    def __len__(self) -> int: ...

    def encode(self, encoder: nn.Module, part: slice) -> Sides:
        """The sides of these pairs; all parts are padded to the same lengths."""
        ...


@dataclass(frozen=True, slots=True)
class StepResult:
    loss: float
    branches: dict[str, float]
    """Each branch's own loss, whatever the balance made of them."""


def backward(
    encoder: nn.Module, batch: Batch, contrast: Contrast, micro_batch: int, device: str, bf16: bool
) -> StepResult:
    """Add the gradient of the whole batch's loss to the parameters. A loss that is not finite adds nothing."""
    if micro_batch <= 0 or micro_batch >= len(batch):
        with _autocast(device, bf16):
            loss, branches = contrast(batch.encode(encoder, slice(0, len(batch))))
        if bool(torch.isfinite(loss)):
            torch.autograd.backward(loss)
        return _result(loss, branches)
    return _backward_in_parts(encoder, batch, contrast, micro_batch, device, bf16)


def _backward_in_parts(
    encoder: nn.Module, batch: Batch, contrast: Contrast, micro_batch: int, device: str, bf16: bool
) -> StepResult:
    parts = [
        slice(start, min(start + micro_batch, len(batch))) for start in range(0, len(batch), micro_batch)
    ]
    states, cached = [], []
    for part in parts:
        states.append(_random_state(device))
        with torch.no_grad(), _autocast(device, bf16):
            cached.append(batch.encode(_bare(encoder), part))
    whole = Sides.joined(cached)
    leaves = [tensor.detach().requires_grad_() for tensor in whole.tensors()]
    with _autocast(device, bf16):
        loss, branches = contrast(whole.with_tensors(leaves))
    if not bool(torch.isfinite(loss)):
        return _result(loss, branches)
    torch.autograd.backward(loss)
    *grads, eta_grad = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        with _replayed(states[number], device), _quiet(encoder, quiet=not last):
            with _autocast(device, bf16):
                *tensors, eta = batch.encode(encoder, part).tensors()
            # eta's gradient is that of the whole batch: it is carried once.
            pairs = [(tensor, grad[part]) for tensor, grad in zip(tensors, grads, strict=True)]
            pairs += [(eta, eta_grad if last else torch.zeros_like(eta_grad))]
            carried = [(tensor, grad) for tensor, grad in pairs if tensor.requires_grad]
            torch.autograd.backward([tensor for tensor, _ in carried], [grad for _, grad in carried])
    return _result(loss, branches)


def _result(loss: Tensor, branches: dict[str, Tensor]) -> StepResult:
    return StepResult(float(loss.detach()), {name: float(value) for name, value in branches.items()})


def _autocast(device: str, bf16: bool) -> torch.autocast:
    return torch.autocast(device.partition(":")[0], torch.bfloat16, enabled=bf16)


def _bare(encoder: nn.Module) -> nn.Module:
    """Without DistributedDataParallel, which would prepare for a backward pass that never comes."""
    return encoder.module if isinstance(encoder, DistributedDataParallel) else encoder


@contextmanager
def _quiet(encoder: nn.Module, quiet: bool) -> Iterator[None]:
    """Gradients travel between processes with the last micro-batch only."""
    with encoder.no_sync() if quiet and isinstance(encoder, DistributedDataParallel) else nullcontext():
        yield


def _random_state(device: str) -> list[Tensor]:
    states = [torch.get_rng_state()]
    if device.startswith("cuda"):
        states.append(torch.cuda.get_rng_state(device))
    return states


@contextmanager
def _replayed(states: list[Tensor], device: str) -> Iterator[None]:
    """Draw again what was drawn from `states` on, and go on afterwards where we were."""
    now = _random_state(device)
    _set_random_state(states, device)
    try:
        yield
    finally:
        _set_random_state(now, device)


def _set_random_state(states: list[Tensor], device: str) -> None:
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state(states[1], device)
