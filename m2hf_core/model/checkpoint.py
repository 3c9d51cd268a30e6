"""One file per scorer: safetensors for the numbers, JSON in its header for everything that gives them meaning.

A scorer whose training taught the text tower too (`--tune text`) carries that tower's numbers, since it is worth
nothing with other words: bringing in, choosing, going back and carrying away need no second file.

Nothing here unpickles. A file is written aside and renamed, so a reader never meets half of one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from m2hf_core.aside import write_file
from m2hf_core.errors import BadModelFile
from m2hf_core.model.config import M2HFConfig, Scorer, build_scorer, current_config
from m2hf_core.model.m2hf import M2HF
from m2hf_core.records import Branch

FORMAT, PLAIN_FORMAT = 2, 1
"""Raised when a file of this version could be misread by the one before: a scorer without a text tower cannot."""
UNTRAINED = "untrained"

_HEADER = "m2hf"
_TEXT = "text-tower."
_STATE = re.compile(r"untrained|trained:[A-Za-z0-9._-]+")
_AGAIN = "Export the scorer again, or choose another one."


@dataclass(frozen=True, slots=True)
class ScorerInfo:
    """All that a scorer file says besides its numbers."""

    config: M2HFConfig
    backbone: str
    """Fingerprint of the CLIP model whose features it reads."""
    state: str
    """`untrained` or `trained:<id>`"""
    words_version: str
    """Version of the noun lists and tagger that the speech branch used."""
    scorer_id: str = ""
    """Digest of configuration, state and numbers, set on saving; scores of different ids are never mixed."""
    own_text: bool = False
    """Whether the file holds the text tower that belongs to it (`load_text`); else the backbone's own does."""

    def __post_init__(self) -> None:
        for text in (self.backbone, self.state, self.words_version, self.scorer_id):
            if type(text) is not str:
                raise TypeError(f"{text!r} is not a text")
        if not _STATE.fullmatch(self.state):
            raise ValueError(f"state is {self.state!r}, not 'untrained' or 'trained:<id>'")

    @property
    def trained(self) -> bool:
        return self.state != UNTRAINED

    def active_branches(self, scorer: Scorer) -> tuple[str, ...]:
        """The branches to score: before training audio and motion abstain, they would only repeat the visual one."""
        if self.trained or not isinstance(scorer, M2HF) or Branch.VISUAL not in scorer.branches:
            return scorer.branches
        return (Branch.VISUAL,)


def save_scorer(
    path: Path, scorer: Scorer, info: ScorerInfo, text: Mapping[str, Tensor] | None = None
) -> ScorerInfo:
    """Write `path`; returns `info` with its `scorer_id`. The open state of the tokens is taken from the scorer.

    `text`: the tower that was taught with it, by the names of the backbone's own state. Raises `DiskFull`, and leaves
    the former file as it was whatever happens.
    """
    config = current_config(info.config, scorer)
    tensors = {name: value.detach().cpu().contiguous() for name, value in scorer.state_dict().items()}
    tensors |= {_TEXT + name: value.detach().cpu().contiguous() for name, value in (text or {}).items()}
    about: dict[str, Any] = {
        "config": config.to_json(),
        "backbone": info.backbone,
        "state": info.state,
        "words_version": info.words_version,
    }
    if text is not None:
        about["own_text"] = True
    scorer_id = _digest(about, tensors)
    version = PLAIN_FORMAT if text is None else FORMAT
    header = json.dumps({"format": version, "scorer_id": scorer_id, **about})
    write_file(path, save(tensors, metadata={_HEADER: header}))
    return ScorerInfo(
        config, info.backbone, info.state, info.words_version, scorer_id, own_text=text is not None
    )


def read_info(path: Path) -> ScorerInfo:
    """The header alone, without the numbers. Raises `BadModelFile`."""
    return _read(path, with_tensors=False)[0]


def load_scorer(path: Path, backbone: str | None = None) -> tuple[Scorer, ScorerInfo]:
    """The scorer in evaluation mode on the CPU. Raises `BadModelFile` for anything that is not one of ours.

    With `backbone` given, a scorer for other features is refused too.
    """
    info, tensors = _read(path, with_tensors=True)
    if backbone is not None and info.backbone != backbone:
        raise BadModelFile(
            f"The scorer {path.name} belongs to another picture model.",
            "Choose the preset that it was trained with, or train a scorer for this one.",
            f"made for {info.backbone}, asked for {backbone}",
        )
    scorer = build_scorer(info.config)
    tensors = {name: value for name, value in tensors.items() if not name.startswith(_TEXT)}
    wanted = {name: (value.shape, value.dtype) for name, value in scorer.state_dict().items()}
    found = {name: (value.shape, value.dtype) for name, value in tensors.items()}
    if wanted != found:
        differ = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        raise BadModelFile(
            f"The scorer {path.name} does not fit its own description.", _AGAIN, ", ".join(differ)
        )
    scorer.load_state_dict(tensors)
    return scorer.eval(), info


def load_text(path: Path) -> dict[str, Tensor]:
    """The text tower inside a scorer file, by the names of the backbone's state; empty where it has none of its own.

    Raises `BadModelFile`.
    """
    tensors = _read(path, with_tensors=True)[1]
    return {name.removeprefix(_TEXT): value for name, value in tensors.items() if name.startswith(_TEXT)}


def _read(path: Path, with_tensors: bool) -> tuple[ScorerInfo, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(_HEADER)
            tensors = {name: file.get_tensor(name) for name in file.keys()} if with_tensors else {}  # noqa: SIM118
    except FileNotFoundError as error:
        raise BadModelFile(f"There is no scorer at {path}.", _AGAIN) from error
    except (SafetensorError, OSError) as error:
        raise BadModelFile(f"The scorer {path.name} is damaged or incomplete.", _AGAIN, str(error)) from error
    if header is None:
        raise BadModelFile(f"{path.name} is not an M2HF scorer.", _AGAIN)
    info, about = _parse(path, header)
    if with_tensors and _digest(about, tensors) != info.scorer_id:
        raise BadModelFile(f"The scorer {path.name} is damaged: its numbers have changed.", _AGAIN)
    return info, tensors


def _parse(path: Path, header: str) -> tuple[ScorerInfo, dict[str, Any]]:
    try:
        values = json.loads(header)
        version = int(values.pop("format"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _nonsense(path, error) from error
    if version > FORMAT:
        raise BadModelFile(
            f"The scorer {path.name} was made by a newer version of this program.",
            "Update the program, or export the scorer from this version.",
            f"format {version}, known up to {FORMAT}",
        )
    try:
        scorer_id = values.pop("scorer_id")
        backbone, state, words_version = values["backbone"], values["state"], values["words_version"]
        config, own_text = M2HFConfig.from_json(values["config"]), bool(values.get("own_text", False))
        info = ScorerInfo(config, backbone, state, words_version, scorer_id, own_text)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _nonsense(path, error) from error
    return info, values


def _nonsense(path: Path, error: Exception) -> BadModelFile:
    return BadModelFile(f"The description inside {path.name} makes no sense.", _AGAIN, repr(error))


def _digest(about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """16 hexadecimal digits over the description and every number."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tuple(tensors[name].shape)} {tensors[name].dtype}".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
