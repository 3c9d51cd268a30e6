"""The tray of a real session: begun as at login, before the panel is there; opened, closed and ended from its icon."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

pytestmark = pytest.mark.skipif(shutil.which("trayer") is None, reason="not installed: trayer")
PATIENCE_S = 60


@pytest.fixture
def panel(screen) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts a small panel with a tray at the lower right of the screen."""
    begun: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        look = (
            "--edge",
            "bottom",
            "--align",
            "right",
            "--width",
            "10",
            "--height",
            "30",
            "--expand",
            "false",
        )
        begun.append(
            subprocess.Popen(
                ["trayer", *look],
                env=screen.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        return begun[-1]

    yield start
    for process in begun:
        process.terminate()
        process.wait(10)


@pytest.mark.timeout(300)
def test_what_starts_at_login_waits_in_the_tray(screen, panel, begin, wait_until) -> None:
    program = begin("--tray")
    time.sleep(6)
    assert program.poll() is None
    assert not screen.windows("^M2HF$"), "no window, though the panel is not there yet"
    panel()
    wait_until(lambda: bool(screen.all_windows()), "no icon")
    time.sleep(2)
    screen.take("icon")
    (icon,) = screen.all_windows()  # and no first run, before somebody opens the window
    left, top, width, height = screen.area(icon)
    assert top > 700, "it lies in the panel"
    middle = (left + width // 2, top + height // 2)

    before = screen.all_windows()
    screen.click(*middle, button=3)
    menu = screen.popup(before)
    screen.take("menu")
    assert not screen.windows("^M2HF$"), "the other button shows the menu only"
    screen.click(menu[0] + 30, menu[1] + menu[3] // 6)
    screen.wait_for("^M2HF$")
    screen.take("opened")
    screen.wait_for("^Welcome")
    screen.keys("Escape")
    wait_until(lambda: not screen.windows("^Welcome"), "the first run stays")

    before = screen.all_windows()
    screen.click(*middle, button=3)
    menu = screen.popup(before)
    screen.click(menu[0] + 30, menu[1] + menu[3] * 5 // 6)
    assert program.wait(PATIENCE_S) == 0, "Quit ends it"
