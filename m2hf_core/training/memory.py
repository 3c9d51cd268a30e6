"""Out of memory, said so that the person knows which setting to lower and what it will then need."""

from __future__ import annotations

import torch

from m2hf_core.errors import KnownError
from m2hf_core.training.settings import TrainSettings

_GIB = 1 << 30


def out_of_memory(settings: TrainSettings, pairs: int, device: str, error: RuntimeError) -> KnownError:
    """`pairs`: how many this device held in one batch. Nothing is freed here; the run ends."""
    at_once = min(settings.micro_batch or pairs, pairs)
    smaller = max(1, at_once // 4)
    if at_once > 1:
        hint = (
            f"Lower micro_batch to {smaller} (--set micro_batch={smaller}){_then_needs(device, smaller / at_once)}; "
            "the contrast still sees the whole batch."
        )
    elif settings.frames > 1:
        hint = f"Lower frames (now {settings.frames}), or train on a device with more memory."
    else:
        hint = "Train on a device with more memory."
    if settings.tune == "all" and not settings.checkpointing:
        hint = f"Set checkpointing=true. {hint}"
    return KnownError(f"The memory of {device} is too small for {at_once} pairs at once.", hint, str(error))


def _then_needs(device: str, share: float) -> str:
    """An estimate: parameters and optimiser stay as they are, what grows with the pairs shrinks with them."""
    if not device.startswith("cuda"):
        return ""
    # Between steps only parameters, gradients and the optimiser are held; a failed step has freed its own by now.
    fixed, total = torch.cuda.memory_allocated(device), torch.cuda.mem_get_info(device)[1]
    needs = fixed + share * (total - fixed)
    return f", which needs at least {needs / _GIB:.1f} GB"
