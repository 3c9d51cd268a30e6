"""Measuring the window: what a heartbeat counts, and how waiting for the window ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, Signal

from app.cli.main import main
from app.gui.bench import Heartbeat, _Heard, _wait
from app.gui.records import Trouble
from app.services.live import Answered, Asked
from app.services.witness import Witness, stolen_ms
from m2hf_core.errors import Interrupted, KnownError
from m2hf_core.progress import Progress
from m2hf_core.synthetic import demo_set
from m2hf_core.synthetic.files import render_library


class Tells(QObject):
    """The signals of a bridge."""

    overview, answered, failed = Signal(object), Signal(object), Signal(object)
    search_state = Signal(str, object)


def test_a_gap_is_counted_where_the_thread_sleeps_and_where_it_computes(qtbot) -> None:
    heartbeat = Heartbeat()
    qtbot.wait(50)
    time.sleep(0.2)
    qtbot.wait(50)
    slept = heartbeat.take()
    until = time.thread_time() + 0.2
    while time.thread_time() < until:
        pass
    qtbot.wait(50)
    computed = heartbeat.take()
    heartbeat.stop()
    assert slept["beats"] > 2
    assert min(slept["gap_ms"]["longest"], computed["gap_ms"]["longest"]) >= 200
    assert computed["computing_ms"]["longest"] >= 200
    assert slept["computing_ms"]["longest"] < 200
    assert heartbeat.take()["beats"] == 0, "each part begins anew"


def test_the_machine_has_a_witness(qapp) -> None:
    """It beats by itself, also while this thread does not, and begins anew each time."""
    with Witness(5) as witness:
        began = time.perf_counter()
        time.sleep(1)
        first = witness.take()
        time.sleep(0.2)
        both = sum(first) + sum(witness.take())
        took_ms = 1000 * (time.perf_counter() - began)
        assert len(first) > 3
        assert 900 < sum(first) < both < took_ms + 500, "twice the first would be more"
    assert sys.getswitchinterval() < 0.002, "other threads give way to the window soon"


def test_what_a_host_takes_is_read(tmp_path: Path) -> None:
    statistics = tmp_path / "stat"
    assert stolen_ms(statistics) is None
    statistics.write_text("cpu  7 1 8 3 4 0 1 250 0 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n", encoding="ascii")
    assert stolen_ms(statistics) == 250_000 / os.sysconf("SC_CLK_TCK")
    here = stolen_ms()
    assert (here is not None) == (sys.platform == "linux"), "the system's own is found where there is one"


def test_waiting_ends_with_trouble_a_wish_or_what_was_waited_for(qtbot, overview) -> None:
    bridge = Tells()
    heard, progress = _Heard(bridge), Progress()
    bridge.overview.emit(overview(videos={"ready": 3, "queued": 1, "running": 0}))
    assert not heard.all_done()
    bridge.overview.emit(overview(videos={"ready": 3, "queued": 0, "running": 0, "failed": 1}))
    _wait(heard.all_done, heard, progress)
    bridge.answered.emit(Answered(Asked(1, "two"), None, None))
    assert not heard.has_answered("two")
    bridge.search_state.emit("ready", None)
    _wait(lambda: heard.ready, heard, progress)
    bridge.failed.emit(Trouble("The disk is full.", "Make room."))
    with pytest.raises(KnownError, match=r"The disk is full\. Make room\."):
        _wait(lambda: False, heard, progress)
    heard.trouble = None
    progress.cancel()
    with pytest.raises(Interrupted):
        _wait(lambda: False, heard, progress)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_clips_and_a_query(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    render_library(demo_set(1, clips=2, queries=2).specs, videos, workers=1)
    command = [sys.executable, "-m", "app.cli.main", "bench", "window", str(videos), "--query", "green"]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=590)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["sizes"]["ready"] == 2
    for part in ("starting", "indexing", "typing"):
        figures = document["figures"][part]
        assert figures["beats"] > 0
        for gaps in (figures["gap_ms"], figures["machine_ms"]):
            assert 0 < gaps["p99"] <= gaps["longest"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there always is a screen")
def test_without_a_screen_it_says_so(monkeypatch, capsys) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert main(["bench", "window"]) == 1
    assert "no screen" in capsys.readouterr().err
