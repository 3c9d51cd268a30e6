"""What a frozen build owes to others: the licence list, every licence text that came along, and an SBOM.

The whole is GPL-3.0-or-later, since PyAV's wheel brings x264 and x265; our own source stays Apache-2.0.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

PROGRAM = "m2hf-app"
SHIPPED_EXTRAS = ("gui", "ann")
GPL_TEXTS = (Path("/usr/share/common-licenses/GPL-3"), Path(__file__).with_name("GPL-3"))
COPYRIGHT = """\
M2HF-app, frozen build

The source of M2HF-app is licensed under the Apache License 2.0 (file LICENSE).
This build contains x264 and x265, which PyAV brings and which are licensed under
the GNU General Public License, version 2 or later. The build as a whole is
therefore distributed under the GNU General Public License, version 3 or later
(file GPL-3, beside this one). Qt is used under the LGPL 3: its libraries lie in
this folder as separate files and may be replaced.

Every other component keeps its own licence: see COMPONENTS.md and the folders
beside it. sbom.json lists the same for machines (CycloneDX 1.5).
"""


def shipped() -> list[Distribution]:
    """The program's distribution and everything that it requires here, by name."""
    found: dict[str, Distribution] = {}
    waiting = [(PROGRAM, extra) for extra in ("", *SHIPPED_EXTRAS)]
    seen = set(waiting)
    while waiting:
        name, extra = waiting.pop()
        this = distribution(name)
        found[_plain(name)] = this
        for text in this.requires or ():
            needed = Requirement(text)
            if needed.marker is not None and not needed.marker.evaluate({"extra": extra}):
                continue
            for wanted in (_plain(needed.name), ""), *((_plain(needed.name), e) for e in needed.extras):
                if wanted not in seen:
                    seen.add(wanted)
                    waiting.append(wanted)
    return [found[name] for name in sorted(found)]


def write_notices(target: Path) -> None:
    """Fill `target`. Raises `FileNotFoundError` where the GPL's text is not on the building machine."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    gpl = next((path for path in GPL_TEXTS if path.is_file()), None)
    if gpl is None:
        raise FileNotFoundError(f"the GPL's text is in none of {', '.join(map(str, GPL_TEXTS))}")
    shutil.copyfile(gpl, target / "GPL-3")
    shutil.copyfile(Path(__file__).resolve().parents[2] / "LICENSE", target / "LICENSE")
    (target / "COPYRIGHT").write_text(COPYRIGHT)
    components = shipped()
    for component in components:
        for number, text in enumerate(licence_files(component)):
            place = target / _plain(component.name) / f"{number:02}-{text.name}"
            place.parent.mkdir(exist_ok=True)
            shutil.copyfile(text, place)
    rows = [f"| {c.name} | {c.version} | {licence_of(c)} |" for c in components]
    (target / "COMPONENTS.md").write_text(
        "\n".join(["# Components", "", "| component | version | licence |", "|---|---|---|", *rows, ""])
    )
    (target / "sbom.json").write_text(json.dumps(sbom(components), indent=1))


def licence_of(component: Distribution) -> str:
    """What its metadata says: the expression, else the classifiers, else the first line of its licence field."""
    meta = component.metadata
    if expression := meta.get("License-Expression"):
        return str(expression)
    names = [
        c.rpartition("::")[2].strip() for c in meta.get_all("Classifier") or () if c.startswith("License ::")
    ]
    if names:
        return ", ".join(names)
    stated = str(meta.get("License") or "").strip().splitlines()
    return stated[0][:80] if stated else "not stated"


def licence_files(component: Distribution) -> Iterator[Path]:
    """Licence, copying and notice files of a distribution that are really there."""
    for file in component.files or ():
        if re.match(r"(licen[cs]e|copying|notice|authors)", file.name, re.IGNORECASE):
            place = Path(str(component.locate_file(file)))
            if place.is_file() and place.suffix not in {".py", ".pyc", ".so"}:
                yield place


def sbom(components: list[Distribution]) -> dict[str, Any]:
    """CycloneDX 1.5: a component per distribution, and one per shared library that a wheel brought along."""
    entries: list[dict[str, Any]] = []
    for component in components:
        purl = f"pkg:pypi/{_plain(component.name)}@{component.version}"
        entries.append(
            {
                "type": "library",
                "bom-ref": purl,
                "name": component.name,
                "version": component.version,
                "purl": purl,
                "licenses": [{"license": {"name": licence_of(component)}}],
            }
        )
        for library in _bundled(component):
            digest = hashlib.sha256(library.read_bytes()).hexdigest()
            entries.append(
                {
                    "type": "library",
                    "bom-ref": f"{purl}#{library.name}",
                    "name": library.name,
                    "hashes": [{"alg": "SHA-256", "content": digest}],
                }
            )
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": entries}


def _bundled(component: Distribution) -> Iterator[Path]:
    """Shared libraries in a wheel's `*.libs` folder: copies of other projects' work."""
    for file in component.files or ():
        if file.parts and file.parts[0].endswith(".libs") and ".so" in file.name:
            yield Path(str(component.locate_file(file)))


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
