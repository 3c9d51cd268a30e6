"""What a frozen build owes to others: the licence list, every licence text that came along, and an SBOM.

All of it is made from what really lies in the folder. The whole is GPL-3.0-or-later, since PyAV's wheel brings x264
and x265; our own source stays Apache-2.0.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distribution, version
from pathlib import Path
from typing import Any

from contents import INTERNAL, OWN, PYTHON, SYSTEM, Piece

PROGRAM = "m2hf-app"
COPYRIGHT = """\
M2HF-app, frozen build
Copyright 2026 The M2HF-app authors

The source of M2HF-app is licensed under the Apache License 2.0 (file LICENSE).
This build contains x264 and x265, which PyAV brings and which are licensed under
the GNU General Public License, version 2 or later. The build as a whole is
therefore distributed under the GNU General Public License, version 3 or later
(file GPL-3, beside this one). Qt is used under the LGPL 3: its libraries lie in
this folder as separate files and may be replaced.

NVIDIA's CUDA libraries, where they are inside, are no free software: they come
under NVIDIA's own licence, which is in the folders nvidia-*.

Every other component keeps its own licence: see COMPONENTS.md and the folders
beside it. sbom.json lists the same for machines (CycloneDX 1.5).
"""


@dataclass(frozen=True, slots=True)
class Component:
    """Something of somebody else that is inside."""

    name: str
    version: str
    licence: str
    purl: str
    texts: tuple[Path, ...]
    files: list[Path] = field(default_factory=list)
    """Its files in the folder; none when it consists of modules in the archive only."""


def components(folder: Path, pieces: Sequence[Piece]) -> list[Component]:
    """What is inside `folder`, by name. Raises `LookupError` for a file that no list of the build names."""
    inside = folder / INTERNAL
    found: dict[tuple[str, str], Component] = {}
    named = set()
    for piece in pieces:
        file = inside / piece.place
        if piece.place and not file.exists():
            continue  # taken out again for this wrapping
        named.add(file)
        if piece.kind == OWN:
            continue
        key = (piece.kind, piece.owner)
        if key not in found:
            found[key] = _component(piece)
        if piece.place:
            found[key].files.append(file)
    strangers = [
        path for path in inside.rglob("*") if path.is_file() and not path.is_symlink() and path not in named
    ]
    if strangers:
        raise LookupError(f"no list of the build names {strangers[0]}")
    return sorted(found.values(), key=lambda component: component.name.lower())


def write_notices(target: Path, folder: Path, pieces: Sequence[Piece]) -> None:
    """Fill `target` with what the contents of `folder` ask for."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copyfile(Path(__file__).with_name("GPL-3"), target / "GPL-3")
    shutil.copyfile(Path(__file__).resolve().parents[2] / "LICENSE", target / "LICENSE")
    (target / "COPYRIGHT").write_text(COPYRIGHT)
    listed = components(folder, pieces)
    for component in listed:
        for number, text in enumerate(component.texts):
            place = target / component.name / f"{number:02}-{text.name}"
            place.parent.mkdir(exist_ok=True)
            shutil.copyfile(text, place)
    rows = [f"| {c.name} | {c.version} | {c.licence} |" for c in listed]
    (target / "COMPONENTS.md").write_text(
        "\n".join(["# Components", "", "| component | version | licence |", "|---|---|---|", *rows, ""]),
        encoding="utf-8",
    )
    (target / "sbom.json").write_text(json.dumps(sbom(listed), indent=1), encoding="utf-8")


def sbom(listed: Sequence[Component]) -> dict[str, Any]:
    """CycloneDX 1.5: an entry per component, and one per shared library that a wheel brought along."""
    entries: list[dict[str, Any]] = []
    for component in listed:
        entries.append(
            {
                "type": "library",
                "bom-ref": component.purl,
                "name": component.name,
                "version": component.version,
                "purl": component.purl,
                "licenses": [{"license": {"name": component.licence}}],
            }
        )
        for library in _brought_along(component):
            digest = hashlib.sha256(library.read_bytes()).hexdigest()
            entries.append(
                {
                    "type": "library",
                    "bom-ref": f"{component.purl}#{library.parent.name}/{library.name}",
                    "name": library.name,
                    "hashes": [{"alg": "SHA-256", "content": digest}],
                }
            )
    program = {"type": "application", "name": PROGRAM, "version": version(PROGRAM)}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": program},
        "components": entries,
    }


def licence_of(one: Distribution) -> str:
    """What its metadata says: the expression, else the classifiers, else the first line of its licence field."""
    meta = one.metadata
    if expression := meta.get("License-Expression"):
        return str(expression)
    names = [
        c.rpartition("::")[2].strip() for c in meta.get_all("Classifier") or () if c.startswith("License ::")
    ]
    if names:
        return ", ".join(names)
    stated = str(meta.get("License") or "").strip().splitlines()
    return stated[0][:80] if stated else "see its licence file" if any(licence_files(one)) else "not stated"


def licence_files(one: Distribution) -> Iterator[Path]:
    """Licence, copying and notice files of a distribution that are really there."""
    for file in one.files or ():
        if re.match(r"(licen[cs]e|copying|notice|authors)", file.name, re.IGNORECASE):
            place = Path(str(one.locate_file(file)))
            if place.is_file() and place.suffix not in {".py", ".pyc", ".so"}:
                yield place


def _component(piece: Piece) -> Component:
    if piece.kind == PYTHON:
        number = platform.python_version()
        library = Path(sys.base_prefix, "lib", f"python3.{sys.version_info.minor}")
        texts = tuple(
            text for text in (library / "LICENSE.txt", Path(sys.base_prefix, "LICENSE.txt")) if text.is_file()
        )
        return Component("Python", number, "PSF-2.0", f"pkg:generic/python@{number}", texts)
    if piece.kind == SYSTEM:
        return _system_component(piece.owner)
    one = distribution(piece.owner)
    plain = re.sub(r"[-_.]+", "-", one.name).lower()
    purl = f"pkg:pypi/{plain}@{one.version}"
    return Component(plain, one.version, licence_of(one), purl, tuple(licence_files(one)))


def _system_component(name: str) -> Component:
    """A library of the building machine's system, which a wrapping without a package manager takes along."""
    text = Path("/usr/share/doc", name, "copyright")
    if not text.is_file():
        return Component(name, "", "the system's", f"pkg:generic/{name}", ())
    asked = ["/usr/bin/dpkg-query", "--show", "--showformat=${Version}\n", name]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    number = done.stdout.splitlines()[0]
    return Component(name, number, "see its copyright file", f"pkg:deb/debian/{name}@{number}", (text,))


def _brought_along(component: Component) -> Iterator[Path]:
    """Shared libraries in a wheel's `*.libs` folder: copies of other projects' work."""
    yield from (f for f in component.files if f.parent.name.endswith(".libs") and ".so" in f.name)
