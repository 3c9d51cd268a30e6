"""Makes a .deb of the frozen folder with dpkg-deb: program, menu entry, icon, file types, manual, licences.

The system's libraries that PyInstaller copied are taken out again and required by their packages' names, so that
they are repaired and updated with the system, and the driver of the screen meets the C++ library that it wants.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from contents import INTERNAL, SYSTEM, Piece
from notices import write_notices

NAME = "m2hf-app"
# Asked for by name while the program runs, so no file says that it needs them.
LOADED_BY_NAME = ("libegl1", "libgl1")
# Need the C library and each other, and NVIDIA's driver, which is no package of Debian's main part.
NOT_ASKED = ("nvidia/", "torch/lib/libcaffe2_nvrtc.so", "torch/lib/libtorch_cuda")
CONTROL = """\
Package: {name}
Version: {version}
Architecture: {architecture}
Maintainer: The M2HF-app authors <m2hf-app@localhost>
Installed-Size: {kilobytes}
Depends: {needs}
Section: video
Priority: optional
Description: search your own videos by what is seen, heard, done and said
 Type a sentence and moments appear, each saying which sense found it: the
 picture, the sound, the movement or the words. Everything happens on this
 machine; no weights are inside but those of the demo.
"""


def build_deb(folder: Path, out: Path, extras: Path, icon: Path, pieces: Sequence[Piece]) -> Path:
    """Wrap `folder` as /opt/m2hf-app; `extras` holds the menu entry and its companions. Needs Debian's dpkg-dev."""
    root = out / "deb"
    shutil.rmtree(root, ignore_errors=True)
    program = root / "opt" / NAME
    # Hard links: the folder is several gigabytes, and dpkg-deb only reads it.
    shutil.copytree(folder, program, symlinks=True, copy_function=os.link)
    for piece in pieces:
        if piece.kind == SYSTEM and piece.place:
            (program / INTERNAL / piece.place).unlink(missing_ok=True)
    write_notices(program / "licences", program, pieces)
    share = root / "usr" / "share"
    _put(extras / "m2hf-app.desktop", share / "applications" / "m2hf-app.desktop")
    _put(extras / "m2hf-app.metainfo.xml", share / "metainfo" / "m2hf-app.metainfo.xml")
    _put(icon, share / "icons" / "hicolor" / "scalable" / "apps" / "m2hf-app.svg")
    _put(program / "licences" / "COPYRIGHT", share / "doc" / NAME / "copyright")
    _pack(extras.parents[2] / "CHANGELOG.md", share / "doc" / NAME / "NEWS.gz")
    _pack(extras / "m2hf-app.1", share / "man" / "man1" / "m2hf-app.1.gz")
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "usr" / "bin" / NAME).symlink_to(f"/opt/{NAME}/{NAME}")
    architecture = _say("dpkg", "--print-architecture")
    files = sorted(file for file in root.rglob("*") if not file.is_dir())
    control = root / "DEBIAN" / "control"
    control.parent.mkdir()
    control.write_text(
        CONTROL.format(
            name=NAME,
            version=version(NAME),
            architecture=architecture,
            kilobytes=sum(file.lstat().st_size for file in files) // 1024,
            needs=", ".join(needs(program)),
        )
    )
    _write_digests(root, files)
    target = out / f"{NAME}_{version(NAME)}_{architecture}.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Zzstd", "-z10", "--build", str(root), str(target)]
    subprocess.run(command, check=True)
    shutil.rmtree(root)
    return target


def needs(program: Path) -> list[str]:
    """Debian's packages, with versions, that the libraries below `program` need and do not bring along."""
    inside = program / INTERNAL
    libraries = [
        file
        for file in sorted(inside.rglob("*.so*"))
        if file.is_file()
        and not file.is_symlink()
        and not str(file.relative_to(inside)).startswith(NOT_ASKED)
    ]
    command = ["dpkg-shlibdeps", "-O", "--ignore-missing-info", "--warnings=0"]
    command += [f"-l{place}" for place in sorted({str(file.parent) for file in libraries})]
    with tempfile.TemporaryDirectory() as aside:
        (Path(aside) / "debian").mkdir()
        (Path(aside) / "debian" / "control").write_text(
            f"Source: {NAME}\n\nPackage: {NAME}\nArchitecture: any\n"
        )
        command += [str(program / NAME), *map(str, libraries)]
        done = subprocess.run(command, cwd=aside, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        # It says a line for each library and each place; only what stopped it matters.
        errors = {line for line in done.stderr.splitlines() if "cannot find library" in line}
        raise LookupError("\n".join(sorted(errors)) or done.stderr)
    said = done.stdout
    found = said.strip().removeprefix("shlibs:Depends=").split(", ")
    known = {text.split()[0] for text in found}
    return sorted({*found, *(name for name in LOADED_BY_NAME if name not in known)})


def _write_digests(root: Path, files: Sequence[Path]) -> None:
    """What `dpkg --verify` compares with."""
    with (root / "DEBIAN" / "md5sums").open("w", encoding="utf-8") as sums:
        for file in files:
            if not file.is_symlink():
                with file.open("rb") as content:
                    digest = hashlib.file_digest(
                        content, lambda: hashlib.md5(usedforsecurity=False)
                    ).hexdigest()
                sums.write(f"{digest}  {file.relative_to(root)}\n")


def _say(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _put(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o644)


def _pack(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(source.read_bytes(), mtime=0))
