"""One's own data set: a JSONL or CSV file with a line per caption or per clip."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from m2hf_core.errors import KnownError
from m2hf_core.training.data.annotations import AnnotatedClip, Annotations
from m2hf_core.training.data.dataset import SPLITS

FORM = (
    "A line has `video` (a path, from the file's folder), `caption` or `captions`, "
    "and if wanted `split` (train, val, test), `start` and `end` in seconds."
)


def read_manifest(path: Path) -> Annotations:
    """Lines of the same video and times are one clip with all their captions. Raises `KnownError` naming the line."""
    if not path.is_file():
        raise KnownError(f"There is no file {path}.", FORM)
    if path.suffix.lower() not in (".jsonl", ".csv"):
        raise KnownError(f"{path.name} is neither .jsonl nor .csv.", FORM)
    gathered: dict[tuple[str, str, float | None, float | None], list[str]] = {}
    for number, row in _rows(path):
        key, captions = _clip(path, number, row)
        gathered.setdefault(key, []).extend(captions)
    splits: dict[str, list[AnnotatedClip]] = {}
    for (split, video, start_s, end_s), captions in gathered.items():
        span = "" if start_s is None else f"@{start_s:g}-{end_s:g}"
        clip = AnnotatedClip(video + span, video, tuple(captions), start_s, end_s)
        splits.setdefault(split, []).append(clip)
    if not splits:
        raise KnownError(f"{path} has no line.", FORM)
    ordered = {split: tuple(splits[split]) for split in SPLITS if split in splits}
    return Annotations(path.stem, ordered)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        if path.suffix.lower() == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                yield from enumerate(csv.DictReader(file), 2)
            return
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise KnownError(f"Line {number} of {path} is not JSON.", FORM, repr(error)) from error
            if not isinstance(row, dict):
                raise KnownError(f"Line {number} of {path} is no object.", FORM)
            yield number, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise KnownError(f"{path} cannot be read.", "", repr(error)) from error


def _clip(
    path: Path, number: int, row: dict[str, Any]
) -> tuple[tuple[str, str, float | None, float | None], list[str]]:
    where = f"Line {number} of {path.name}"
    video, split = row.get("video"), row.get("split") or "train"
    captions = row.get("captions") or row.get("caption")
    captions = [captions] if isinstance(captions, str) else captions
    if not isinstance(video, str) or not video:
        raise KnownError(f"{where} names no `video`.", FORM)
    if split not in SPLITS:
        raise KnownError(f"{where} names the split {split!r}.", FORM)
    if not isinstance(captions, list) or not all(isinstance(text, str) for text in captions):
        raise KnownError(f"{where} has no caption.", FORM)
    texts = [" ".join(text.split()) for text in captions if text.strip()]
    if not texts:
        raise KnownError(f"{where} has no caption.", FORM)
    start_s, end_s = (_seconds(where, row, name) for name in ("start", "end"))
    if (start_s is None) != (end_s is None) or (
        start_s is not None and end_s is not None and not start_s < end_s
    ):
        raise KnownError(f"{where} lasts from {start_s} to {end_s}.", FORM)
    return (split, video, start_s, end_s), texts


def _seconds(where: str, row: dict[str, Any], name: str) -> float | None:
    value = row.get(name)
    if value in (None, ""):
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError) as error:
        raise KnownError(f"{where} has {value!r} as `{name}`.", FORM) from error
    if not math.isfinite(seconds) or seconds < 0:
        raise KnownError(f"{where} has {value!r} as `{name}`.", FORM)
    return seconds
