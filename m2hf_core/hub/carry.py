"""`models import`: takes weights that were carried here by hand, for machines that never see a network."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from m2hf_core.aside import explained
from m2hf_core.errors import KnownError, UsageError
from m2hf_core.hub.files import sha256_of
from m2hf_core.hub.manifest import Manifest, WeightFile, load_manifest
from m2hf_core.hub.place import GOES_ON, need_room, part_of, stream, target_of
from m2hf_core.hub.prepare import unpack
from m2hf_core.hub.verify import Finding, judge_digest
from m2hf_core.progress import Progress

SUFFIXES = frozenset({".safetensors", ".pth", ".pt", ".bin"})
"""A file that may be a weight file under any name; others are looked at only if their name or size is known."""


def import_folder(folder: Path, progress: Progress, manifest: Manifest | None = None) -> list[Finding]:
    """Recognise files by their digest, whatever they are called, and copy them into the models folder.

    A file whose digest nobody knows is taken by its name: its own name in the manifest, or the publisher's name in
    a folder called after the publisher's repository. One that bears a known name but has another content is
    reported as `wrong` and left where it is. Raises `UsageError`, `DiskFull`, `Interrupted`.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder.", "Give the folder that holds the files you brought.")
    known = [
        weight
        for weight in (manifest or load_manifest()).weights.values()
        if not weight.shipped and weight.package is None
    ]
    candidates = [path for path in sorted(_files(folder)) if _may_be_weight(path, known)]
    total = sum(path.stat().st_size for path in candidates)
    progress.start("look", total, "bytes")
    findings: list[Finding] = []
    for path in candidates:
        findings += _take(path, known, progress)
    return findings


def _take(path: Path, known: list[WeightFile], progress: Progress) -> list[Finding]:
    bundled = [weight for weight in known if weight.member and path.name == _address_name(weight)]
    if bundled and zipfile.is_zipfile(path):
        return [unpack(path, weight, progress) for weight in bundled]
    try:
        digest = sha256_of(path, progress)
    except OSError as error:
        raise KnownError(f"{path} cannot be read.", f"{error.strerror}.") from error
    for weight in known:
        if weight.accepts(digest):
            return [_copy(path, weight, digest, progress)]
    named = [weight for weight in known if _bears_name_of(path, weight)]
    for weight in named:
        if weight.sha256 is None:
            return [_copy(path, weight, digest, progress)]
    return [judge_digest(weight, path, digest) for weight in named]


def _copy(path: Path, weight: WeightFile, digest: str, progress: Progress) -> Finding:
    target = target_of(weight)
    if target.exists() and target.stat().st_size == path.stat().st_size and sha256_of(target) == digest:
        return judge_digest(weight, target, digest)
    need_room(path.stat().st_size)
    part = part_of(target)
    progress.start(f"copy {weight.id}", path.stat().st_size, "bytes")
    with path.open("rb") as source:
        copied = stream(source, part, progress)
    if copied != digest:
        part.unlink()
        raise KnownError(
            f"{path} changed while it was copied.", "Wait until it is complete and import again."
        )
    with explained(target, GOES_ON):
        part.replace(target)
    return judge_digest(weight, target, digest)


def _files(folder: Path) -> Iterator[Path]:
    """Links count: a copy of the Hugging Face cache is made of them."""
    return (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".part"))


def _may_be_weight(path: Path, known: list[WeightFile]) -> bool:
    if path.suffix in SUFFIXES:
        return True
    size = path.stat().st_size
    return any(
        size == weight.size_bytes or path.name in (Path(weight.file).name, _address_name(weight))
        for weight in known
    )


def _bears_name_of(path: Path, weight: WeightFile) -> bool:
    if path.name == Path(weight.file).name and not _is_common_name(weight):
        return True
    if weight.hub is None or path.name != Path(weight.hub.file).name:
        return False
    owner, _, repository = weight.hub.repo.partition("/")
    return bool({repository, f"models--{owner}--{repository}"} & set(path.parts))


def _is_common_name(weight: WeightFile) -> bool:
    """`config.json` lies in every second folder; alone it names nothing."""
    return weight.hub is not None and Path(weight.file).name == Path(weight.hub.file).name


def _address_name(weight: WeightFile) -> str:
    return (weight.url or "").rsplit("/", 1)[-1]
