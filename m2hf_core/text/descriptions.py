"""What describes a model: open_clip's own files, read without loading that package, which takes seconds."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from m2hf_core.errors import BadModelFile


def package_folder() -> Path:
    """Where open_clip is installed."""
    spec = importlib.util.find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("open_clip is not installed", name="open_clip")
    return Path(spec.submodule_search_locations[0])


def architecture_config(architecture: str) -> dict[str, Any]:
    """`model_cfg` of an architecture that open_clip knows, else `ValueError`."""
    path = package_folder() / "model_configs" / f"{architecture}.json"
    if not path.is_file():
        raise ValueError(f"open_clip knows no architecture called {architecture}")
    return dict(json.loads(path.read_text(encoding="utf-8")))


def read_description(path: Path) -> dict[str, Any]:
    """Read an `open_clip_config.json`; a merges file that it names is looked for beside it."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        description = raw if "model_cfg" in raw else {"model_cfg": raw, "preprocess_cfg": {}}
        options = description["model_cfg"]["text_cfg"].get("tokenizer_kwargs") or {}
    except (ValueError, TypeError, KeyError) as error:
        raise BadModelFile(
            f"{path.name} does not describe a model.", "Bring the file again.", detail=repr(error)
        ) from error
    if "bpe_path" in options:
        options["bpe_path"] = str(path.parent / options["bpe_path"])
    return dict(description)
