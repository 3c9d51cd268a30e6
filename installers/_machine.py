"""What this machine has and lacks: a compiler, a display, disk space, the system libraries that Qt loads."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from _voice import Stop, Voice, watch

# Libraries whose Debian package does not follow from their name (see `package_of`).
ODD_PACKAGES = {
    "libgio-2.0.so.0": "libglib2.0-0",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgmodule-2.0.so.0": "libglib2.0-0",
    "libgobject-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libbrotlidec.so.1": "libbrotli1",
    "libbrotlicommon.so.1": "libbrotli1",
    "libz.so.1": "zlib1g",
}
# The files of PySide6 whose libraries must be there, by what they are for.
QT_BASE = (
    "QtWidgets.abi3.so",
    "QtMultimedia.abi3.so",
    "QtSvg.abi3.so",
    "Qt/plugins/platforms/libqoffscreen.so",
)
QT_SOUND = ("Qt/plugins/multimedia/libffmpegmediaplugin.so",)
QT_X11 = ("Qt/plugins/platforms/libqxcb.so",)
QT_WAYLAND = ("Qt/plugins/platforms/libqwayland.so",)
QT_TRIAL = (
    "import PySide6.QtMultimedia, PySide6.QtSvg; from PySide6.QtWidgets import QApplication; QApplication([])"
)


def is_debian_root() -> bool:
    """Whether we may install system packages ourselves."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def has_display(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Whether a window can be shown; only Linux and the BSDs may lack a display."""
    if platform in ("win32", "darwin"):
        return True
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def missing_for_compiling(python: Path, environ: Mapping[str, str] = os.environ) -> str:
    """What keeps a C++ extension from being compiled, as a sentence; empty when nothing does."""
    named = environ.get("CXX", "").split()[:1]
    if not any(shutil.which(name) for name in (*named, "c++", "g++", "clang++", "cl")):
        return "There is no C++ compiler"
    question = "import sysconfig; print(sysconfig.get_paths()['include'])"
    asked = python if python.exists() else sys.executable  # an environment has its maker's headers
    answer = subprocess.run([asked, "-c", question], capture_output=True, text=True, check=False)
    if not (Path(answer.stdout.strip()) / "Python.h").is_file():
        return "Python's headers are missing"
    return ""


def free_gb(folder: Path) -> float:
    """Free space where `folder` is or will be, in GB (1e9 bytes)."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free / 1e9


def package_of(library: str) -> str:
    """The Debian package of a shared library: libxcb-icccm.so.4 -> libxcb-icccm4.

    Debian's naming rule, with a dash where the name itself ends in a digit (libxkbcommon-x11.so.0 -> ...-x11-0).
    """
    if library in ODD_PACKAGES:
        return ODD_PACKAGES[library]
    name, _, version = library.partition(".so.")
    dash = "-" if name[-1].isdigit() else ""
    return f"{name}{dash}{version}".lower().replace("_", "-")


def not_found(ldd_output: str) -> set[str]:
    """The libraries that ldd could not find."""
    return set(re.findall(r"^\s*(\S+) => not found", ldd_output, flags=re.MULTILINE))


def missing_qt_libraries(python: Path, files: Iterable[str]) -> set[str]:
    """System libraries that these files of the environment's PySide6 want and the machine lacks (Linux)."""
    question = "import importlib.util as u; print(u.find_spec('PySide6').submodule_search_locations[0])"
    answer = subprocess.run([python, "-c", question], capture_output=True, text=True, check=True)
    folder = Path(answer.stdout.strip())
    there = [str(folder / file) for file in files if (folder / file).is_file()]
    linked = subprocess.run(["ldd", *there], capture_output=True, text=True, check=False)
    return {library for library in not_found(linked.stdout) if not _in_wheel(folder, library)}


def _in_wheel(folder: Path, library: str) -> bool:
    return (
        library.startswith(("libQt6", "libpyside6", "libshiboken6")) or (folder / "Qt/lib" / library).exists()
    )


def qt_trial(python: Path) -> str:
    """Opens an application without a screen; returns what went wrong, empty if nothing did."""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    trial = subprocess.run(
        [python, "-c", QT_TRIAL], capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    if trial.returncode == 0:
        return ""
    said = trial.stderr.strip().splitlines()
    return said[-1] if said else f"it ended with code {trial.returncode}"


def prepare_qt(python: Path, voice: Voice, display: bool) -> bool:
    """Bring the system libraries of Qt if we may, else name them. True when a window (or, without a
    display, an application without a screen) can be opened.
    """
    if not sys.platform.startswith("linux"):
        return _tried(python, voice)
    may_install = is_debian_root()
    wanted = [*QT_BASE, *QT_SOUND]
    wanted += QT_X11 if display or may_install else ()
    wanted += QT_WAYLAND if os.environ.get("WAYLAND_DISPLAY") else ()
    missing = missing_qt_libraries(python, wanted)
    packages = sorted({package_of(library) for library in missing})
    if packages and may_install:
        voice.step(f"Installing the system libraries that the window needs: {' '.join(packages)}")
        try:
            apt_install(packages, voice)
        except Stop as stop:
            voice.failure(stop)
    elif packages:
        voice.step(f"The window needs system libraries that are not here: {', '.join(sorted(missing))}")
        voice.plain(f"        Debian, Ubuntu: sudo apt-get install {' '.join(packages)}")
    return _tried(python, voice) and not missing_qt_libraries(python, wanted)


def _tried(python: Path, voice: Voice) -> bool:
    problem = qt_trial(python)
    if problem:
        voice.step(f"Qt does not start here: {problem}")
    return not problem


def apt_install(packages: list[str], voice: Voice) -> None:
    """Install Debian packages as root. Package lists are fetched when there are none or they are stale."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    update = ["apt-get", "update"]
    lists = Path("/var/lib/apt/lists")
    attempts = [install, update, install] if any(lists.glob("*_Packages*")) else [update, install]
    for command in attempts:
        describe = functools.partial(_apt_line, " ".join(command[:2]))
        outcome = watch(command, voice, describe, environment)
        if outcome.code == 0 and command is install:
            return
    raise Stop(
        f"apt-get could not install {' '.join(packages)}.",
        f"Try it by hand, then run this again: apt-get update && {' '.join(install)}",
        outcome.last_words(),
    )


def _apt_line(command: str, line: str | None) -> str:
    return f"{command}: {line}" if line else command
