"""Features of many clips in files that can be written in any number of sittings and read without a database.

A shard holds up to `SHARD_CLIPS` clips of one split as extracted: every row with its times, nothing packed, so that any
number of frames can be taken from it later. It is written aside and renamed, so a shard that is there is whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from m2hf_core.aside import write_file
from m2hf_core.errors import KnownError
from m2hf_core.records import Feature
from m2hf_core.training.data.dataset import ClipInfo
from m2hf_core.training.data.packing import RawClip

SHARD_CLIPS = 64
GOES_ON = "Free some space and run the same command again: it goes on where it stopped."
FORMAT = 1
"""Raised when a file of this version could be misread by the one before."""
_HEADER = "m2hf-clips"
_SENSES = ("frames", "audio", "motion")


@dataclass(frozen=True, slots=True, eq=False)
class SpokenClip:
    """A clip with the nouns heard in it."""

    raw: RawClip
    nouns: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    clips: tuple[SpokenClip, ...]
    left_out: dict[str, str]
    """Clip -> why it could not be read."""


def write_shard(path: Path, shard: Shard) -> None:
    """Raises `DiskFull`; a former file of that name stays whole until the new one is."""
    tensors: dict[str, np.ndarray] = {}
    rows: list[dict[str, Any]] = []
    for number, clip in enumerate(shard.clips):
        rows.append({"info": asdict(clip.raw.info), "nouns": sorted(clip.nouns), "senses": []})
        for sense in _SENSES:
            feature: Feature | None = getattr(clip.raw, sense)
            if feature is not None:
                rows[-1]["senses"].append(sense)
                tensors[f"{number}.{sense}"] = np.ascontiguousarray(feature.values, np.float16)
                tensors[f"{number}.{sense}.times"] = np.stack([feature.start_s, feature.end_s])
    header = json.dumps({"format": FORMAT, "clips": rows, "left_out": shard.left_out})
    write_file(path, save(tensors, metadata={_HEADER: header}), GOES_ON)


def read_shard(path: Path) -> Shard:
    """Raises `KnownError` for a file that is none of ours, damaged or newer."""
    with _opened(path) as (file, header):
        clips = tuple(_clip(file, number, row) for number, row in enumerate(header["clips"]))
        return Shard(clips, header["left_out"])


def clip_count(path: Path) -> int:
    """How many clips a shard holds, without reading them."""
    with _opened(path) as (_, header):
        return len(header["clips"])


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    try:
        with safe_open(path, "numpy") as file:
            header = json.loads((file.metadata() or {})[_HEADER])
            if header["format"] > FORMAT:
                raise KnownError(f"{path.name} was made by a newer version of this program.", "Update it.")
            yield file, header
    except (SafetensorError, OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise KnownError(
            f"{path} is damaged or no file of prepared clips.",
            "Delete it and run the same preparation again: it makes only what is missing.",
            repr(error),
        ) from error


def _clip(file: Any, number: int, row: dict[str, Any]) -> SpokenClip:
    found: dict[str, Feature | None] = dict.fromkeys(_SENSES)
    for sense in row["senses"]:
        start_s, end_s = file.get_tensor(f"{number}.{sense}.times")
        found[sense] = Feature(file.get_tensor(f"{number}.{sense}"), start_s, end_s)
    info = dict(row["info"])
    info["spoken"] = tuple((text, language) for text, language in info["spoken"])
    frames = found["frames"]
    if frames is None:
        raise KeyError("frames")
    raw = RawClip(ClipInfo(**info), frames, found["audio"], found["motion"])
    return SpokenClip(raw, frozenset(row["nouns"]))


class ShardWriter:
    """Writes the clips of one split in order; clips that an earlier sitting finished are not asked for again.

    A finished clip lies in `pending/` by itself until its shard is complete, so a stop loses one clip at most.
    """

    def __init__(self, folder: Path, split: str, clip_ids: Sequence[str]) -> None:
        self._folder, self._split, self._ids = folder, split, tuple(clip_ids)
        self._numbers = {clip_id: number for number, clip_id in enumerate(self._ids)}
        if len(self._numbers) != len(self._ids):
            raise ValueError(f"a clip occurs twice in {split}")

    def missing(self) -> list[str]:
        """The clips that are still to be made, in order."""
        left = []
        for shard, ids in enumerate(self._shards()):
            if not self._shard_path(shard).is_file():
                left += [clip_id for clip_id in ids if not self._pending_path(clip_id).is_file()]
        return left

    def put(self, clip: SpokenClip) -> None:
        self._put(clip.raw.info.clip_id, Shard((clip,), {}))

    def leave_out(self, clip_id: str, reason: str) -> None:
        """Note that this clip cannot be had."""
        self._put(clip_id, Shard((), {clip_id: reason}))

    def _put(self, clip_id: str, single: Shard) -> None:
        write_shard(self._pending_path(clip_id), single)
        number = self._numbers[clip_id] // SHARD_CLIPS
        paths = [self._pending_path(one) for one in self._shards()[number]]
        if all(path.is_file() for path in paths):
            parts = [read_shard(path) for path in paths]
            clips = tuple(clip for part in parts for clip in part.clips)
            left_out = {key: reason for part in parts for key, reason in part.left_out.items()}
            write_shard(self._shard_path(number), Shard(clips, left_out))
            for path in paths:
                path.unlink()

    def paths(self) -> list[Path]:
        """The shards, complete or not yet there."""
        return [self._shard_path(number) for number in range(len(self._shards()))]

    def _shards(self) -> list[tuple[str, ...]]:
        return [self._ids[start : start + SHARD_CLIPS] for start in range(0, len(self._ids), SHARD_CLIPS)]

    def _shard_path(self, number: int) -> Path:
        return self._folder / "clips" / f"{self._split}-{number:05d}.safetensors"

    def _pending_path(self, clip_id: str) -> Path:
        return self._folder / "pending" / f"{self._split}-{self._numbers[clip_id]:07d}.safetensors"
