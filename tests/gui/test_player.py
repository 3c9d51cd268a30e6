"""The player's own threads and the interpreter: letting go of a file must never wait for both."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
    QTimer.singleShot(2000, begun.quit)
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


def test_stopping_never_waits_for_itself(tmp_path: Path) -> None:
    """In a process of its own: no signal ends what hangs there. It did in six of six trials, after 6 to 156 players."""
    from m2hf_core.synthetic import demo_set
    from m2hf_core.synthetic.files import render_library

    render_library(demo_set(8, clips=1, queries=1).specs, tmp_path)
    (video,) = tmp_path.glob("*.mp4")
    ended = subprocess.run(
        [sys.executable, "-c", PLAY_AND_STOP, str(video), str(PLAYERS)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "stopped each\n"), ended.stderr[-2000:]
