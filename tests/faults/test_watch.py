"""`index --watch` as a person runs it: the disk fills and is freed, files come meanwhile, and Ctrl-C ends it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
PATIENCE_S = 120.0
HERE = Path(__file__).parent
INTERRUPTED = 130


class Watching:
    """The command in a process group of its own, with workers whose networks cost nothing."""

    def __init__(self, videos: Path, data: Path, log: Path) -> None:
        log.touch()
        self.lines: list[str] = []
        environment = {
            **os.environ,
            "M2HF_DATA_DIR": str(data),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(map(str, (HERE / "saboteur", HERE / "light", HERE.parents[1]))),
            "M2HF_SABOTAGE_LOG": str(log),
            "M2HF_SABOTAGE_STAGE": "never",
            "M2HF_SABOTAGE_DELAY": "0",
            "M2HF_SABOTAGE_LIGHT": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app.cli.main", "index", str(videos), "--watch", "--preset", "demo"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line.rstrip())

    def until(self, true: Callable[[list[str]], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not true(self.lines):
            assert self.process.poll() is None, self.lines
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.05)

    def interrupt(self) -> int:
        os.killpg(self.process.pid, signal.SIGINT)
        code = self.process.wait(60)
        self._reader.join(60)
        return code

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(60)
        self._reader.join(60)


@pytest.fixture
def disk(disk_of: Callable[[str], Path]) -> Path:
    """A file system with a little more room than the background wants to have left."""
    return disk_of("230m")


@pytest.fixture
def start(tmp_path: Path, disk: Path) -> Iterator[Callable[[], Watching]]:
    started: list[Watching] = []

    def start() -> Watching:
        started.append(Watching(tmp_path / "videos", disk / "data", tmp_path / "log"))
        return started[-1]

    yield start
    for watching in started:
        watching.end()


def says(word: str) -> Callable[[list[str]], bool]:
    return lambda lines: any(line.startswith(word) for line in lines)


def fill(path: Path) -> None:
    block = bytes(1 << 16)
    with path.open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(block):
            pass


def test_a_full_disk_is_waited_out_and_ctrl_c_ends_it(
    campaign, disk: Path, start: Callable[[], Watching]
) -> None:
    campaign.clips(2)
    watching = start()
    watching.until(says("idle: 2 searchable, 0 waiting"))
    fill(disk / "filler")
    campaign.clips(2, first=2)
    watching.until(says("paused: 2 searchable"))
    time.sleep(2.0)  # longer than a change takes to be noticed: what came can not be noted
    (disk / "filler").unlink()
    watching.until(says("idle: 4 searchable, 0 waiting, 0 failed"))
    assert watching.interrupt() == INTERRUPTED
    assert not any("Traceback" in line or "Error" in line for line in watching.lines), watching.lines
    assert "stopped" in watching.lines[-1]


def test_ctrl_c_amid_the_work_blames_no_file(campaign, disk: Path, start: Callable[[], Watching]) -> None:
    campaign.clips(12)
    watching = start()
    watching.until(says("working"))
    assert watching.interrupt() == INTERRUPTED
    assert not any("Traceback" in line for line in watching.lines), watching.lines
    with closing(sqlite3.connect(disk / "data" / "library.sqlite")) as library:
        states = dict(library.execute("SELECT state, COUNT(*) FROM job GROUP BY state"))
        assert set(states) <= {"queued", "done"}
        assert library.execute("SELECT MAX(attempts) FROM job WHERE state = 'queued'").fetchone()[0] in (
            0,
            None,
        )
    watching = start()
    watching.until(says("idle: 12 searchable, 0 waiting, 0 failed"))
    assert watching.interrupt() == INTERRUPTED
