"""What a stranger gets first: an environment that is really made, killed, repaired and recognised."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.release

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "toy"
version = "1.0"

[project.optional-dependencies]
dev = ["addition @ {addition}"]
gui = ["absent @ {absent}"]
"""
# A build backend of its own, so that this needs no network; it waits while a file called "slow" is there.
BACKEND = """
import os, time, zipfile

def wheel(folder, name):
    info = name + "-1.0.dist-info/"
    path = os.path.join(folder, name + "-1.0-py3-none-any.whl")
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(name + ".py", "x = 1\\n")
        file.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: " + name + "\\nVersion: 1.0\\n")
        kind = "Root-Is-Purelib: true\\nTag: py3-none-any\\n"
        file.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: toy\\n" + kind)
        listed = [name + ".py", info + "METADATA", info + "WHEEL", info + "RECORD"]
        file.writestr(info + "RECORD", "".join(one + ",,\\n" for one in listed))
    return os.path.basename(path)

def build_editable(folder, config_settings=None, metadata_directory=None):
    open("building", "w").close()
    while os.path.exists("slow"):
        time.sleep(0.05)
    return wheel(folder, "toy")
"""
MAKE = """
import sys; sys.path.insert(0, {installers!r})
import _environment, _voice
from pathlib import Path
try:
    print(_environment.ready(Path({toy!r}), Path({folder!r}), sys.argv[1:], _voice.Voice()))
except _voice.Stop as stop:
    _voice.Voice().failure(stop)
    sys.exit(1)
"""


class Toy:
    """A small project beside the environment that the bootstrap makes for it."""

    def __init__(self, root: Path, tmp_path: Path) -> None:
        self.toy, self.folder = tmp_path / "toy", tmp_path / "environment"
        self.toy.mkdir()
        (self.toy / "backend.py").write_text(BACKEND)
        space: dict[str, object] = {}
        exec(BACKEND, space)
        space["wheel"](str(tmp_path), "addition")  # type: ignore[operator]
        addition, absent = (
            tmp_path / "addition-1.0-py3-none-any.whl",
            tmp_path / "absent-1.0-py3-none-any.whl",
        )
        text = PYPROJECT.format(addition=addition.as_uri(), absent=absent.as_uri())
        (self.toy / "pyproject.toml").write_text(text)
        program = MAKE.format(installers=str(root / "installers"), toy=str(self.toy), folder=str(self.folder))
        self.command = [sys.executable, "-c", program]

    def ready(self, *extras: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.command, *extras], capture_output=True, text=True, check=False)

    def imports(self, *names: str) -> bool:
        python = self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        return subprocess.run([python, "-c", f"import {', '.join(names)}"], check=False).returncode == 0


@pytest.fixture
def toy(root: Path, tmp_path: Path) -> Toy:
    return Toy(root, tmp_path)


def test_an_environment_is_made_once_and_grows(toy: Toy) -> None:
    made = toy.ready()
    assert made.returncode == 0, made.stdout + made.stderr
    assert "Making a Python environment" in made.stdout
    assert toy.imports("toy")
    again = toy.ready()
    assert again.stdout.startswith("Stamp(")  # nothing else was said, so nothing was done
    grown = toy.ready("dev")
    assert "Installing addition" in grown.stdout
    assert toy.imports("toy", "addition")
    assert toy.ready("dev").stdout.startswith("Stamp(")


def test_an_extra_that_cannot_be_had_is_told_and_done_without(toy: Toy) -> None:
    made = toy.ready("gui")
    assert made.returncode == 0
    assert "The command line works, the window does not." in made.stdout
    assert toy.imports("toy")
    assert toy.ready("gui").stdout.startswith("Stamp(")


@pytest.mark.skipif(os.name == "nt", reason="kills a group of processes")
def test_a_killed_install_is_repaired(toy: Toy) -> None:
    (toy.toy / "slow").touch()
    with subprocess.Popen(toy.command, stdout=subprocess.DEVNULL, start_new_session=True) as killed:
        deadline = time.monotonic() + 120
        while not (toy.toy / "building").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(killed.pid, signal.SIGKILL)
    (toy.toy / "slow").unlink()
    assert toy.ready().returncode == 0
    assert toy.imports("toy")


def test_a_broken_environment_is_made_anew(toy: Toy) -> None:
    assert toy.ready().returncode == 0
    python = toy.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    python.unlink()
    remade = toy.ready()
    assert "unfinished or broken; making it anew" in remade.stdout
    assert toy.imports("toy")


def test_a_moved_environment_is_made_anew(toy: Toy, root: Path) -> None:
    assert toy.ready().returncode == 0
    moved = toy.folder.with_name("moved")
    toy.folder.rename(moved)
    toy.command[-1] = toy.command[-1].replace(str(toy.folder), str(moved))
    toy.folder = moved
    assert "making it anew" in toy.ready().stdout
    assert toy.imports("toy")
