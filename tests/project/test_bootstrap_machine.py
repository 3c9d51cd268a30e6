"""The bootstrap's knowledge of the machine: which Python, which compiler, which system libraries."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Part = Callable[[str], ModuleType]


def command(folder: Path, name: str, text: str) -> Path:
    """An executable shell script on a PATH of its own."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_supported_pythons(part: Part) -> None:
    supported = part("bootstrap").supported
    assert [minor for minor in range(8, 16) if supported((3, minor, 1))] == [11, 12, 13]
    assert not supported((2, 7))
    assert not supported((4, 0))


@pytest.mark.skipif(os.name == "nt", reason="shell scripts stand in for Pythons")
def test_a_shim_that_does_not_run_is_passed_over(
    part: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = tmp_path / "bin"
    command(places, "python3.11", "exit 127")
    command(places, "python3.12", "echo 3 9")
    real = command(places, "python3.13", "echo 3 13")
    monkeypatch.setenv("PATH", str(places))
    assert part("bootstrap").find_python() == str(real)
    real.unlink()
    assert part("bootstrap").find_python() is None


@pytest.mark.skipif(os.name == "nt", reason="shell scripts stand in for Pythons")
def test_an_old_python_is_told_in_a_sentence(root: Path, tmp_path: Path) -> None:
    """Run under a Python that claims to be old, with nothing newer on the PATH."""
    program = (
        "import sys, runpy; sys.version_info = (3, 9, 2, 'final', 0); sys.argv = ['bootstrap.py', 'run'];"
        f"runpy.run_path({str(root / 'installers/bootstrap.py')!r}, run_name='__main__')"
    )
    environment = {"PATH": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False
    )
    assert told.returncode == 1
    assert "This is Python 3.9" in told.stdout
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("libEGL.so.1", "libegl1"),
        ("libGL.so.1", "libgl1"),
        ("libX11.so.6", "libx11-6"),
        ("libxkbcommon.so.0", "libxkbcommon0"),
        ("libxkbcommon-x11.so.0", "libxkbcommon-x11-0"),
        ("libxcb-cursor.so.0", "libxcb-cursor0"),
        ("libxcb-icccm.so.4", "libxcb-icccm4"),
        ("libxcb-render-util.so.0", "libxcb-render-util0"),
        ("libdbus-1.so.3", "libdbus-1-3"),
        ("libfontconfig.so.1", "libfontconfig1"),
        ("libgthread-2.0.so.0", "libglib2.0-0"),
        ("libgssapi_krb5.so.2", "libgssapi-krb5-2"),
        ("libpulse.so.0", "libpulse0"),
        ("libz.so.1", "zlib1g"),
    ],
)
def test_debian_package_of_a_library(part: Part, library: str, package: str) -> None:
    assert part("_machine").package_of(library) == package


def test_what_ldd_did_not_find(part: Part) -> None:
    said = (
        "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibxcb-icccm.so.4 => not found\n"
        "\tlibc.so.6 => /lib/libc.so.6 (0x7f)\n\tlibxcb-icccm.so.4 => not found\n"
    )
    assert part("_machine").not_found(said) == {"libxcb-icccm.so.4"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ldd is Linux's")
def test_this_pythons_own_libraries_are_all_found(part: Part) -> None:
    linked = subprocess.run(["ldd", sys.executable], capture_output=True, text=True, check=False).stdout
    assert part("_machine").not_found(linked) == set()


def test_a_display_is_asked_for_only_where_it_may_be_missing(part: Part) -> None:
    has_display = part("_machine").has_display
    assert not has_display({}, "linux")
    assert not has_display({"DISPLAY": ""}, "linux")
    assert has_display({"DISPLAY": ":0"}, "linux")
    assert has_display({"WAYLAND_DISPLAY": "wayland-0"}, "linux")
    assert has_display({}, "darwin")


@pytest.mark.skipif(os.name == "nt", reason="shell scripts stand in for compilers")
def test_compiling_needs_a_compiler_and_headers(
    part: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = part("_machine")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert machine.missing_for_compiling(Path(sys.executable), {}) == "There is no C++ compiler"
    command(tmp_path / "bin", "g++", "exit 0")
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    expected = "" if headers.is_file() else "Python's headers are missing"
    assert machine.missing_for_compiling(Path(sys.executable), {}) == expected
    bare = command(tmp_path, "python", f"echo {tmp_path}")
    assert machine.missing_for_compiling(bare, {}) == "Python's headers are missing"
    (tmp_path / "Python.h").touch()
    assert machine.missing_for_compiling(bare, {}) == ""


def test_free_space_of_a_folder_that_is_not_there_yet(part: Part, tmp_path: Path) -> None:
    free_gb = part("_machine").free_gb
    assert free_gb(tmp_path / "a" / "b") == pytest.approx(free_gb(tmp_path), abs=1.0)
