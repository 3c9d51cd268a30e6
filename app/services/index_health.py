"""Reads the search index through. Opening it looks at small files only, since reading gigabytes would be felt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from m2hf_core.errors import KnownError
from m2hf_core.index import DamagedSegments, SegmentFolder
from m2hf_core.store.lock import FileLock


@dataclass(frozen=True, slots=True)
class IndexHealth:
    """What was read, and what of it is not as it was written."""

    megabytes: int
    wrong: tuple[str, ...]
    """Sentences; what they tell of has been taken away unless `in_use`."""
    in_use: bool = False
    """Another program was writing to something that is wrong, so it was left."""


def check_index(index: Path) -> IndexHealth:
    """Read what every scorer keeps below `index`; take away what is damaged, which the next search makes again."""
    size, wrong, in_use = 0, list[str](), False
    for manifest in sorted(index.glob("*/manifest.json")):
        folder = SegmentFolder(manifest.parent, manifest.parent.name)
        found = _wrong(folder)
        if not found:
            size += folder.size_bytes()
            continue
        wrong.extend(found)
        lock = FileLock(folder.folder / "lock")
        try:
            lock.acquire()
            try:
                folder.discard()
            finally:
                lock.release()
        except KnownError:
            in_use = True
    return IndexHealth(size >> 20, tuple(wrong), in_use)


def _wrong(folder: SegmentFolder) -> list[str]:
    try:
        folder.open()
        return [f"A part of the search index is damaged: {sentence}." for sentence in folder.verify()]
    except DamagedSegments as damage:
        return [f"A part of the search index is of no use: {damage}."]
    except OSError as error:
        return [f"The search index cannot be read ({error.strerror})."]
