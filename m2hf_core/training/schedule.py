"""The optimiser of the recipe: AdamW in groups, warm-up then cosine, and the steps of an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from m2hf_core.training.settings import TrainSettings

BETA1 = 0.9


def make_optimiser(
    heads: Iterable[tuple[str, nn.Parameter]],
    towers: Iterable[tuple[str, nn.Parameter]],
    settings: TrainSettings,
) -> torch.optim.AdamW:
    """Heads at `lr`, CLIP at `clip_lr`; no weight decay on biases, norms and the logit scale."""
    groups = []
    for parameters, rate in ((list(heads), settings.lr), (list(towers), settings.clip_lr)):
        learning = [parameter for _, parameter in parameters if parameter.requires_grad]
        for chosen, decay in (
            ([one for one in learning if one.ndim >= 2], settings.weight_decay),
            ([one for one in learning if one.ndim < 2], 0.0),
        ):
            if chosen:
                groups.append({"params": chosen, "lr": rate, "weight_decay": decay})
    return torch.optim.AdamW(groups, betas=(BETA1, settings.beta2), eps=settings.eps)


def rate_at(step: int, steps: int, warmup: float) -> float:
    """The share of the learning rate at `step` (from 0): up in the first part, then half a cosine down to nothing."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def make_schedule(
    optimiser: torch.optim.Optimizer, steps: int, warmup: float
) -> torch.optim.lr_scheduler.LambdaLR:
    return torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_at(step, steps, warmup))
