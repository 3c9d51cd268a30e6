"""A disk that fills up while indexing: a sentence, exit code 1, no file blamed; with room again the work goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from m2hf_core.synthetic import draw_specs
from m2hf_core.synthetic.files import render_library

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
CLIPS = 4


@pytest.fixture
def small_disk(disk_of: Callable[[str], Path]) -> Path:
    return disk_of("3m")


def m2hf(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli.main", *words, "--data-dir", str(data)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


def test_full_disk(small_disk: Path, tmp_path: Path) -> None:
    videos, data = tmp_path / "videos", small_disk / "data"
    render_library(draw_specs("train", CLIPS, seed=11), videos, workers=1)
    filler = small_disk / "filler"
    m2hf(data, "library", "add", str(videos))
    room = os.statvfs(small_disk)
    filler.write_bytes(bytes(room.f_bavail * room.f_bsize - 150_000))
    done = m2hf(data, "index", "--preset", "demo")
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    (sentence,) = done.stderr.strip().splitlines()
    assert "full" in sentence or "space" in sentence
    filler.unlink()
    assert json.loads(m2hf(data, "failures", "--json").stdout) == [], "a full disk is no file's fault"
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    report = json.loads(m2hf(data, "index", "--preset", "demo", "--json").stdout)
    assert report["failed"] == 0
    status = json.loads(m2hf(data, "status", "--preset", "demo", "--json").stdout)
    assert status["videos"]["ready"] == CLIPS
