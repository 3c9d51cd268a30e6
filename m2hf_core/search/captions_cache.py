"""What encoding a caption costs is paid once: vectors and nouns of texts, kept on disk beside the library.

A cache is a folder of segments that are never changed: the digests of its texts, and a payload with a row for each.
Segments are written aside and renamed, the digests last, so a reader meets whole ones only and two programs may add
at once (a text that both encode is merely there twice). Everything here can be deleted; it is made again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from m2hf_core.aside import cannot_write, sweep, write_aside
from m2hf_core.index.vectors import unit_rows
from m2hf_core.progress import Progress

FloatArray = npt.NDArray[np.float32]
Encode = Callable[[Sequence[str]], FloatArray]
"""Texts -> [n, d]; need not be normalised."""
Nouns = Callable[[str], frozenset[str]]
Payload = TypeVar("Payload")

BATCH = 64
"""Texts between two looks at whether to stop."""
SEGMENT = 4096
"""Texts after which what was made is safe on disk."""
PRODUCT_ROWS = 2048
"""Rows that are float32 at once while comparing: 4 MB at width 512, which stay near the processor."""
DIGEST = 16
A_DAY_S = 86_400.0
READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


def digest_of_text(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST).digest()


class BankVectors:
    """Unit vectors of M texts as float16 in memory-mapped blocks."""

    def __init__(self, blocks: Sequence[npt.NDArray[np.float16]], rows: npt.NDArray[np.int64]) -> None:
        """`rows` [M]: the row of each text in the blocks laid end to end."""
        self._blocks, self._rows = blocks, rows

    def __len__(self) -> int:
        return len(self._rows)

    def scores(self, vectors: FloatArray) -> FloatArray:
        """Inner products of B vectors [B, d] with every text: [B, M]."""
        query = torch.from_numpy(np.ascontiguousarray(vectors.T, np.float32))
        products = torch.empty(sum(map(len, self._blocks)), len(vectors))
        wide = torch.empty(PRODUCT_ROWS, len(query))
        done = 0
        for block in self._blocks:
            for start in range(0, len(block), PRODUCT_ROWS):
                # torch widens float16 several times as fast as numpy does.
                narrow = torch.from_numpy(block[start : start + PRODUCT_ROWS])
                rows = wide[: len(narrow)].copy_(narrow)
                torch.mm(rows, query, out=products[done : done + len(rows)])
                done += len(rows)
        scores: FloatArray = products.numpy().T.take(self._rows, axis=1)
        return scores


class VectorCache:
    """Vectors of texts by one text tower; `folder` belongs to that tower alone (`cache_folder`)."""

    def __init__(self, folder: Path) -> None:
        self._segments = _Segments(folder, "vectors.npy", _save_array, _map_array)

    def vectors(self, texts: Sequence[str], encode: Encode, progress: Progress) -> BankVectors:
        """Vectors of M texts; what is not there yet is encoded and kept. Raises `Interrupted`; full segments stay."""

        def make(batch: Sequence[str]) -> npt.NDArray[np.float16]:
            return unit_rows(encode(batch)).astype(np.float16)

        blocks, rows = self._segments.filled(texts, make, np.concatenate, "encode captions", progress)
        return BankVectors(blocks, rows)


class NounCache:
    """Noun sets of texts by one way to find nouns; `folder` belongs to that way alone."""

    def __init__(self, folder: Path) -> None:
        self._segments = _Segments(folder, "nouns.json", _save_lines, _read_lines)

    def nouns(self, texts: Sequence[str], find: Nouns, progress: Progress) -> list[frozenset[str]]:
        """The noun set of each text; what is not there yet is found and kept."""

        def make(batch: Sequence[str]) -> list[str]:
            return [" ".join(sorted(find(text))) for text in batch]

        def join(parts: Sequence[list[str]]) -> list[str]:
            return [line for part in parts for line in part]

        parts, rows = self._segments.filled(texts, make, join, "find nouns", progress)
        lines = join(parts)
        # Bank texts repeat few nouns, so equal sets are shared rather than built again.
        sets = {line: frozenset(line.split()) for line in set(lines)}
        return [sets[lines[row]] for row in rows.tolist()]


def cache_folder(data: Path, fingerprint: str) -> Path:
    """Where the texts of one tower, or of one way to find nouns, are kept."""
    return data / "captions" / hashlib.blake2b(fingerprint.encode(), digest_size=8).hexdigest()


class _Segments(Generic[Payload]):
    """`NAME.keys.npy` with digests [n, 16] beside `NAME.<ending>` with n rows.

    Segments are never merged: a thousand small ones cost a tenth of a second, and merging would take files away
    from under another reader.
    """

    def __init__(
        self,
        folder: Path,
        ending: str,
        save: Callable[[BinaryIO, Payload], None],
        load: Callable[[Path, int], Payload],
    ) -> None:
        self._folder, self._ending, self._save, self._load = folder, ending, save, load

    def filled(
        self,
        texts: Sequence[str],
        make: Callable[[Sequence[str]], Payload],
        join: Callable[[Sequence[Payload]], Payload],
        stage: str,
        progress: Progress,
    ) -> tuple[list[Payload], npt.NDArray[np.int64]]:
        """All payloads, and the row [M] of each text in them laid end to end; missing texts are made and kept."""
        keys = [digest_of_text(text) for text in texts]
        payloads, place, rows = self._read()
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in place}
        if missing:
            progress.start(stage, len(missing), "captions")
            # Texts of a length together: what is encoded at once is as long as the longest of it. The longest go
            # first, so that the time left is not promised too short.
            for chunk in _chunks(sorted(missing, key=lambda key: -len(missing[key])), SEGMENT):
                parts = []
                for batch in _chunks(chunk, BATCH):
                    parts.append(make([missing[key] for key in batch]))
                    progress.advance(len(batch))
                payload = join(parts)
                self._keep(chunk, payload)
                payloads.append(payload)
                place |= zip(chunk, range(rows, rows + len(chunk)), strict=True)
                rows += len(chunk)
        return payloads, np.asarray([place[key] for key in keys], np.int64)

    def _read(self) -> tuple[list[Payload], dict[bytes, int], int]:
        """The payloads, where each text's row is in them laid end to end, and how many rows there are."""
        payloads: list[Payload] = []
        place: dict[bytes, int] = {}
        row = 0
        for path in sorted(self._folder.glob("*.keys.npy")):
            payload_path = path.with_name(path.name.replace("keys.npy", self._ending))
            if not payload_path.exists():
                continue  # keys of another kind of payload in the same folder
            try:
                keys = np.load(path).tobytes()
                payloads.append(self._load(payload_path, len(keys) // DIGEST))
            except (ValueError, EOFError, OSError):
                # Damaged by a crash of the machine, or the disk: it is only a cache, so its texts are made again.
                path.unlink(missing_ok=True)
                continue
            for start in range(0, len(keys), DIGEST):
                place[keys[start : start + DIGEST]] = row
                row += 1
        return payloads, place, row

    def _keep(self, keys: Sequence[bytes], payload: Payload) -> None:
        name = uuid.uuid4().hex
        digests = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, DIGEST)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            sweep(self._folder, A_DAY_S)  # another program may add at this moment
            write_aside(self._folder / f"{name}.{self._ending}", lambda file: self._save(file, payload))
            write_aside(self._folder / f"{name}.keys.npy", lambda file: _save_array(file, digests))
        except OSError as error:
            if error.errno in READ_ONLY:
                return  # a library that may only be read is searched all the same, paying each time
            raise cannot_write(error, self._folder) from error


def _chunks(items: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _save_array(file: BinaryIO, values: npt.NDArray[np.generic]) -> None:
    np.save(file, values, allow_pickle=False)


def _map_array(path: Path, rows: int) -> npt.NDArray[np.float16]:
    # Copy on write, as torch wants to be allowed to write; nothing does.
    block: npt.NDArray[np.float16] = np.load(path, mmap_mode="c", allow_pickle=False)
    if block.dtype != np.float16 or block.ndim != 2 or len(block) != rows:
        raise ValueError(f"{path.name} does not hold {rows} vectors")
    return block


def _save_lines(file: BinaryIO, lines: list[str]) -> None:
    file.write(json.dumps(lines, ensure_ascii=False).encode())


def _read_lines(path: Path, rows: int) -> list[str]:
    lines = json.loads(path.read_text("utf-8"))
    if not isinstance(lines, list) or len(lines) != rows:
        raise ValueError(f"{path.name} does not hold {rows} noun sets")
    return lines
