"""The text half of a preset, read from the same file as its image half, which is left where it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from m2hf_core.hub.files import digest_of, extractor_fingerprint, require
from m2hf_core.hub.manifest import Preset
from m2hf_core.text.descriptions import architecture_config, read_description
from m2hf_core.text.network import TextNetwork
from m2hf_core.text.openclip import PREPROCESSING_VERSION, WithoutRandomNumbers, does_not_fit
from m2hf_core.text.tokenizers import Tokenizer, tokenizer_for

PREFIX = "text."
"""Before the names of a text half that is a module of its own in its file; the older families have none."""
NOT_TEXT = ("visual.", "logit_scale", "logit_bias")
"""What of a contrastive model's state has nothing to do with encoding a text."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedText:
    """A text half in float32 on the CPU, in evaluation mode."""

    network: TextNetwork
    tokenizer: Tokenizer
    config: Mapping[str, Any]
    """open_clip's `text_cfg`."""
    fingerprint: str
    """Of the whole model, as `LoadedClip` has it."""
    logit_scale: float
    """eta, already exponentiated and held to at most 100 (M2HF section 3.6)."""
    width: int
    """d, the width of the joint space."""


def build_text(preset: Preset) -> LoadedText:
    """The text half of a preset. Raises `ModelsMissing` where a file is not here, else `BadModelFile`."""
    weights = require(preset.clip, preset)
    tokenizer = require(preset.tokenizer, preset) if preset.tokenizer else None
    if preset.config is not None:
        config = read_description(require(preset.config, preset))["model_cfg"]
    elif preset.architecture is not None:
        config = architecture_config(preset.architecture)
    else:
        raise ValueError(f"preset {preset.id} names neither an architecture nor a description")
    return build_text_from(config, weights, name=preset.id, tokenizer=tokenizer)


def build_text_from(
    config: Mapping[str, Any], weights: Path, *, name: str, tokenizer: Path | None = None
) -> LoadedText:
    """Read the text half that `config` (open_clip's `model_cfg`) describes from a safetensors file.

    Raises `BadModelFile`.
    """
    with torch.device("meta"), WithoutRandomNumbers():  # every tensor comes from the file
        network = TextNetwork(config)
    try:
        with safe_open(str(weights), framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys() if _is_text(name)}  # noqa: SIM118
            logit_scale = float(file.get_tensor("logit_scale"))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise does_not_fit(weights, str(error)) from error
    fill(network, state, weights)
    return LoadedText(
        network=network.eval(),
        tokenizer=tokenizer_for(config["text_cfg"], tokenizer),
        config=config["text_cfg"],
        fingerprint=extractor_fingerprint("clip", name, digest_of(weights), PREPROCESSING_VERSION),
        logit_scale=min(100.0, math.exp(logit_scale)),
        width=int(config["embed_dim"]),
    )


def fill(network: TextNetwork, state: Mapping[str, torch.Tensor], source: Path) -> None:
    """Put tensors in the place of a network's own, all and no others. Raises `BadModelFile`, which names `source`."""
    named = {name.removeprefix(PREFIX): tensor.to(torch.float32, copy=True) for name, tensor in state.items()}
    try:
        network.load_state_dict(named, assign=True)
    except RuntimeError as error:
        raise does_not_fit(source, str(error)) from error


def _is_text(name: str) -> bool:
    return not name.startswith(NOT_TEXT)
