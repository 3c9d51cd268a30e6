"""Reads weight files that people bring: nothing is executed, and a wrong file is refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from m2hf_core.errors import BadModelFile

HINT = "Prepare it again with `m2hf-app models prepare`, or bring the file that the publisher offers."


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file or of a torch file, by key.

    Raises `BadModelFile` for a truncated file, one that holds anything but tensors, and no file at all.
    """
    try:
        if path.suffix == ".safetensors":
            state: object = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a stranger's bytes make the readers raise a dozen types
        raise BadModelFile(f"The weight file {path.name} cannot be read.", HINT, repr(error)) from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        sentence = f"The weight file {path.name} holds no table of tensors."
        raise BadModelFile(sentence, HINT, type(state).__name__)
    return state


def fill(network: nn.Module, path: Path) -> None:
    """Put the file's tensors into `network`, maybe on the meta device; keys and shapes must match."""
    state = read_state(path)
    try:
        network.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        name = type(network).__name__
        raise BadModelFile(f"The weight file {path.name} is not for {name}.", HINT, str(error)) from error
    network.float().requires_grad_(False).eval()
