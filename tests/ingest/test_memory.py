"""Memory that does not grow: neither with the number of files nor with the length of one."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.workers.messages import Beat, Done, Failed, Ready, Task, WorkerConfig
from app.workers.worker import worker_main

FILES, EARLY = 2000, 200
GROWTH_BYTES = 50e6
LOOP_S = 8
LONG_S, SHORT_S = 3 * 3600, 360
LONG_BYTES = 150e6
"""Three hours of features are 37 MB, three times while they are written out, and the times to look at another 30; the
sound alone would be 690 MB, the runs 34 GB."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, write_repeated: Callable[..., Path]) -> list[Path]:
    """A dozen clips of a second, and one that is broken."""
    folder = tmp_path_factory.mktemp("tiny")
    paths = [write_repeated(folder / f"{number}.mkv", 1, 1) for number in range(12)]
    broken = folder / "broken.mkv"
    broken.write_bytes(paths[0].read_bytes()[:300])
    return [*paths, broken]


def answers(config: WorkerConfig, files: list[Path], count: int) -> Iterator[Done | Failed]:
    """What one worker says to `count` tasks, eight of which lie with it at a time."""
    context = multiprocessing.get_context("spawn")
    pipe, there = context.Pipe()
    process = context.Process(target=worker_main, args=(there, config), daemon=True)
    process.start()
    there.close()
    try:
        ready = pipe.recv()
        assert isinstance(ready, Ready), ready
        wanted = frozenset(ready.offered.values())
        sent = answered = 0
        while answered < count:
            while sent < count and sent - answered < 8:
                pipe.send(Task(sent, files[sent % len(files)], f"{sent:08x}", wanted))
                sent += 1
            report = pipe.recv()
            if not isinstance(report, Beat):
                answered += 1
                yield report
    finally:
        pipe.close()
        process.join(20)


@pytest.mark.timeout(7200)
def test_two_thousand_files_leave_nothing_in_a_worker(tiny: list[Path], tmp_path: Path) -> None:
    config = WorkerConfig("demo", "cpu", 1, tmp_path / "staging", tmp_path / "posters")
    resident: list[int] = []
    failed = 0
    for report in answers(config, tiny, FILES):
        if isinstance(report, Done):
            report.staged.unlink()
            resident.append(report.resident_bytes)
        else:
            assert report.kind == "file"
            failed += 1
    assert failed == len(range(len(tiny) - 1, FILES, len(tiny)))
    early, late = resident[EARLY - failed * EARLY // FILES], resident[-1]
    sys.stdout.write(f"resident after {EARLY}: {early / 1e6:.1f} MB, after {FILES}: {late / 1e6:.1f} MB\n")
    assert late - early < GROWTH_BYTES


@pytest.mark.timeout(3600)
def test_three_hours_take_hardly_more_memory_than_six_minutes(
    tmp_path: Path, write_repeated: Callable[..., Path]
) -> None:
    def measured(seconds: int) -> dict[str, int]:
        path = write_repeated(tmp_path / f"{seconds}.mkv", LOOP_S, seconds // LOOP_S)
        script = Path(__file__).with_name("measure_memory.py")
        done = subprocess.run(
            [sys.executable, str(script), str(path)],
            capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["s"] == pytest.approx(seconds, abs=1)
        assert found["rows"]["clip"] == found["rows"]["motion"] == seconds
        assert found["rows"]["audio"] == (seconds * 16_000 - 15_600) // 15_360 + 1
        return found

    short, long = measured(SHORT_S), measured(LONG_S)
    sys.stdout.write(f"peak for 6 min: {short['peak'] / 1e6:.1f} MB, 3 h: {long['peak'] / 1e6:.1f} MB\n")
    assert long["peak"] - short["peak"] < LONG_BYTES
