"""Small networks of the real classes, random but complete, written to disk as the published files are."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import save_file

from m2hf_core.text.half import LoadedText, build_text_from
from m2hf_core.text.openclip import LoadedClip, build_from, describe
from m2hf_core.text.openclip import _create as create_empty

SMALL_VISION = {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16}


def shrink(architecture: str, pretrained: str, **text: Any) -> dict[str, Any]:
    """The real description with a tiny image half and a narrow, shallow text half of the same kind."""
    description = deepcopy(describe(architecture, pretrained))
    config = description["model_cfg"]
    config["embed_dim"] = 24
    config["vision_cfg"] = dict(SMALL_VISION)
    config["text_cfg"] |= {"width": 32, "heads": 4, "layers": 2, **text}
    return description


class Files(NamedTuple):
    """What a preset names."""

    description: dict[str, Any]
    weights: Path
    tokenizer: Path | None


FAMILIES = {
    "clip": ("ViT-B-32-256", "datacomp_s34b_b86k", {}),
    "clip-quickgelu": ("ViT-B-16-quickgelu", "openai", {}),
    "pe-core": ("PE-Core-B-16", "meta", {}),
    "mobileclip2-b": ("MobileCLIP2-B", "dfndr2b", {}),
    "mobileclip2-s0": ("MobileCLIP2-S0", "dfndr2b", {}),
    "siglip2": ("ViT-B-16-SigLIP2", "webli", {"vocab_size": 64}),
}


@pytest.fixture(scope="session", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def description_of() -> Callable[[str], dict[str, Any]]:
    def describe_small(name: str) -> dict[str, Any]:
        architecture, pretrained, text = FAMILIES[name]
        return shrink(architecture, pretrained, **text)

    return describe_small


@pytest.fixture(scope="session")
def files_of(
    tmp_path_factory: pytest.TempPathFactory, description_of: Callable[[str], dict[str, Any]]
) -> Callable[[str], Files]:
    """Random weights of a family, always the same, written as safetensors."""

    def write(name: str) -> Files:
        folder = tmp_path_factory.mktemp(name)
        torch.manual_seed(7)
        description = description_of(name)
        model, _ = create_empty(description)
        for parameter in model.parameters():
            if parameter.ndim > 1:  # larger than the usual start, so that every position differs visibly
                torch.nn.init.normal_(parameter, std=0.2)
        save_file(model.state_dict(), folder / "weights.safetensors")
        tokenizer = _write_tokenizer(folder) if name == "siglip2" else None
        return Files(description, folder / "weights.safetensors", tokenizer)

    return cache(write)


@pytest.fixture(scope="session")
def build_small(files_of: Callable[[str], Files]) -> Callable[[str], LoadedClip]:
    """A family's whole model, as the program builds it, by open_clip."""

    def build(name: str) -> LoadedClip:
        files = files_of(name)
        return build_from(files.description, files.weights, name=name, tokenizer=files.tokenizer)

    return build


@pytest.fixture(scope="session")
def build_words(files_of: Callable[[str], Files]) -> Callable[[str], LoadedText]:
    """The text half alone, from the same file."""

    def build(name: str) -> LoadedText:
        files = files_of(name)
        return build_text_from(
            files.description["model_cfg"], files.weights, name=name, tokenizer=files.tokenizer
        )

    return build


@pytest.fixture(scope="session")
def write_tokenizer() -> Callable[[Path], Path]:
    return _write_tokenizer


def _write_tokenizer(folder: Path) -> Path:
    """A tokenizer.json of SigLIP 2's layout: pad 0, end 1, pieces that carry the blank before a word."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["▁a", "▁dog", "▁runs", "▁on", "▁the", "▁beach", "▁un", "believable", "▁two", "▁cats"]
    vocabulary = {token: index for index, token in enumerate(["<pad>", "<eos>", "<bos>", "<unk>", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    return path
