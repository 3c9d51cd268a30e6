"""How a worker hands its result over: one safetensors file written aside, renamed when complete.

The supervisor reads it, commits, and deletes it. A file that is there is whole; a worker that dies leaves at most
a nameless remainder, which the next start sweeps away.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from m2hf_core.aside import write_aside
from m2hf_core.ingest.video import Extraction, Heard
from m2hf_core.records import Feature, Line, MediaInfo, SubtitleTrack, Transcript, Word


def write_staged(extraction: Extraction, target: Path) -> None:
    """Write `extraction` to `target`, atomically and with its data on the disk first. Raises `OSError`."""
    tensors: dict[str, np.ndarray] = {}
    keys = sorted(extraction.features)
    for number, key in enumerate(keys):
        feature = extraction.features[key]
        tensors[f"{number}.values"] = np.ascontiguousarray(feature.values, np.float16)
        tensors[f"{number}.start_s"] = np.ascontiguousarray(feature.start_s, np.float64)
        tensors[f"{number}.end_s"] = np.ascontiguousarray(feature.end_s, np.float64)
    info = asdict(extraction.info) | {"path": os.fsencode(extraction.info.path).hex()}
    header = {
        "features": keys,
        "info": info,
        "heard": [asdict(heard) for heard in extraction.heard],
        "asked": extraction.asked,
        "noun_mode": extraction.noun_mode,
        "noun_version": extraction.noun_version,
        "seconds": extraction.seconds,
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    write_aside(target, save(tensors, metadata={"extraction": json.dumps(header)}))


def read_staged(target: Path) -> Extraction:
    """Raises ValueError when the file is not one of ours."""
    try:
        with safe_open(target, "numpy") as file:
            header: dict[str, Any] = json.loads((file.metadata() or {})["extraction"])
            features = {
                key: Feature(
                    file.get_tensor(f"{number}.values"),
                    file.get_tensor(f"{number}.start_s"),
                    file.get_tensor(f"{number}.end_s"),
                )
                for number, key in enumerate(header["features"])
            }
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{target} is not a finished extraction: {error}") from error
    return Extraction(
        info=_info(header["info"]),
        features=features,
        heard=tuple(_heard(entry) for entry in header["heard"]),
        asked=tuple(header["asked"]),
        noun_mode=header["noun_mode"],
        noun_version=header["noun_version"],
        seconds=header["seconds"],
    )


def _info(fields: dict[str, Any]) -> MediaInfo:
    tracks = tuple(SubtitleTrack(**track) for track in fields["subtitles"])
    path = Path(os.fsdecode(bytes.fromhex(fields["path"])))
    return MediaInfo(**(fields | {"path": path, "subtitles": tracks}))


def _heard(entry: dict[str, Any]) -> Heard:
    said = entry["transcript"]
    lines = tuple(
        Line(**(line | {"words": tuple(Word(**word) for word in line["words"])})) for line in said["lines"]
    )
    nouns = tuple(tuple(line) for line in entry["nouns"])
    return Heard(Transcript(said["source"], said["language"], lines), nouns)
