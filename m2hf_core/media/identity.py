"""Which video is this? Identity by content, so that a renamed or moved file is still the same video."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from m2hf_core.media import reasons
from m2hf_core.progress import Progress

_EDGE_BYTES = 64 << 10
_BLOCK_BYTES = 16 << 10
_BLOCKS = 16
_CHUNK_BYTES = 1 << 20
_SAMPLED_BYTES = 2 * _EDGE_BYTES + _BLOCKS * _BLOCK_BYTES


def fingerprint_file(path: Path | str) -> str:
    """40 hexadecimal digits from the size, the first and last 64 KiB and 16 blocks of 16 KiB evenly between.

    Reads at most 384 KiB of whatever size of file; smaller files are read whole. Two files that differ only
    between the samples share it: before anything is treated as a duplicate, compare `full_hash`. Raises
    `UnreadableMedia`.
    """
    path = Path(path)
    try:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.blake2b(size.to_bytes(8, "big"), digest_size=20, person=b"m2hf-sampled")
            for start, length in _samples(size):
                digest.update(_read(file, start, length))
            return digest.hexdigest()
    except OSError as error:
        raise reasons.explain(path, error) from error


def full_hash(path: Path | str, progress: Progress | None = None) -> str:
    """40 hexadecimal digits over every byte. `progress` is only asked whether to go on."""
    path = Path(path)
    digest = hashlib.blake2b(digest_size=20, person=b"m2hf-full")
    try:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                if progress is not None:
                    progress.check()
    except OSError as error:
        raise reasons.explain(path, error) from error
    return digest.hexdigest()


def _samples(size: int) -> list[tuple[int, int]]:
    """(start, length) of what is hashed, ascending and without overlap."""
    if size <= _SAMPLED_BYTES:
        return [(0, size)]
    room = size - 2 * _EDGE_BYTES - _BLOCK_BYTES
    middle = [(_EDGE_BYTES + room * i // (_BLOCKS - 1), _BLOCK_BYTES) for i in range(_BLOCKS)]
    return [(0, _EDGE_BYTES), *middle, (size - _EDGE_BYTES, _EDGE_BYTES)]


def _read(file: BinaryIO, start: int, length: int) -> bytes:
    """All bytes of a stretch; network drives may deliver them in several parts."""
    file.seek(start)
    parts = []
    while length > 0 and (part := file.read(length)):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
