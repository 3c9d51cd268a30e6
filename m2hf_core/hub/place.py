"""Puts files into the models folder: room first, aside, checked, then renamed, so that no half file is ever found."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import IO

from m2hf_core.aside import explained
from m2hf_core.config.paths import models_dir
from m2hf_core.errors import DiskFull
from m2hf_core.hub.files import CHUNK_BYTES
from m2hf_core.hub.manifest import WeightFile
from m2hf_core.progress import Progress

GOES_ON = "Make room and start again; what is there already is kept."
SPARE_BYTES = 200 << 20
"""Left free: a machine without any room left behaves strangely everywhere."""


def target_of(weight: WeightFile) -> Path:
    """Where a file belongs."""
    return models_dir() / weight.file


def part_of(target: Path) -> Path:
    """Where it grows until it is whole and checked."""
    return target.with_name(target.name + ".part")


def need_room(needed_bytes: int) -> None:
    """Raise `DiskFull` unless that much fits and some is left."""
    folder = models_dir()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < needed_bytes + SPARE_BYTES:
        raise DiskFull(
            f"The weights need {megabytes(needed_bytes)}, but only {megabytes(free)} are free in {folder}.",
            "Make room, or set M2HF_MODELS_DIR to a folder on another disk.",
        )


def stream(source: IO[bytes], target: Path, progress: Progress, mode: str = "wb") -> str:
    """Copy a stream into a file; the SHA-256 of what was copied. Raises `Interrupted` between chunks.

    Only the writing is explained: what goes wrong with `source` is its own affair.
    """
    digest = hashlib.sha256()
    with explained(target, GOES_ON):
        target.parent.mkdir(parents=True, exist_ok=True)
        sink = target.open(mode)
    with sink:
        while chunk := source.read(CHUNK_BYTES):
            with explained(target, GOES_ON):
                sink.write(chunk)
                sink.flush()  # else a full disk would be noticed only when closing
            digest.update(chunk)
            progress.advance(len(chunk))
    return digest.hexdigest()


def megabytes(size: int | None) -> str:
    """A size for people."""
    if size is None:
        return "an unknown size"
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
