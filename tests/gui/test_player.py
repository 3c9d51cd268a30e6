"""The player's own threads and the interpreter: letting go of a file must never wait for both."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.gui.player import STEP_S, Player
from m2hf_core.synthetic import demo_set
from m2hf_core.synthetic.files import render_library

PLAYERS = 120
PLAY_AND_STOP = """
import os, sys, threading, time
from pathlib import Path

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication

from app.gui.player import Player

def compute():
    while True:
        sum(range(1000))
        time.sleep(0.0005)

application = QApplication([])
sys.setswitchinterval(0.03)  # who wants the interpreter waits for it
for _ in range(2):
    threading.Thread(target=compute, daemon=True).start()
for _ in range(int(sys.argv[2])):
    player = Player(lambda question, then: then(question()))
    player.screen()
    begun = QEventLoop()
    player.moved.connect(begun.quit)
    QTimer.singleShot(5000, begun.quit)
    player.show_moment(Path(sys.argv[1]), 0.0, 0.0, 1.0)
    player.toggle()
    begun.exec()
    assert not player.over
    player.stop()
    assert player.over
    player.deleteLater()
print("stopped each", flush=True)
os._exit(0)
"""


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some seconds with sound."""
    folder = tmp_path_factory.mktemp("video")
    render_library(demo_set(8, clips=1, queries=1).specs, folder)
    (made,) = folder.glob("*.mp4")
    return made


def test_steps_lead_on_from_where_it_stands(qtbot, video) -> None:
    """Each jump makes Qt say once more that the file is loaded, which is no reason to go to the moment again."""
    player = Player(lambda question, then: then(question()))
    player.screen()
    places: list[float] = []
    player.moved.connect(places.append)
    player.show_moment(video, 1.0, 1.0, 2.0)
    player.toggle()
    qtbot.waitUntil(lambda: bool(places) and places[-1] > 1.1, timeout=20_000)
    assert min(places) == 1.0, "it begins at the moment"
    player.toggle()
    qtbot.wait(100)
    stood = places[-1]
    for frames, there in ((1, 1), (1, 2), (1, 3), (-2, 1)):
        player.step(frames)
        place = pytest.approx(stood + there * STEP_S, abs=STEP_S / 2)
        qtbot.waitUntil(lambda place=place: places[-1] == place, timeout=20_000)
        qtbot.wait(100)
        assert places[-1] == place, "and there it stays"
    player.stop()


def test_stopping_never_waits_for_itself(video) -> None:
    """In a process of its own: no signal ends what hangs there. It did in six of six trials, after 6 to 156 players."""
    ended = subprocess.run(
        [sys.executable, "-c", PLAY_AND_STOP, str(video), str(PLAYERS)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "stopped each\n"), ended.stderr[-2000:]
