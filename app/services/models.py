"""Weights as the person sees them: which presets there are, what each costs, what is here and whether it is genuine."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from m2hf_core.config.paths import expanded
from m2hf_core.hub import WeightFile, get_preset, load_manifest, locate, missing
from m2hf_core.hub.carry import import_folder
from m2hf_core.hub.place import megabytes
from m2hf_core.hub.prepare import plan, prepare
from m2hf_core.hub.verify import Finding, verify
from m2hf_core.progress import Progress


def list_presets() -> list[dict[str, object]]:
    """Every preset with its state: complete, partly here, or not here."""
    manifest = load_manifest()
    found: list[dict[str, object]] = []
    for preset in manifest.presets.values():
        files = manifest.files(preset)
        absent = {weight.id for weight in missing(preset)}
        sizes = [_size(weight) for weight in files]
        known = megabytes(sum(size for size in sizes if size is not None))
        found.append(
            {
                "id": preset.id,
                "state": _state(files, absent),
                "size": f"{known} or more" if None in sizes else known,
                "licence": ", ".join(dict.fromkeys(weight.licence for weight in files)),
                "title": preset.title,
                "sentence": preset.sentence,
                "languages": preset.languages,
                "files": [
                    {
                        "id": weight.id,
                        "state": "missing" if weight.id in absent else "here",
                        "purpose": weight.purpose,
                        "size_bytes": weight.size_bytes,
                        "sha256": weight.sha256,
                        "licence": weight.licence,
                        "url": weight.url,
                    }
                    for weight in files
                ],
            }
        )
    return found


def _state(files: Sequence[WeightFile], absent: Collection[str]) -> str:
    """Files that come with a Python package are no news: they do not make a preset partly here."""
    fetched = [weight for weight in files if weight.package is None]
    if not absent:
        return "complete"
    return "not here" if all(weight.id in absent for weight in fetched) else "partly here"


def _size(weight: WeightFile) -> int | None:
    """What the manifest says, else the size of the file that is here."""
    path = locate(weight) if weight.size_bytes is None else None
    return weight.size_bytes if path is None else path.stat().st_size


def describe_preparation(preset_id: str) -> tuple[str, ...]:
    """What preparing would fetch, from whom, under which licence, in lines for the person."""
    return plan(get_preset(preset_id)).lines


def prepare_preset(preset_id: str, progress: Progress) -> list[dict[str, object]]:
    """Download what is missing; the only operation that uses the network."""
    return _documents(prepare(get_preset(preset_id), progress))


def import_weights(folder: Path, progress: Progress) -> list[dict[str, object]]:
    """Take weights carried here by hand."""
    return _documents(import_folder(expanded(folder), progress))


def verify_weights(preset_id: str | None, progress: Progress) -> list[dict[str, object]]:
    """Check the digests of one preset's files, or of every file that is on this machine."""
    manifest = load_manifest()
    if preset_id is not None:
        return _documents(verify(manifest.files(get_preset(preset_id)), progress))
    findings = verify(manifest.weights.values(), progress)
    return _documents([finding for finding in findings if finding.state != "missing"])


def _documents(findings: Sequence[Finding]) -> list[dict[str, object]]:
    return [
        {
            "id": finding.id,
            "state": finding.state,
            "path": str(finding.path) if finding.path else None,
            "sentence": finding.sentence,
        }
        for finding in findings
    ]
