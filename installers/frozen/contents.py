"""Whose every file of a frozen folder is, by PyInstaller's own lists of what it took from where.

Only this knows what is really inside: the packages that were asked for are more (what is left out) and fewer (the
system's libraries, Python itself).
"""

from __future__ import annotations

import ast
import functools
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import distributions
from pathlib import Path

LISTS = ("COLLECT-00.toc", "PYZ-00.toc", "PKG-00.toc")
INTERNAL = "_internal"
OWN, PYTHON, SYSTEM = "the program", "Python", "system"


@dataclass(frozen=True, slots=True)
class Piece:
    """One file that was taken."""

    place: str
    """Where it lies below `_internal`; empty for a module, which lies in the archive inside the program."""
    source: Path
    kind: str
    """`OWN`, `PYTHON`, `SYSTEM` or `distribution`."""
    owner: str
    """The distribution's name; on Debian the package that a system's file belongs to, elsewhere the file's name."""


def pieces(work: Path, project: Path) -> list[Piece]:
    """Every file of the build whose lists lie in `work`. Raises `LookupError` for one that belongs to nobody."""
    found = []
    for place, source in _rows(work):
        kind, owner = _owner(Path(os.path.realpath(source)), work, project)
        found.append(Piece(place, Path(source), kind, owner))
    packages = _packages([piece.source for piece in found if piece.kind == SYSTEM])
    return [replace(p, owner=packages.get(os.path.realpath(p.source), p.owner)) for p in found]


def _rows(work: Path) -> Iterator[tuple[str, str]]:
    """(place, source) of files and modules; links, options and packages without a file are no files."""
    for name in LISTS:
        for place, source, kind in _triples(ast.literal_eval((work / name).read_text(encoding="utf-8"))):
            if kind in ("SYMLINK", "OPTION") or source in ("", "-"):
                continue
            yield ("" if kind in ("PYMODULE", "PYSOURCE", "PYZ", "EXECUTABLE") else place), source


def _triples(item: object) -> Iterator[tuple[str, str, str]]:
    if isinstance(item, tuple | list):
        if len(item) >= 3 and all(isinstance(part, str) for part in item[:3]) and len(item) <= 4:
            yield item[0], item[1], item[2]
            return
        for part in item:
            yield from _triples(part)


@functools.cache
def _owners() -> dict[str, str]:
    """Every file of every distribution here -> the distribution's name."""
    found = {}
    for one in distributions():
        name, root = one.name, os.path.realpath(str(one.locate_file("")))  # each is read anew when asked for
        found.update({os.path.normpath(os.path.join(root, file)): name for file in one.files or ()})
    return found


def _owner(source: Path, work: Path, project: Path) -> tuple[str, str]:
    name = _owners().get(str(source))
    if name is not None:
        return ("distribution", name) if name != "m2hf-app" else (OWN, OWN)
    packages = Path(os.path.realpath(sysconfig.get_path("purelib")))
    if source.is_relative_to(packages):
        raise LookupError(f"no distribution says that {source} is its own")
    if source.is_relative_to(work):
        return OWN, OWN  # the archive and the programs that were just made
    if source.is_relative_to(project):
        return OWN, OWN
    if source.is_relative_to(os.path.realpath(sys.base_prefix)):
        return PYTHON, PYTHON
    return SYSTEM, source.name


def _packages(sources: list[Path]) -> dict[str, str]:
    """Debian's names of the packages that these files came with; empty where there is no dpkg."""
    paths = sorted({os.path.realpath(source) for source in sources})
    if not paths or not Path("/usr/bin/dpkg").is_file():
        return {}
    # A merged /usr: dpkg knows some libraries by the place that they had before.
    asked = [path for one in paths for path in (one, one.removeprefix("/usr"))]
    done = subprocess.run(["/usr/bin/dpkg", "-S", *asked], capture_output=True, text=True, check=False)
    found = {}
    for line in done.stdout.splitlines():
        package, _, path = line.rpartition(": ")
        found[path if path in paths else f"/usr{path}"] = package.partition(":")[0]
    if missing := [path for path in paths if path not in found]:
        raise LookupError(f"no package says that these are its own: {', '.join(missing)}")
    return found
