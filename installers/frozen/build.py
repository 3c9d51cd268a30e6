"""Freezes the program and wraps it for one system: `python installers/frozen/build.py deb`.

Run by the Python of an environment that has the program, its shipped extras and PyInstaller. Every wrapping is a
function of the frozen folder, so that the three systems ship the same files.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from importlib.metadata import distributions, version
from pathlib import Path

from contents import Piece, pieces
from debian import build_deb
from notices import write_notices
from packaging.requirements import Requirement

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NAME = "m2hf-app"
SHIPPED_EXTRAS = ("gui", "ann", "ocr", "export", "serve")


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
    return out / "dist" / NAME


def unmet() -> list[str]:
    """Requirements of the program and of what is shipped with it that this environment does not meet."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(text for extra in SHIPPED_EXTRAS for text in extras[extra])]
    found = {re.sub(r"[-_.]+", "-", one.name).lower(): one.version for one in distributions()}

    def met(requirement: Requirement) -> bool:
        if requirement.marker is not None and not requirement.marker.evaluate():
            return True
        here = found.get(re.sub(r"[-_.]+", "-", requirement.name).lower())
        return here is not None and requirement.specifier.contains(here, prereleases=True)

    return [text for text in wanted if not met(Requirement(text))]


def appimage(folder: Path, out: Path) -> Path:
    """Linux, one file that runs anywhere with FUSE. Needs `appimagetool` on the PATH."""
    root = out / "AppDir"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(folder, root / "opt" / NAME, symlinks=True)
    shutil.copy2(HERE / "linux" / "m2hf-app.desktop", root / "m2hf-app.desktop")
    shutil.copy2(ROOT / "resources" / "icons" / "app.svg", root / "m2hf-app.svg")
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
    shutil.copytree(folder / "licences", bundle / "Contents" / "Resources" / "licences", dirs_exist_ok=True)
    target = out / f"{NAME}-{version(NAME)}.dmg"
    subprocess.run(["/bin/bash", str(HERE / "macos" / "make_dmg.sh"), str(bundle), str(target)], check=True)
    return target


def deb(folder: Path, out: Path) -> Path:
    """Debian and its relatives, zstd-compressed."""
    return build_deb(folder, out, HERE / "linux", ROOT / "resources" / "icons" / "app.svg", listed(out))


def listed(out: Path) -> list[Piece]:
    """What the last freeze took, and whose it is."""
    return pieces(out / "work" / NAME, ROOT)


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
    if not args.keep and (missing := unmet()):
        print(
            f"Not built: this environment lacks {', '.join(missing)}; README.md says how to make one.",
            file=sys.stderr,
        )
        return 1
    try:
        folder = out / "dist" / NAME if args.keep else freeze(out)
        if not args.keep:
            write_notices(folder / "licences", folder, listed(out))
        target = folder if args.kind == "folder" else WRAPPERS[args.kind](folder, out)
    except (subprocess.CalledProcessError, FileNotFoundError, LookupError) as error:
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
