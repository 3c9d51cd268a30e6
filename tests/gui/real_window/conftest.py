"""A screen of its own with a window manager and a desktop bus, a real keyboard's and a real pointer's events.

Needs Xvfb, xdotool and openbox; what goes by mouse also the desktop's accessibility library, which tells what a screen
reader is told: names and places. With M2HF_SCREENSHOTS=FOLDER and ImageMagick a picture of each step is kept.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.services.library import open_library
from app.services.status import library_status

CLIPS = 6
SIZE = "1280x800"
PATIENCE_S = 60
LOOKS = 5
"""So often in a row what looks on may fail: windows that close while it looks take their parts with them."""
NEEDED = ("Xvfb", "xdotool", "openbox", "dbus-daemon")
SYSTEM_PYTHON = "/usr/bin/python3"
ONLOOKER = Path(__file__).parent / "onlooker.py"

missing = [tool for tool in NEEDED if shutil.which(tool) is None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder opens a real window."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}"))


@dataclass(frozen=True)
class Part:
    """What a screen reader is told of one part of a window."""

    role: str
    name: str
    text: str
    showing: bool
    checked: bool
    focused: bool
    selected: bool
    enabled: bool
    area: tuple[int, int, int, int]
    """Left, top, width and height on the screen."""

    def at(self, across: float = 0.5, down: float = 0.5) -> tuple[int, int]:
        left, top, width, height = self.area
        return round(left + across * width), round(top + down * height)


class Screen:
    """Keys and pointer for whatever is there, and what there is."""

    def __init__(
        self,
        display: str,
        bus: str,
        pictures: Path | None,
        onlooker: tuple[str, str] = (SYSTEM_PYTHON, str(ONLOOKER)),
    ) -> None:
        self.environment = os.environ | {
            "DISPLAY": display,
            "QT_QPA_PLATFORM": "xcb",
            "QT_LINUX_ACCESSIBILITY_ALWAYS_ON": "1",
            "DBUS_SESSION_BUS_ADDRESS": bus,
        }
        self._pictures, self._steps, self._onlooker = pictures, 0, onlooker

    # Windows.

    def windows(self, title: str) -> list[str]:
        found = self._run("search", "--onlyvisible", "--name", title)
        return found.stdout.split()

    def wait_for(self, title: str) -> str:
        until(lambda: bool(self.windows(title)), f"no window {title}")
        return self.windows(title)[0]

    def popup(self, before: set[str]) -> tuple[int, int, int, int]:
        """Where the menu is that was not among the program's windows before, as soon as it is there."""
        until(lambda: len(self.all_windows() - before) == 1, "no menu")
        (menu,) = self.all_windows() - before
        return self.area(menu)

    def all_windows(self) -> set[str]:
        """The program's, with menus, which have no title."""
        return set(self._run("search", "--onlyvisible", "--class", "m2hf").stdout.split())

    def area(self, window: str) -> tuple[int, int, int, int]:
        told = self._run("getwindowgeometry", "--shell", window).stdout
        found = dict(line.split("=", 1) for line in told.splitlines())
        return int(found["X"]), int(found["Y"]), int(found["WIDTH"]), int(found["HEIGHT"])

    # Keyboard and pointer.

    def keys(self, *names: str) -> None:
        for name in names:
            self._run("key", name)
            time.sleep(0.2)

    def type(self, text: str) -> None:
        self._run("type", "--delay", "30", text)

    def point(self, x: int, y: int) -> None:
        self._run("mousemove", str(x), str(y))
        time.sleep(0.2)

    def click(self, x: int, y: int, *, button: int = 1, times: int = 1) -> None:
        self.point(x, y)
        self._run("click", "--repeat", str(times), "--delay", "80", str(button))
        time.sleep(0.3)

    def drag(self, start: tuple[int, int], end: tuple[int, int], *, steps: int = 12) -> None:
        self.point(*start)
        self._run("mousedown", "1")
        for step in range(1, steps + 1):
            share = step / steps
            self.point(
                *(round(a + share * (b - a)) for a, b in zip(start, end, strict=True)),  # type: ignore[arg-type]
            )
        self._run("mouseup", "1")
        time.sleep(0.3)

    # What there is to be seen.

    def parts(self) -> list[Part]:
        """Everything that a screen reader is told, as it is now; an onlooker that failed has not seen nothing."""
        for _ in range(LOOKS):
            told = subprocess.run(
                self._onlooker, env=self.environment, capture_output=True, text=True, check=False, timeout=60
            )
            if told.returncode == 0:
                break
            time.sleep(0.3)
        assert told.returncode == 0, told.stderr
        rows = [json.loads(line) for line in told.stdout.splitlines()]
        return [Part(**(row | {"area": tuple(row["area"])})) for row in rows]

    def find(self, role: str, name: str = "") -> list[Part]:
        """Parts of this role on screen whose name begins so."""
        return [
            part
            for part in self.parts()
            if part.showing and part.role == role and part.name.startswith(name) and part.area[2] > 0
        ]

    def one(self, role: str, name: str = "") -> Part:
        """The last of them, as soon as it is there: dialogs come after their window."""
        found: list[Part] = []

        def look() -> bool:
            found[:] = self.find(role, name)
            return bool(found)

        until(look, f"no {role} {name}")
        return found[-1]

    def pixels(self, area: tuple[int, int, int, int]) -> bytes:
        """The picture of a part of the screen."""
        left, top, width, height = area
        crop = f"{width}x{height}+{left}+{top}"
        command = ["import", "-window", "root", "-crop", crop, "+repage", "rgb:-"]
        return subprocess.run(command, env=self.environment, capture_output=True, check=True).stdout

    def take(self, name: str) -> None:
        """Keep a picture of the screen, where that is wished."""
        self._steps += 1
        if self._pictures is not None:
            self._pictures.mkdir(parents=True, exist_ok=True)
            file = self._pictures / f"{self._steps:02d}-{name}.png"
            subprocess.run(["import", "-window", "root", str(file)], env=self.environment, check=True)

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["xdotool", *words], env=self.environment, capture_output=True, text=True, check=False
        )


def until(condition: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    late = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < late, what
        time.sleep(0.3)


@pytest.fixture
def wait_until() -> Callable[..., None]:
    return until


@pytest.fixture
def screen(request: pytest.FixtureRequest) -> Iterator[Screen]:
    wished = os.environ.get("M2HF_SCREENSHOTS")
    pictures = Path(wished) / request.path.stem.removeprefix("test_") if wished else None
    server, display = _told(["Xvfb", "-displayfd", "{}", "-screen", "0", f"{SIZE}x24", "-nolisten", "tcp"])
    bus, address = _told(["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address={}"])
    made = Screen(f":{display}", address, pictures)
    manager = subprocess.Popen(["openbox"], env=made.environment, stderr=subprocess.DEVNULL)
    yield made
    for process in (manager, bus, server):
        process.terminate()
        process.wait(10)


def _told(command: list[str]) -> tuple[subprocess.Popen[bytes], str]:
    """Start what says on a descriptor where it can be reached; `{}` stands for its number."""
    reading, writing = os.pipe()
    words = [word.format(writing) for word in command]
    process = subprocess.Popen(words, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as told:
        return process, told.readline().strip()


@pytest.fixture
def seen_by(tmp_path: Path) -> Callable[[str], Screen]:
    """A screen that is not there, looked at by a script of the test's own."""

    def make(words: str) -> Screen:
        script = tmp_path / "onlooker.py"
        script.write_text(words, encoding="utf-8")
        return Screen(":none", "", None, (sys.executable, str(script)))

    return make


@pytest.fixture
def needs_onlooker() -> None:
    """Skip where the desktop's accessibility library is not installed, or no picture can be taken."""
    known = subprocess.run(
        [SYSTEM_PYTHON, "-c", "import gi; gi.require_version('Atspi', '2.0')"],
        capture_output=True,
        check=False,
    )
    if known.returncode or shutil.which("import") is None:
        pytest.skip("python3-gi, gir1.2-atspi-2.0 or ImageMagick is not installed")


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from m2hf_core.synthetic import demo_set
    from m2hf_core.synthetic.files import render_library

    folder = tmp_path_factory.mktemp("real") / "Holidays"
    render_library(demo_set(8, clips=CLIPS, queries=CLIPS).specs, folder)
    return folder


@pytest.fixture
def begin(screen: Screen, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts the program on the library in `tmp_path / "data"`, with more words for its command."""
    begun: list[subprocess.Popen[bytes]] = []
    command = [sys.executable, "-m", "app.cli.main", "gui", "--data-dir", str(tmp_path / "data")]

    def start(*words: str) -> subprocess.Popen[bytes]:
        words = ("--preset", "demo", *words)
        begun.append(subprocess.Popen([*command, *words], env=screen.environment, stderr=subprocess.DEVNULL))
        return begun[-1]

    yield start
    for running in begun:
        if running.poll() is None:
            running.kill()
            running.wait()


@pytest.fixture
def program(begin: Callable[..., subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """The window of an empty library."""
    return begin()


@pytest.fixture
def ready() -> Callable[[Path], int]:
    """How many videos the library itself calls searchable."""

    def count(data: Path) -> int:
        with open_library(data, preset="demo", mode="read") as library:
            return int(library_status(library).videos["ready"])

    return count


@pytest.fixture
def menu_places(window: Any) -> Callable[[], tuple[tuple[int, int], dict[str, tuple[int, int]]]]:
    """Size of a moment's menu, and where in it each entry lies, from the same menu in this process.

    Open menus are no part of what Qt tells screen readers of a window.
    """

    def places() -> tuple[tuple[int, int], dict[str, tuple[int, int]]]:
        menu = window.actions_here.menu(window)
        middles = {action.text(): menu.actionGeometry(action).center().toTuple() for action in menu.actions()}
        return menu.sizeHint().toTuple(), middles

    return places
