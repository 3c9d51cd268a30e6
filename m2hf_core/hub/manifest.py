"""What can be had: every weight file and every preset, read from one shipped manifest.

The manifest holds facts about other people's files (address, digest, size, licence), so it is data, not code,
and one place answers "what is this file and may I have it?".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from m2hf_core.config.paths import resources_dir
from m2hf_core.errors import UsageError

MANIFEST_NAME = "models.json"
DIGESTS_NAME = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class HubFile:
    """Where a file lies on the Hugging Face Hub; also how its local cache is searched."""

    repo: str
    file: str
    revision: str | None


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file that a preset needs."""

    id: str
    file: str
    """Path below the models folder, below the resources when `shipped`, or inside `package`."""
    purpose: str
    licence: str
    size_bytes: int | None
    """None where nobody has established it."""
    sha256: str | None
    """None where nobody has established it: then its publisher is asked, which needs an address with a revision.

    Eight digits are what PyTorch publishes, as part of the file's name: enough against accidents.
    """
    url: str | None
    member: str | None
    """The file inside the zip archive at `url`, where that is one; size and digest are the member's."""
    hub: HubFile | None
    shipped: bool
    package: str | None = None
    """The Python package that brings the file with it; such a file is never fetched, only compared."""

    def accepts(self, digest: str) -> bool:
        """Whether a SHA-256 is this file's; never where no digest is known."""
        return self.sha256 is not None and digest.startswith(self.sha256)


@dataclass(frozen=True, slots=True)
class Preset:
    """One choice of networks. Every branch names its files by weight id; None means it has none."""

    id: str
    title: str
    sentence: str
    architecture: str | None
    """A model name of open_clip; None when `config` brings its own."""
    pretrained: str | None
    """open_clip's tag, which says how frames are prepared for these weights."""
    languages: str
    """`en` or `many`: the languages whose queries the text tower understands."""
    clip: str
    config: str | None
    tokenizer: str | None
    audio: str | None
    motion: str | None
    speech: tuple[str, ...]
    nouns: tuple[str, ...]

    @property
    def weight_ids(self) -> tuple[str, ...]:
        """All files of the preset, the indispensable ones first."""
        return (
            *self.core_ids,
            *(name for name in (self.audio, self.motion) if name),
            *self.speech,
            *self.nouns,
        )

    @property
    def core_ids(self) -> tuple[str, ...]:
        """Without these there is no search by sight at all."""
        return tuple(name for name in (self.clip, self.config, self.tokenizer) if name)


@dataclass(frozen=True, slots=True)
class Manifest:
    presets: Mapping[str, Preset]
    weights: Mapping[str, WeightFile]
    reader: tuple[str, ...] = ()
    """Weight ids of the reader of text in pictures, the same for every preset."""

    def files(self, preset: Preset) -> tuple[WeightFile, ...]:
        """The files of a preset, each once, the indispensable ones first."""
        return tuple(self.weights[name] for name in dict.fromkeys(preset.weight_ids))


def load_manifest(path: Path | None = None) -> Manifest:
    """Read the shipped manifest, or another one for tests."""
    return _read(path or resources_dir() / MANIFEST_NAME)


def get_preset(preset_id: str, manifest: Manifest | None = None) -> Preset:
    """The preset with that id; `UsageError` names the known ones."""
    presets = (manifest or load_manifest()).presets
    if preset_id not in presets:
        raise UsageError(f"There is no preset called {preset_id!r}.", f"Known presets: {', '.join(presets)}.")
    return presets[preset_id]


@cache
def _read(path: Path) -> Manifest:
    raw = json.loads(path.read_text(encoding="utf-8"))
    weights = [_weight(entry, path.parent) for entry in raw["weights"]]
    presets = [_preset(entry) for entry in raw["presets"]]
    manifest = Manifest({p.id: p for p in presets}, {w.id: w for w in weights}, tuple(raw.get("reader", ())))
    for preset in presets:
        manifest.files(preset)  # a preset that names an unknown file is our own mistake: fail now, not later
    return manifest


def _weight(entry: dict[str, Any], resources: Path) -> WeightFile:
    hub = entry.get("hub")
    shipped = entry.get("shipped", False)
    return WeightFile(
        id=entry["id"],
        file=entry["file"],
        purpose=entry["purpose"],
        licence=entry["licence"],
        size_bytes=entry["size_bytes"],
        sha256=_shipped_digest(resources / entry["file"]) if shipped else entry["sha256"],
        url=entry["url"],
        member=entry["member"],
        hub=HubFile(hub["repo"], hub["file"], hub.get("revision")) if hub else None,
        shipped=shipped,
        package=entry.get("package"),
    )


def _preset(entry: dict[str, Any]) -> Preset:
    lists = {"speech": tuple(entry["speech"]), "nouns": tuple(entry["nouns"])}
    return Preset(**{**entry, **lists})


def _shipped_digest(path: Path) -> str | None:
    """Shipped models are trained here, so the command that trains them writes their digests beside them."""
    sums = path.parent / DIGESTS_NAME
    if not sums.is_file():
        return None
    for line in sums.read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        if name.strip() == path.name:
            return digest
    return None
