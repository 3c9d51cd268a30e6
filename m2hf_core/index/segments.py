"""Arrays kept between two starts: immutable segments, tombstones, and one manifest that is replaced as a whole.

    <folder>/manifest.json            which segments count, what each file must hold, which rows are gone
    <folder>/seg-<name>/<array>.npy   never changed once written; mapped, not read, when opened

It is a cache. Whatever does not fit its manifest (missing, cut short, changed, of another key) is a
`DamagedSegments`, and whoever owns the truth builds again. A crash leaves the former manifest and perhaps a segment
that nobody names, which the next writing sweeps away.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from m2hf_core.aside import sweep, write_aside
from m2hf_core.index.vectors import IdArray

FORMAT = 1
MANIFEST = "manifest.json"
CHECKED_AT_OPENING = 8 << 20
"""Files up to these bytes are read through at each opening; larger ones by `verify`, since that would be felt."""

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]
BoolArray = npt.NDArray[np.bool_]


class DamagedSegments(Exception):  # noqa: N818 - a state of the cache, caught where it is built again
    """What is on disk is not what the manifest says; the text says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """One immutable group of items. `arrays` holds `ids` [n] and whatever else was given, mapped from disk."""

    name: str
    arrays: Arrays
    alive: BoolArray
    """[n] False for items that were removed since."""

    @property
    def ids(self) -> IdArray:
        return self.arrays["ids"]


class SegmentFolder:
    """The segments of one key. One writer at a time (the caller holds a lock); any number of readers."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.key = folder, key

    def open(self) -> list[Segment]:
        """Map everything. An absent manifest means no segments; raises `DamagedSegments`."""
        manifest = self._manifest()
        return [self._segment(entry) for entry in manifest["segments"]]

    def add(self, arrays: Arrays) -> None:
        """Write one more segment; `arrays["ids"]` [n] are new to this folder."""
        entry = self._write_segment(arrays)
        manifest = self._manifest()
        manifest["segments"].append(entry)
        self._replace(manifest)

    def remove(self, ids: Iterable[int]) -> None:
        """Mark items as gone; a segment of which nothing is left goes as a whole."""
        gone = np.fromiter(ids, np.int64)
        manifest, kept = self._manifest(), []
        for entry in manifest["segments"]:
            segment = self._segment(entry)
            dead = np.flatnonzero(~segment.alive | np.isin(segment.ids, gone))
            if len(dead) < len(segment.ids):
                kept.append({**entry, "removed": dead.tolist()})
        manifest["segments"] = kept
        self._replace(manifest)

    def vacant(self) -> frozenset[int]:
        """The marks of items that were looked at and of which there is nothing to keep."""
        return frozenset(self._manifest().get("vacant", ()))

    def put_vacant(self, marks: Iterable[int]) -> None:
        """Replace what `vacant` gives."""
        self._replace({**self._manifest(), "vacant": sorted(marks)})

    def merge(self, names: Sequence[str], join: Callable[[Sequence[Segment]], Arrays]) -> None:
        """Put one segment in the place of several; `join` copies what is alive."""
        manifest = self._manifest()
        chosen = [entry for entry in manifest["segments"] if entry["name"] in set(names)]
        entry = self._write_segment(join([self._segment(entry) for entry in chosen]))
        kept = [entry for entry in manifest["segments"] if entry not in chosen]
        self._replace({**manifest, "segments": [*kept, entry]})

    def discard(self) -> None:
        """Forget every segment, whatever state the folder is in."""
        (self.folder / MANIFEST).unlink(missing_ok=True)
        for folder in self.folder.glob("seg-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def verify(self) -> list[str]:
        """Read everything through; sentences on what is not as it was written."""
        found = []
        for entry in self._manifest()["segments"]:
            for name, about in entry["arrays"].items():
                path = self._path(entry["name"], name)
                if _crc(path) != about["crc"]:
                    found.append(f"{path.name} of {entry['name']} has changed since it was written")
        return found

    def size_bytes(self) -> int:
        return sum(
            about["bytes"] for entry in self._manifest()["segments"] for about in entry["arrays"].values()
        )

    def _path(self, segment: str, array: str) -> Path:
        return self.folder / f"seg-{segment}" / f"{array}.npy"

    def _manifest(self) -> dict[str, Any]:
        try:
            content = (self.folder / MANIFEST).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return {"format": FORMAT, "key": self.key, "segments": []}
        except OSError as error:
            raise DamagedSegments(f"its manifest cannot be read ({error.strerror})") from error
        try:
            document = json.loads(content)  # a ValueError too where it is no text at all
            body = document["manifest"]
            if document["crc"] != zlib.crc32(_canonical(body)) or body["format"] != FORMAT:
                raise DamagedSegments("its manifest is damaged or of another version")
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedSegments("its manifest is damaged") from error
        if body["key"] != self.key:
            raise DamagedSegments("it was made for another scorer or other features")
        found: dict[str, Any] = body
        return found

    def _replace(self, manifest: dict[str, Any]) -> None:
        body = {**manifest, "format": FORMAT, "key": self.key}
        self.folder.mkdir(parents=True, exist_ok=True)
        sweep(self.folder)
        content = json.dumps({"crc": zlib.crc32(_canonical(body)), "manifest": body})
        write_aside(self.folder / MANIFEST, content.encode())
        named = {f"seg-{entry['name']}" for entry in body["segments"]}
        for folder in self.folder.glob("seg-*"):
            if folder.name not in named:
                # On Windows a segment that some reader has mapped stays until a later sweep.
                shutil.rmtree(folder, ignore_errors=True)

    def _write_segment(self, arrays: Arrays) -> dict[str, Any]:
        ids = arrays["ids"]
        if len(np.unique(ids)) != len(ids):
            raise ValueError("an id stands twice in one segment")
        name = uuid.uuid4().hex[:12]
        folder = self.folder / f"seg-{name}"
        folder.mkdir(parents=True)
        about = {}
        for array, values in arrays.items():
            path = self._path(name, array)
            with path.open("wb") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            about[array] = {"crc": _crc(path), "bytes": path.stat().st_size}
        return {"name": name, "items": len(ids), "arrays": about, "removed": []}

    def _segment(self, entry: Mapping[str, Any]) -> Segment:
        arrays = {name: self._mapped(entry["name"], name, about) for name, about in entry["arrays"].items()}
        alive = np.ones(len(arrays["ids"]), np.bool_)
        if len(alive) != entry["items"]:
            raise DamagedSegments("a segment does not hold as many items as it should")
        alive[entry["removed"]] = False
        return Segment(entry["name"], arrays, alive)

    def _mapped(self, segment: str, array: str, about: Mapping[str, int]) -> Array:
        path = self._path(segment, array)
        try:
            if path.stat().st_size != about["bytes"]:
                raise DamagedSegments(f"{array} is not as long as it was written")
            if about["bytes"] <= CHECKED_AT_OPENING and _crc(path) != about["crc"]:
                raise DamagedSegments(f"{array} has changed since it was written")
            # An empty file cannot be mapped; the header alone says that there is nothing in it.
            found = np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError:
            found = np.load(path, allow_pickle=False)
        except OSError as error:
            raise DamagedSegments(f"{array} cannot be read ({error.strerror})") from error
        mapped: Array = found
        return mapped


def _canonical(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True).encode()


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            crc = zlib.crc32(block, crc)
    return crc
