"""The one place where an open_clip model is built: any preset, from local files only, never from the network.

The frame extractor takes the image half and the text tower the other, so both always agree on their weights.
"""

from __future__ import annotations

import json
import logging
import pickle
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from torch.overrides import TorchFunctionMode

from m2hf_core.errors import BadModelFile
from m2hf_core.hub.files import digest_of, extractor_fingerprint, require
from m2hf_core.hub.manifest import Preset
from m2hf_core.text.descriptions import architecture_config, read_description
from m2hf_core.text.tokenizers import Tokenizer, tokenizer_for

PREPROCESSING_VERSION = 1
"""Raised whenever the same weights would give other frame features than before."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedClip:
    """A complete contrastive model in float32 on the CPU, in evaluation mode."""

    model: nn.Module
    preprocess: Callable[[Any], torch.Tensor]
    """One PIL image -> float32 [3, H, W], as these weights were trained."""
    tokenizer: Tokenizer
    config: Mapping[str, Any]
    """open_clip's `model_cfg`."""
    fingerprint: str
    width: int
    """d, the width of the joint space."""


def build_open_clip(preset: Preset) -> LoadedClip:
    """The model of a preset. Raises `ModelsMissing` where a file is not here, else `BadModelFile`."""
    weights = require(preset.clip, preset)
    tokenizer = require(preset.tokenizer, preset) if preset.tokenizer else None
    if preset.config is not None:
        description = require(preset.config, preset)
        return build_from(read_description(description), weights, name=preset.id, tokenizer=tokenizer)
    if preset.architecture is None:
        raise ValueError(f"preset {preset.id} names neither an architecture nor a description")
    description_of = describe(preset.architecture, preset.pretrained)
    return build_from(description_of, weights, name=preset.id, tokenizer=tokenizer)


def random_model(architecture: str) -> nn.Module:
    """A model of random numbers, for measuring what it costs; nothing that it computes means anything."""
    return _create(describe(architecture))[0]


def describe(architecture: str, pretrained: str | None = None) -> dict[str, Any]:
    """`{"model_cfg", "preprocess_cfg"}` of an architecture and a tag that open_clip knows.

    The tag matters though its weights are not fetched: it alone says that PE-Core squashes its images and
    normalises by 0.5, that SigLIP does too, and which interpolation is used.
    """
    import open_clip

    config = architecture_config(architecture)
    known = open_clip.get_pretrained_cfg(architecture, pretrained) if pretrained else {}
    if pretrained and not known:
        raise ValueError(f"open_clip knows no weights {pretrained} for {architecture}")
    wanted = ("mean", "std", "interpolation", "resize_mode")
    return {"model_cfg": config, "preprocess_cfg": {key: known[key] for key in wanted if key in known}}


def build_from(
    description: Mapping[str, Any], weights: Path, *, name: str, tokenizer: Path | None = None
) -> LoadedClip:
    """Build `description` (`{"model_cfg", "preprocess_cfg"}`) and fill it with a weights file.

    `weights`: safetensors, or a torch file that holds tensors only. `tokenizer`: a `tokenizer.json`, for the
    families that do not use byte pairs; those find their own merges through the description.

    Raises `BadModelFile`.
    """
    config = deepcopy(dict(description["model_cfg"]))
    with WithoutRandomNumbers():
        model, preprocess = _create({**description, "model_cfg": config})
    _load(model, weights)
    model.eval()
    return LoadedClip(
        model=model,
        preprocess=preprocess,
        tokenizer=tokenizer_for(config["text_cfg"], tokenizer),
        config=config,
        fingerprint=extractor_fingerprint("clip", name, digest_of(weights), PREPROCESSING_VERSION),
        width=int(config["embed_dim"]),
    )


def _create(description: Mapping[str, Any]) -> tuple[nn.Module, Callable[[Any], torch.Tensor]]:
    import open_clip

    # A folder of our own making is open_clip's only way to take a description without entering it in its
    # global registry, and without a name that it might look up on the network.
    with tempfile.TemporaryDirectory(prefix="m2hf-clip-") as folder, _silent_open_clip():
        (Path(folder) / "open_clip_config.json").write_text(json.dumps(description), encoding="utf-8")
        model, _, preprocess = open_clip.create_model_and_transforms(
            f"local-dir:{folder}", pretrained_text=False
        )
    return model, preprocess


def _load(model: nn.Module, weights: Path) -> None:
    import open_clip

    if _is_script(weights):
        raise _holds_code(weights, "TorchScript archive")
    try:
        with _silent_open_clip():
            open_clip.load_checkpoint(model, str(weights), strict=True, weights_only=True)
    except pickle.UnpicklingError as error:
        raise _holds_code(weights, str(error)) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, KeyError, ValueError, StopIteration) as error:
        raise does_not_fit(weights, str(error)) from error


def does_not_fit(weights: Path, detail: str) -> BadModelFile:
    """For a file of other weights, or of none."""
    return BadModelFile(
        f"{weights.name} does not hold the weights that this preset needs.",
        "Check it with `m2hf-app models verify`, then prepare or bring it again.",
        detail=detail,
    )


def _is_script(weights: Path) -> bool:
    """OpenAI's own `.pt` files are such archives; loading one would run what it contains."""
    if not zipfile.is_zipfile(weights):
        return False
    with zipfile.ZipFile(weights) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _holds_code(weights: Path, detail: str) -> BadModelFile:
    return BadModelFile(
        f"{weights.name} holds program code, not only numbers, so it was not opened.",
        "Use the safetensors form of these weights (`m2hf-app models prepare`).",
        detail=detail,
    )


class WithoutRandomNumbers(TorchFunctionMode):
    """Leaves parameters as they were allocated: drawing them takes seconds, and every one is loaded right after."""

    drawing = frozenset({"normal_", "uniform_", "trunc_normal_", "erfinv_"})

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in self.drawing:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@contextmanager
def _silent_open_clip() -> Iterator[None]:
    """open_clip logs through the root logger, which makes that print, and says "random" before weights load."""
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)
    root.addFilter(_not_from_open_clip)
    try:
        yield
    finally:
        root.removeFilter(_not_from_open_clip)
        root.removeHandler(handler)


def _not_from_open_clip(record: logging.LogRecord) -> bool:
    return Path(record.pathname).parent.name != "open_clip"
