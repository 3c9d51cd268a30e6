"""Where weight files are on this machine, and what identifies what they compute; never the network."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
from dataclasses import replace
from pathlib import Path

from m2hf_core.config.paths import models_dir, resources_dir
from m2hf_core.errors import BadModelFile, ModelsMissing
from m2hf_core.hub.manifest import Preset, WeightFile, load_manifest
from m2hf_core.progress import Progress

CHUNK_BYTES = 1 << 20
DIGEST_CACHE = "digests.json"
EXTRAS = {"rapidocr": "ocr"}
"""Packages that only an extra of this program installs."""


def locate(weight: WeightFile) -> Path | None:
    """The file if it is here: shipped, in its package, in the models folder, or in the Hugging Face cache."""
    if weight.package is not None:
        return _in_package(weight.package, weight.file)
    if weight.shipped:
        own = resources_dir() / weight.file
        return own if own.is_file() else None
    own = models_dir() / weight.file
    if own.is_file():
        return own
    return _in_hub_cache(weight)


def with_stated(weight: WeightFile) -> WeightFile:
    """The file with the digest that its publisher stated when it was fetched, where the manifest has none."""
    if weight.sha256 is not None:
        return weight
    try:
        found = re.match("[0-9a-f]{64} ", statement_of(weight).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return weight  # brought by hand, or not here at all
    return weight if found is None else replace(weight, sha256=found[0].strip())


def statement_of(weight: WeightFile) -> Path:
    """Where that digest is kept, in the form that `sha256sum --check` reads."""
    target = models_dir() / weight.file
    return target.with_name(f"{target.name}.sha256")


def missing(preset: Preset) -> tuple[WeightFile, ...]:
    """The files of a preset that are not on this machine."""
    return tuple(weight for weight in load_manifest().files(preset) if locate(weight) is None)


def require(weight_id: str, preset: Preset) -> Path:
    """The path of a file that `preset` needs, else `ModelsMissing` with both ways to get it."""
    weight = load_manifest().weights[weight_id]
    path = locate(weight)
    if path is None and weight.package is not None:
        raise ModelsMissing(
            f"{weight.purpose} comes with the package {weight.package}, which is not installed.",
            _how_to_get(weight),
        )
    if path is None and weight.shipped:
        raise ModelsMissing(
            f"The shipped file {weight.file} is missing.", "This installation is incomplete; install again."
        )
    if path is None:
        raise ModelsMissing(
            f"{weight.purpose} of the preset {preset.id!r} is not on this machine yet.",
            f"Fetch it with `m2hf-app models prepare {preset.id}`, "
            "or bring the file by hand with `m2hf-app models import FOLDER`.",
            detail=f"{weight.id}: {models_dir() / weight.file}",
        )
    return path


def require_genuine(weight_id: str, preset: Preset) -> Path:
    """`require`, and the file is the published one: for libraries that would fetch what they do not like."""
    require(weight_id, preset)
    return genuine(load_manifest().weights[weight_id])


def genuine(weight: WeightFile) -> Path:
    """The path of a file that is the published one.

    A file whose digest nobody knows passes, as it does everywhere: a person brought it. Raises `ModelsMissing` (also
    for a package that brings another file than the known one), `BadModelFile`.
    """
    weight, path = with_stated(weight), locate(weight)
    if path is None:
        raise ModelsMissing(f"{weight.purpose} is not on this machine.", _how_to_get(weight))
    if weight.sha256 is None or weight.accepts(digest_of(path)):
        return path
    if weight.package is not None:
        raise ModelsMissing(
            f"The installed {weight.package} brings another {path.name} than the one that is known here.",
            _how_to_get(weight),
            detail=str(path),
        )
    raise BadModelFile(
        f"{path.name} is not the published file, so it is not used.",
        "Check it with `m2hf-app models verify`, then prepare or bring it again.",
        detail=str(path),
    )


def sha256_of(path: Path, progress: Progress | None = None) -> str:
    """Stream a file through SHA-256, advancing `progress` by bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            if progress is not None:
                progress.advance(len(chunk))
    return digest.hexdigest()


def digest_of(path: Path) -> str:
    """SHA-256 of a file that is about to be used, remembered by size and time of change.

    Hashing the 2.7 GB of the largest preset takes seconds, which nobody wants at each start.
    """
    resolved = path.resolve()
    status = resolved.stat()
    stamp = [status.st_size, status.st_mtime_ns]
    known = _read_digests()
    entry = known.get(str(resolved))
    if entry is not None and entry[:2] == stamp:
        return str(entry[2])
    digest = sha256_of(resolved)
    _write_digests({**known, str(resolved): [*stamp, digest]})
    return digest


def extractor_fingerprint(kind: str, name: str, digest: str, version: int) -> str:
    """What made a feature: `clip:demo:3f2a91c0:1` is kind, model, digest of the weights, preprocessing.

    Features with equal fingerprints may be compared; anything else must not be.
    """
    if any(":" in part for part in (kind, name, digest)):
        raise ValueError("a part of a fingerprint may not contain a colon")
    return f"{kind}:{name}:{digest[:8]}:{version}"


def _in_hub_cache(weight: WeightFile) -> Path | None:
    if weight.hub is None:
        return None
    from huggingface_hub import constants

    if not Path(constants.HF_HUB_CACHE, f"models--{weight.hub.repo.replace('/', '--')}").is_dir():
        return None  # known without the rest, which takes as long to import as a search may wait: 0.2 s
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(weight.hub.repo, weight.hub.file, revision=weight.hub.revision)
    return Path(found) if isinstance(found, str) else None


def _in_package(package: str, file: str) -> Path | None:
    """A file inside an installed package, found without importing it."""
    found = importlib.util.find_spec(package)
    folders = found.submodule_search_locations if found is not None else None
    paths = [Path(folder) / file for folder in folders or ()]
    return next((path for path in paths if path.is_file()), None)


def _how_to_get(weight: WeightFile) -> str:
    if weight.package is None:
        return "Fetch it with `m2hf-app models prepare PRESET`."
    extra = EXTRAS.get(weight.package)
    return f'Install it with: pip install "m2hf-app[{extra}]"' if extra else "Install the program again."


def _read_digests() -> dict[str, list[int | str]]:
    path = models_dir() / DIGEST_CACHE
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # a cache: absent or damaged only means that files are hashed again
    return known if isinstance(known, dict) else {}


def _write_digests(known: dict[str, list[int | str]]) -> None:
    folder = models_dir()
    aside = folder / f"{DIGEST_CACHE}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(known), encoding="utf-8")
        aside.replace(folder / DIGEST_CACHE)
    except OSError:
        return  # a models folder that may only be read costs hashing again, nothing else
