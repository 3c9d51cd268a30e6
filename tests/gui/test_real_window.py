"""The story once more in a real window: another process on a screen of its own, with a real keyboard's events.

Needs Xvfb, xdotool and a window manager (openbox). With M2HF_SCREENSHOTS=FOLDER and ImageMagick it keeps a picture of
each step, to be looked at.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.gui.session import Session
from app.services.library import open_library
from app.services.status import library_status

CLIPS = 6
SIZE = "1280x800"
QUERY = "green circles"
PATIENCE_S = 240
NEEDED = ("Xvfb", "xdotool", "openbox")

missing = [tool for tool in NEEDED if shutil.which(tool) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}"),
]


class Screen:
    """Keys for whatever window has the keyboard, and which windows there are."""

    def __init__(self, display: str, pictures: Path | None) -> None:
        self.environment = os.environ | {"DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
        self._pictures, self._steps = pictures, 0

    def windows(self, title: str) -> list[str]:
        found = self._run("search", "--onlyvisible", "--name", title)
        return found.stdout.split()

    def wait_for(self, title: str) -> str:
        until(lambda: bool(self.windows(title)), f"no window {title}")
        return self.windows(title)[0]

    def keys(self, *names: str) -> None:
        for name in names:
            self._run("key", name)
            time.sleep(0.2)

    def type(self, text: str) -> None:
        self._run("type", "--delay", "30", text)

    def take(self, name: str) -> None:
        """Keep a picture of the screen, where that is wished."""
        self._steps += 1
        if self._pictures is not None:
            file = self._pictures / f"{self._steps:02d}-{name}.png"
            subprocess.run(["import", "-window", "root", str(file)], env=self.environment, check=True)

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["xdotool", *words], env=self.environment, capture_output=True, text=True, check=False
        )


def until(condition: Callable[[], bool], what: str) -> None:
    late = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < late, what
        time.sleep(0.3)


@pytest.fixture
def screen() -> Iterator[Screen]:
    wished = os.environ.get("M2HF_SCREENSHOTS")
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{SIZE}x24", "-nolisten", "tcp"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as told:
        display = f":{told.readline().strip()}"
    made = Screen(display, Path(wished) if wished else None)
    manager = subprocess.Popen(["openbox"], env=made.environment, stderr=subprocess.DEVNULL)
    yield made
    for process in (manager, server):
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from m2hf_core.synthetic import demo_set
    from m2hf_core.synthetic.files import render_library

    folder = tmp_path_factory.mktemp("real") / "Holidays"
    render_library(demo_set(8, clips=CLIPS, queries=CLIPS).specs, folder)
    return folder


@pytest.mark.timeout(900)
def test_a_person_with_a_keyboard_gets_from_the_first_run_to_an_export(screen, films, tmp_path) -> None:
    data, table = tmp_path / "data", tmp_path / "found.csv"
    command = [sys.executable, "-m", "app.cli.main", "gui", "--data-dir", str(data), "--preset", "demo"]
    program = subprocess.Popen(command, env=screen.environment, stderr=subprocess.DEVNULL)
    try:
        screen.wait_for("^M2HF$")
        screen.wait_for("^Welcome")
        screen.take("welcome")
        screen.keys("Escape", "ctrl+n")
        screen.wait_for("^Add a folder")
        screen.keys("ctrl+a")
        screen.type(str(films))
        screen.take("folder")
        screen.keys("Return")
        until(lambda: ready(data) == CLIPS, "not everything became searchable")
        screen.take("indexed")

        screen.keys("ctrl+f")
        screen.type(QUERY)
        time.sleep(5)
        screen.take("found")
        screen.keys("Down", "space")
        time.sleep(3)
        screen.take("playing")
        screen.keys("space", "1")
        time.sleep(1)
        screen.take("without-pictures")
        screen.keys("1", "c")
        time.sleep(8)
        screen.take("captions")
        screen.keys("e", "Down", "Down", "Return")
        screen.wait_for("^Export")
        screen.keys("ctrl+a")
        screen.type(str(table))
        screen.keys("Return")
        until(table.exists, "nothing was exported")
        screen.take("exported")
        for keys, title in ((("ctrl+comma",), "^Settings"), (("question",), "^Keys")):
            screen.keys(*keys)
            dialog = screen.wait_for(title)
            screen.take(title.strip("^").lower())
            screen.keys("Escape")
            until(lambda dialog=dialog, title=title: dialog not in screen.windows(title), "it stays open")
        screen.keys("alt+F4")
        assert program.wait(PATIENCE_S) == 0
    finally:
        if program.poll() is None:
            program.kill()
            program.wait()
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["query"] for row in rows] == [QUERY], "the chosen moment and no other"
    assert Path(rows[0]["video"]).parent == films
    assert Session(data).texts("recent")[0] == QUERY


def ready(data: Path) -> int:
    """How many videos the library itself calls searchable."""
    with open_library(data, preset="demo", mode="read") as library:
        return int(library_status(library).videos["ready"])
