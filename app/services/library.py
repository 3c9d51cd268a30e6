"""An opened library: its folder, settings, store and preset, and the text side of search, made when first needed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from m2hf_core.aside import sweep
from m2hf_core.config.paths import Paths, open_paths
from m2hf_core.config.settings import Settings
from m2hf_core.hub import Preset, get_preset, load_manifest, locate
from m2hf_core.store import Store, meta, open_store

A_DAY_S = 86_400.0
"""What a killed program left aside is removed when it is older."""
KINDS = ("clip", "vggish", "s3d", "speech")
"""What extraction covers, by the field's names; the preset says which network stands behind each."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the workers of a preset last offered: kind -> extractor fingerprint, and kind -> why it sleeps."""

    fingerprints: Mapping[str, str]
    asleep: Mapping[str, str]
    weights: Sequence[tuple[str, str, int, int]] = ()
    """What they were made of: id, path, size and time of change of every file of the preset that was here."""


@dataclass(frozen=True, slots=True)
class Library:
    """Handed to every operation. Close it through `open_library`."""

    paths: Paths
    settings: Settings
    store: Store
    preset: Preset

    @property
    def notices(self) -> list[str]:
        """What was repaired while opening, for the person."""
        return self.store.notices

    def offer(self, preset: Preset | None = None) -> Offer:
        """What is extracted under this preset (or another one); empty before the first `index`."""
        with self.store.library.reading() as session:
            stored = meta.get_value(session, _offer_key(preset or self.preset))
        document = json.loads(stored) if stored else {"fingerprints": {}, "asleep": {}, "weights": []}
        weights = [(name, path, size, mtime) for name, path, size, mtime in document["weights"]]
        return Offer(document["fingerprints"], document["asleep"], weights)

    def remember_offer(self, offer: Offer) -> None:
        """Note what the workers offer, so that searching need not load a network to know it."""
        document = json.dumps(asdict(offer), sort_keys=True)
        with self.store.library.writing() as session:
            meta.put_value(session, _offer_key(self.preset), document)


@contextmanager
def open_library(
    data_dir: Path | None, *, preset: str | None = None, mode: Literal["read", "write", "create"] = "read"
) -> Iterator[Library]:
    """Open the library in `data_dir` (None: the usual place). Raises `StoreError`, `UsageError`.

    `preset` overrides the setting. A missing library is an error that says how to make one, but for `create`.
    """
    paths = open_paths(data_dir)
    settings = Settings.load(paths)
    chosen = get_preset(str(settings.get("preset")) if preset is None else preset)
    read_only = mode == "read" or (mode == "write" and not paths.library_db.is_file())
    with open_store(paths, read_only=read_only) as store:
        if not store.read_only:
            _sweep(paths)
        yield Library(paths, settings, store, chosen)


def _sweep(paths: Paths) -> None:
    """Remove what programs that are gone left aside; staging, the index and the caches see to theirs."""
    import psutil  # takes its time, and a search, which only reads, never needs it

    def runs(number: int) -> bool:
        try:
            return bool(psutil.pid_exists(number))
        except OverflowError:  # no process has such a number
            return False

    for folder in (paths.data, paths.data / "scorers"):
        sweep(folder, A_DAY_S, runs)


def weights_here(preset: Preset) -> list[tuple[str, str, int, int]]:
    """The files of a preset that are on this machine, so that a changed one is noticed without reading it."""
    found = []
    for weight in load_manifest().files(preset):
        path = locate(weight)
        if path is not None:
            status = path.stat()
            found.append((weight.id, str(path), status.st_size, status.st_mtime_ns))
    return found


def _offer_key(preset: Preset) -> str:
    return f"offer:{preset.id}"
