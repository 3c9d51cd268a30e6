"""Makes a .deb of the frozen folder with dpkg-deb: program, menu entry, icon, file types, manual, licences."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

NAME = "m2hf-app"
# What Qt, OpenCV and torch link to and do not bring along, by Debian's names.
NEEDS = (
    "libc6 (>= 2.31)",
    "libegl1",
    "libgl1",
    "libxkbcommon0",
    "libdbus-1-3",
    "libfontconfig1",
    "libxcb-cursor0",
)
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


def build_deb(folder: Path, out: Path, extras: Path, icon: Path) -> Path:
    """Wrap `folder` as /opt/m2hf-app; `extras` holds the menu entry and its companions. Needs `dpkg-deb`."""
    root = out / "deb"
    shutil.rmtree(root, ignore_errors=True)
    # Hard links: the folder is several gigabytes, and dpkg-deb only reads it.
    shutil.copytree(folder, root / "opt" / NAME, symlinks=True, copy_function=os.link)
    share = root / "usr" / "share"
    _put(extras / "m2hf-app.desktop", share / "applications" / "m2hf-app.desktop")
    _put(extras / "m2hf-app.metainfo.xml", share / "metainfo" / "m2hf-app.metainfo.xml")
    _put(icon, share / "icons" / "hicolor" / "scalable" / "apps" / "m2hf-app.svg")
    _put(folder / "licences" / "COPYRIGHT", share / "doc" / NAME / "copyright")
    manual = share / "man" / "man1" / "m2hf-app.1.gz"
    manual.parent.mkdir(parents=True)
    manual.write_bytes(gzip.compress((extras / "m2hf-app.1").read_bytes(), mtime=0))
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "usr" / "bin" / NAME).symlink_to(f"/opt/{NAME}/{NAME}")
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    control = root / "DEBIAN" / "control"
    control.parent.mkdir()
    control.write_text(
        CONTROL.format(
            name=NAME,
            version=version(NAME),
            architecture=architecture,
            kilobytes=sum(file.lstat().st_size for file in root.rglob("*") if not file.is_dir()) // 1024,
            needs=", ".join(NEEDS),
        )
    )
    target = out / f"{NAME}_{version(NAME)}_{architecture}.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Zzstd", "-z10", "--build", str(root), str(target)]
    subprocess.run(command, check=True)
    shutil.rmtree(root)
    return target


def _put(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o644)
