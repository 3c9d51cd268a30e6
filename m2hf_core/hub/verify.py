"""Whether the weight files that are here are what they claim to be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from m2hf_core.errors import BadModelFile
from m2hf_core.hub.files import locate, sha256_of, with_stated
from m2hf_core.hub.manifest import WeightFile
from m2hf_core.progress import Progress

State = Literal["ok", "missing", "wrong", "unknown-digest"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be said about one weight file."""

    id: str
    state: State
    path: Path | None
    sentence: str


def verify(weights: Iterable[WeightFile], progress: Progress) -> list[Finding]:
    """Read every file whole and compare; a file that is not here is a finding, not an error."""
    found = [(with_stated(weight), locate(weight)) for weight in weights]
    total = sum(path.stat().st_size for _, path in found if path is not None)
    progress.start("verify", total, "bytes")
    return [judge(weight, path, progress) for weight, path in found]


def judge(weight: WeightFile, path: Path | None, progress: Progress | None = None) -> Finding:
    """Compare one file with what is known of it."""
    if path is None:
        return Finding(weight.id, "missing", None, f"{weight.purpose} is not on this machine.")
    size = path.stat().st_size
    if weight.size_bytes is not None and size != weight.size_bytes:
        sentence = (
            f"{path.name} has {size:,} bytes instead of {weight.size_bytes:,}: it is cut off or another file."
        )
        return Finding(weight.id, "wrong", path, sentence)
    try:
        digest = sha256_of(path, progress)
    except OSError as error:
        raise BadModelFile(f"{path.name} cannot be read.", error.strerror or "", str(path)) from error
    return judge_digest(weight, path, digest)


def judge_digest(weight: WeightFile, path: Path, digest: str) -> Finding:
    """The same with the SHA-256 of the file already at hand."""
    if weight.sha256 is None:
        sentence = (
            f"{path.name} is here, but its digest is unknown to this program, so nothing is known of its content "
            f"(SHA-256 {digest})."
        )
        return Finding(weight.id, "unknown-digest", path, sentence)
    if not weight.accepts(digest):
        sentence = f"{path.name} is not the published file: its SHA-256 begins with {digest[:8]}."
        return Finding(weight.id, "wrong", path, sentence)
    whole = len(weight.sha256) == 64
    return Finding(
        weight.id, "ok", path, f"{path.name} is the published file{'' if whole else ' (8 digits known)'}."
    )
