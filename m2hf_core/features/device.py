"""From what a person asked for ("auto", "cuda:1") to a device that is really there."""

from __future__ import annotations

import torch

from m2hf_core.errors import KnownError


def resolve_device(asked: str) -> str:
    """The torch device for `asked`; auto takes a GPU where there is one.

    Raises `KnownError` when a GPU was asked for by name and is not there: falling back in silence would only be
    noticed hours later.
    """
    if asked == "auto":
        if torch.cuda.is_available():
            return "cuda:0"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    if asked.startswith("cuda"):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        number = int(asked.partition(":")[2] or 0)
        if number >= count:
            raise KnownError(
                f"There is no CUDA device {asked!r} on this machine ({count} found).",
                "Use --device auto or --device cpu; `m2hf-app doctor` tells what is there.",
            )
    if asked == "mps" and not torch.backends.mps.is_available():
        raise KnownError("This machine has no Metal device.", "Use --device auto or --device cpu.")
    return asked
