"""`kill -9` of the whole process group of `index`, spread over every stage: the next run finishes, nothing doubles."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from m2hf_core.synthetic import draw_specs
from m2hf_core.synthetic.files import render_library

SABOTEUR = Path(__file__).parent / "saboteur"
SUPERVISOR_STAGES = (
    "look for videos",
    "identify",
    "sweep",
    "load models",
    "index",
    "save",
    "between the files",
)
WORKER_STAGES = ("probe", "frames", "audio", "speech", "write")
STAGES = (*SUPERVISOR_STAGES, *WORKER_STAGES)
MOMENTS = 20
CLIPS = 6
SPARE = [("frames", 0.0), ("audio", 0.0), ("save", 0.0), ("probe", 0.0), ("write", 0.0), ("speech", 0.0)]


def index(data: Path, videos: Path, **sabotage: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "M2HF_DATA_DIR": str(data), "OMP_NUM_THREADS": "1"}
    if sabotage:
        environment |= {f"M2HF_SABOTAGE_{name.upper()}": value for name, value in sabotage.items()}
        environment["PYTHONPATH"] = str(SABOTEUR)
    command = [sys.executable, "-m", "app.cli.main", "index", str(videos), "--preset", "demo", "--json"]
    return subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        start_new_session=True,
        check=False,
    )


def rows(database: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def moments(seed: int) -> list[tuple[str, float]]:
    """At the entrance of every stage once, then at random instants after random entrances."""
    rng = random.Random(seed)
    chosen = [(stage, 0.0) for stage in STAGES]
    while len(chosen) < MOMENTS:
        chosen.append((rng.choice(STAGES[:-1]), rng.uniform(0.0005, 0.2)))
    rng.shuffle(chosen)
    return chosen


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_killed_anywhere_the_next_run_finishes(tmp_path: Path, fault_seed: int) -> None:
    videos, data, log = tmp_path / "videos", tmp_path / "data", tmp_path / "log"
    render_library(draw_specs("train", CLIPS, seed=7), videos, workers=1)
    killed: list[str] = []
    # A random moment can come after the end of its run; then the spare ones stand in.
    for stage, delay in [*moments(fault_seed), *SPARE]:
        if len(killed) == MOMENTS:
            break
        log.unlink(missing_ok=True)
        if stage in ("probe", "frames", "audio", "speech", "write", "save", "between the files"):
            # Give these stages a file to work on, however many the earlier runs have finished.
            touch_one(data, videos)
        done = index(data, videos, log=str(log), stage=stage, delay=str(delay))
        last = log.read_text().splitlines()[-1]
        if delay == 0.0:
            assert done.returncode == -9, (stage, done.stderr)
        if done.returncode == -9:
            assert last.startswith("killed in "), last
            killed.append(last.removeprefix("killed in "))
        for name in ("library.sqlite", "features.sqlite"):
            if (data / name).exists():
                assert rows(data / name, "PRAGMA integrity_check") == [("ok",)], (stage, name)
    assert len(killed) == MOMENTS
    assert set(killed) >= set(STAGES), "some stage was never hit"

    done = index(data, videos)
    assert done.returncode == 0, done.stderr
    files = sorted(videos.glob("*.mp4"))
    library, features = data / "library.sqlite", data / "features.sqlite"
    assert rows(library, "SELECT COUNT(*) FROM path WHERE state = 'present'") == [(len(files),)]
    assert rows(library, "SELECT state, COUNT(*) FROM job GROUP BY state") == [("done", len(files))]
    assert (
        rows(library, "SELECT COUNT(*) FROM clip GROUP BY video_id, start_s, end_s HAVING COUNT(*) > 1") == []
    )
    assert (
        rows(library, "SELECT video_id FROM transcript GROUP BY video_id, source HAVING COUNT(*) > 1") == []
    )
    assert rows(library, "PRAGMA foreign_key_check") == []
    per_extractor = rows(features, "SELECT extractor, COUNT(*) FROM feature GROUP BY extractor")
    assert [count for _, count in per_extractor] == [len(files)] * 3
    assert rows(features, "SELECT 1 FROM feature GROUP BY extractor, fingerprint HAVING COUNT(*) > 1") == []
    assert list((data / "staging").iterdir()) == []
    again = index(data, videos)
    assert json.loads(again.stdout)["ready"] == 0, "a finished library was extracted again"


def touch_one(data: Path, videos: Path) -> None:
    """Make one job due again, as if its file had been added just now: its content gets another fingerprint."""
    if not (data / "library.sqlite").exists():
        return
    if rows(data / "library.sqlite", "SELECT COUNT(*) FROM job WHERE state = 'queued'") != [(0,)]:
        return
    file = min(videos.glob("*.mp4"), key=lambda path: path.stat().st_mtime_ns)
    with file.open("ab") as stream:
        stream.write(b"\x00\x00\x00\x08free")
