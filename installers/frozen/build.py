"""Freezes the program and wraps it for one system: `python installers/frozen/build.py deb`.

Run by the Python of an environment that has the program and PyInstaller. Standard library only; every wrapping is a
function of the frozen folder, so that the three systems ship the same files.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from debian import build_deb
from notices import write_notices

HERE = Path(__file__).resolve().parent
NAME = "m2hf-app"


def freeze(out: Path) -> Path:
    """Run PyInstaller over the recipe; returns the folder with both programs and all they need."""
    environment = {
        **os.environ,
        # hnswlib would be compiled for the builder's own processor and die on an older one.
        "HNSWLIB_NO_NATIVE": "1",
        # The same files give the same bytes.
        "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", "1735689600"),
        "PYTHONHASHSEED": "0",
    }
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN"]
    command += ["--distpath", str(out / "dist"), "--workpath", str(out / "work"), str(HERE / "m2hf-app.spec")]
    subprocess.run(command, env=environment, check=True)
    folder = out / "dist" / NAME
    write_notices(folder / "licences")
    return folder


def appimage(folder: Path, out: Path) -> Path:
    """Linux, one file that runs anywhere with FUSE. Needs `appimagetool` on the PATH."""
    root = out / "AppDir"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(folder, root / "opt" / NAME, symlinks=True)
    shutil.copy2(HERE / "linux" / "m2hf-app.desktop", root / "m2hf-app.desktop")
    shutil.copy2(HERE.parents[1] / "resources" / "icons" / "app.svg", root / "m2hf-app.svg")
    shutil.copy2(HERE / "linux" / "AppRun", root / "AppRun")
    (root / "AppRun").chmod(0o755)
    target = out / f"{NAME}-{version(NAME)}-{os.uname().machine}.AppImage"
    subprocess.run([_tool("appimagetool"), "--comp", "zstd", str(root), str(target)], check=True)
    return target


def inno(folder: Path, out: Path) -> Path:
    """Windows, a setup program. Needs Inno Setup's `iscc` on the PATH."""
    script = HERE / "windows" / "m2hf-app.iss"
    settings = {"Version": version(NAME), "Folder": str(folder), "Out": str(out)}
    options = [f"/D{name}={value}" for name, value in settings.items()]
    subprocess.run([_tool("iscc"), *options, str(script)], check=True)
    return out / f"{NAME}-{version(NAME)}-setup.exe"


def dmg(folder: Path, out: Path) -> Path:
    """macOS, an image with the application bundle beside a link to Applications."""
    bundle = folder.parent / "M2HF-app.app"
    target = out / f"{NAME}-{version(NAME)}.dmg"
    subprocess.run(["/bin/bash", str(HERE / "macos" / "make_dmg.sh"), str(bundle), str(target)], check=True)
    return target


def deb(folder: Path, out: Path) -> Path:
    """Debian and its relatives, zstd-compressed."""
    return build_deb(folder, out, HERE / "linux", HERE.parents[1] / "resources" / "icons" / "app.svg")


WRAPPERS: dict[str, Callable[[Path, Path], Path]] = {
    "deb": deb,
    "appimage": appimage,
    "inno": inno,
    "dmg": dmg,
}


def main(argv: Sequence[str] | None = None) -> int:
    """0 done; a missing tool or a failing step ends in its own message and 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("kind", choices=["folder", *WRAPPERS], help="folder: freeze only")
    parser.add_argument("--out", type=Path, default=Path("build"), help="where to build (default: ./build)")
    parser.add_argument("--keep", action="store_true", help="wrap the folder of the last build again")
    args = parser.parse_args(argv)
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    try:
        folder = out / "dist" / NAME if args.keep else freeze(out)
        target = folder if args.kind == "folder" else WRAPPERS[args.kind](folder, out)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        print(f"Not built: {error}", file=sys.stderr)
        return 1
    print(
        f"{target}: {_size(target) / 1e6:,.0f} MB, unpacked {_size(folder) / 1e6:,.0f} MB, "
        f"in {time.monotonic() - began:.0f} s"
    )
    return 0


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not on the PATH; README.md says where it comes from")
    return found


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())


if __name__ == "__main__":
    sys.exit(main())
