"""What is handed on: wheel and sdist are built, and the wheel runs where nothing but its requirements is.

The requirements are links to what this environment has, so that torch's gigabytes are not fetched again: whatever the
wheel asks for is there, and nothing else is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from importlib.metadata import Distribution, distribution
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = [pytest.mark.release, pytest.mark.timeout(1800)]

OPEN_AND_LEAVE = """
import sys
from PySide6.QtCore import QTimer
from app.gui import start
from app.gui.main_window import MainWindow

def leave():
    for window in application.topLevelWidgets():
        if isinstance(window, MainWindow) and window.isVisible():
            print(f"{window.width()} x {window.height()}")
            window.leave()

application = start.make_application()
timer = QTimer()
timer.timeout.connect(leave)
timer.start(500)
sys.exit(start.open_window(None))
"""


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it."""

    folder: Path
    aside: Path

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        program = self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        return self._run(str(program), *words)

    def app(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._run(str(self.folder / ("Scripts" if os.name == "nt" else "bin") / "m2hf-app"), *words)

    def has(self, module: str) -> bool:
        return self.python("-c", f"import {module}").returncode == 0

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        self.aside.mkdir(exist_ok=True)
        settings = {
            "M2HF_DATA_DIR": str(self.aside / "data"),
            "M2HF_MODELS_DIR": str(self.aside / "models"),
            "QT_QPA_PLATFORM": "offscreen",
            "HOME": str(self.aside),
        }
        kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP") if name in os.environ}
        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=self.aside, env={**kept, **settings}
        )


@pytest.fixture(scope="module")
def pip(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A pip: our environment's, else that of a fresh one."""
    if find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    folder = tmp_path_factory.mktemp("pip")
    venv.create(folder, with_pip=True)
    return [str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")), "-m", "pip"]


@pytest.fixture(scope="module")
def built(root: Path, pip: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(wheel, sdist), made with the build backend that `pyproject.toml` names, which the package index has."""
    tools, out = tmp_path_factory.mktemp("tools"), tmp_path_factory.mktemp("built")
    subprocess.run(
        [
            *pip,
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--target",
            str(tools),
            "hatchling>=1.27",
        ],
        check=True,
    )
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(out)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(tools)},
        check=True,
    )
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def requirements(wheel: Path, extra: str = "") -> dict[str, Distribution]:
    """What the wheel asks for with this extra, and what that asks for, by name, as it is installed here."""
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        asked = HeaderParser().parsestr(file.read(name).decode()).get_all("Requires-Dist") or []
    waiting = [(text, extra) for text in asked]
    found: dict[str, Distribution] = {}
    seen = set(waiting)
    while waiting:
        text, wanted = waiting.pop()
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate({"extra": wanted}):
            continue
        this = found[needed.name.lower()] = distribution(needed.name)
        assert needed.specifier.contains(this.version, prereleases=True), f"{text}, here is {this.version}"
        for more in (asked for asked in this.requires or ()):
            for one in ("", *needed.extras):
                if (more, one) not in seen:
                    seen.add((more, one))
                    waiting.append((more, one))
    return found


def tops(distributions: dict[str, Distribution]) -> Iterator[Path]:
    """Files and folders in site-packages that belong to them."""
    for one in distributions.values():
        parts = {file.parts[0] for file in one.files or () if file.parts[0] not in ("..", "__pycache__")}
        yield from (Path(str(one.locate_file(part))) for part in parts)


def install(wheel: Path, extra: str, folder: Path, pip: list[str]) -> Installed:
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for place in set(tops(requirements(wheel, extra))):
        (packages / place.name).symlink_to(place)
    python = str(folder / "bin" / "python")
    command = [*pip, "--python", python, "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "--no-deps", "--no-index", str(wheel)], check=True)
    return Installed(folder, folder.with_name(f"{folder.name}-aside"))


@pytest.fixture(scope="module")
def plain(built: tuple[Path, Path], pip: list[str], tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel without any extra."""
    if os.name == "nt":
        pytest.skip("links its requirements, which Windows allows to few")
    return install(built[0], "", tmp_path_factory.mktemp("clean") / "plain", pip)


def test_the_wheel_holds_the_program_and_its_resources(root: Path, built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[0]) as file:
        names = set(file.namelist())
    resources = {p.relative_to(root / "resources") for p in (root / "resources").rglob("*") if p.is_file()}
    assert resources
    assert {f"m2hf_core/resources/{path.as_posix()}" for path in resources} <= names
    assert {"app/cli/main.py", "m2hf_core/errors.py"} <= names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"app", "m2hf_core"}
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_no_weights_but_the_demos_are_handed_on(built: tuple[Path, Path]) -> None:
    wheel, sdist = built
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    with tarfile.open(sdist) as file:
        names += file.getnames()
    weights = [
        name for name in names if name.endswith((".safetensors", ".pt", ".pth", ".bin", ".onnx", ".npz"))
    ]
    assert weights
    assert [name for name in weights if "/demo/" not in name] == []


def test_the_sdist_makes_the_same_wheel(built: tuple[Path, Path], pip: list[str], tmp_path: Path) -> None:
    wheel, sdist = built
    command = [*pip, "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "-w", str(tmp_path)]
    subprocess.run([*command, str(sdist)], check=True)
    (again,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(again) as other:
        digests = [{item.filename: item.CRC for item in file.infolist()} for file in (one, other)]
    assert digests[0] == digests[1]


def test_without_extras_the_command_line_runs(plain: Installed) -> None:
    absent = ("PySide6", "hnswlib", "rapidocr", "opentimelineio", "starlette", "pytest")
    assert [module for module in absent if plain.has(module)] == []
    for words in (("--help",), ("--version",), ("search", "--help"), ("train", "--help")):
        done = plain.app(*words)
        assert (done.returncode, done.stderr) == (0, ""), words
        assert "m2hf-app" in done.stdout


def test_without_extras_the_demo_is_indexed_and_searched_without_a_network(plain: Installed) -> None:
    done = plain.app("doctor", "--smoke")
    assert "smoke: hits" in done.stdout, done.stdout + done.stderr
    assert done.stderr == ""
    assert done.returncode == 0, done.stdout


def test_without_qt_the_window_is_refused_in_a_sentence(plain: Installed) -> None:
    done = plain.app("gui")
    assert done.returncode == 1
    assert "m2hf-app[gui]" in done.stderr
    assert "Traceback" not in done.stderr


def test_with_gui_the_window_opens(
    plain: Installed, built: tuple[Path, Path], pip: list[str], tmp_path: Path
) -> None:
    windowed = install(built[0], "gui", tmp_path / "windowed", pip)
    done = windowed.python("-c", OPEN_AND_LEAVE)
    assert done.returncode == 0, done.stderr
    assert " x " in done.stdout
    # Of the offscreen platform itself.
    said = {line for line in done.stderr.splitlines() if "support propagateSizeHints" not in line}
    assert said == set()
