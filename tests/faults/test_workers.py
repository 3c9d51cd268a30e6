"""A worker that dies or stands still costs its file one attempt, never the queue; twice, and the file is set aside."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from m2hf_core.synthetic import draw_specs
from m2hf_core.synthetic.files import render_library

SABOTEUR = Path(__file__).parent / "saboteur"
CLIPS = 3
pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    render_library(draw_specs("train", CLIPS, seed=9), folder, workers=1)
    return folder


def environment(data: Path, **sabotage: str) -> dict[str, str]:
    own = {**os.environ, "M2HF_DATA_DIR": str(data), "OMP_NUM_THREADS": "1"}
    if sabotage:
        own |= {f"M2HF_SABOTAGE_{name.upper()}": value for name, value in sabotage.items()}
        own["PYTHONPATH"] = str(SABOTEUR)
    return own


def m2hf(data: Path, *words: str, **sabotage: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli.main", *words]
    return subprocess.run(
        command, env=environment(data, **sabotage), capture_output=True, text=True, timeout=240, check=False
    )


@pytest.mark.parametrize(("stage", "target"), [("frames", "SIGSEGV"), ("write", "SIGKILL")])
def test_a_worker_that_dies_once_is_replaced(videos: Path, tmp_path: Path, stage: str, target: str) -> None:
    log = str(tmp_path / "log")
    done = m2hf(
        tmp_path / "data", "index", str(videos), "--preset", "demo", "--json",
        log=log, stage=stage, delay="0", target=target, times="1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["ready"], report["failed"]) == (CLIPS, 0)
    assert Path(log).read_text().count("killed in") == 1
    assert json.loads(m2hf(tmp_path / "data", "failures", "--json").stdout) == []


def test_a_file_that_kills_every_worker_is_set_aside(videos: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(min(videos.glob("*.mp4")), alone)
    log = str(tmp_path / "log")
    done = m2hf(
        tmp_path / "data", "index", str(alone), "--preset", "demo", "--json",
        log=log, stage="frames", delay="0", target="SIGSEGV", times="2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["ready"], report["failed"]) == (0, 1)
    (failure,) = json.loads(m2hf(tmp_path / "data", "failures", "--json").stdout)
    assert failure["stage"] == "frames"
    assert "SIGSEGV" in failure["reason"]
    assert failure["attempts"] == 2
    assert failure["quarantined"] is True
    again = json.loads(m2hf(tmp_path / "data", "index", "--preset", "demo", "--json").stdout)
    assert (again["ready"], again["failed"]) == (0, 0), "quarantine holds until somebody asks"
    assert m2hf(tmp_path / "data", "failures", "--retry").returncode == 0
    again = json.loads(m2hf(tmp_path / "data", "index", "--preset", "demo", "--json").stdout)
    assert again["ready"] == 1


def test_no_worker_outlives_a_killed_supervisor(videos: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with subprocess.Popen(
        [sys.executable, "-m", "app.cli.main", "index", str(videos), "--preset", "demo"],
        env=environment(tmp_path / "data", log=str(log), stage="frames", delay="0", target="hang"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 120
        while "killed in" not in (log.read_text() if log.exists() else ""):
            assert time.monotonic() < deadline, "no worker ever began"
            time.sleep(0.1)
        group = process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    while time.monotonic() < deadline:
        if not members(group):
            return
        time.sleep(0.2)
    pytest.fail(f"processes {members(group)} go on without their supervisor")


def members(group: int) -> list[int]:
    """Processes of this group that are not zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, pgrp = entry.joinpath("stat").read_text().rpartition(")")[2].split()[:3]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(pgrp) == group and state != "Z":
                found.append(int(entry.name))
    return found
