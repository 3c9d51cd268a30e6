"""A library of tiny clips, indexed by real workers with light networks, and what must hold after everything."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing import forkserver
from pathlib import Path

import pytest

from app.services.indexing import IndexReport, index_folders
from app.services.library import Library, open_library
from app.workers import process
from m2hf_core.progress import Progress
from m2hf_core.records import Failure
from m2hf_core.store import failures
from m2hf_core.synthetic import draw_specs
from m2hf_core.synthetic.files import render_file

SABOTEUR = Path(__file__).parent / "saboteur"
LIGHT = Path(__file__).parent / "light"
CLIPS_KILLED = 4
SUBTITLE = "1\n00:00:00,000 --> 00:00:01,000\nA gull stole his sandwich.\n"


@pytest.fixture
def disk_of(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a file system of that size, which needs the right to."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(size: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("a small file system cannot be mounted here (needs root)")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="session")
def base_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One real clip with sound."""
    path = tmp_path_factory.mktemp("base") / "clip.mp4"
    render_file(next(spec for spec in draw_specs("train", 50, 3) if spec.sound != "none"), path)
    return path


def another_clip(base: Path, target: Path, number: int) -> Path:
    """The same pictures under another content: a box that players skip. Written long ago, so nobody waits for it."""
    shutil.copy(base, target)
    with target.open("ab") as stream:
        stream.write(b"\x00\x00\x00\x10free" + number.to_bytes(8, "big"))
    os.utime(target, (1e9, 1e9))
    return target


class Campaign:
    """A library and its folder of videos."""

    def __init__(self, base: Path, videos: Path, data: Path) -> None:
        self.base, self.videos, self.data = base, videos, data
        videos.mkdir(exist_ok=True)

    def clips(self, count: int, first: int = 0) -> list[Path]:
        made = [
            another_clip(self.base, self.videos / f"{number:04d}.mp4", number)
            for number in range(first, first + count)
        ]
        for path in made:
            path.with_suffix(".srt").write_text(SUBTITLE)
        return made

    def plan(self, appointments: dict[str, tuple[str, str]]) -> None:
        self.data.mkdir(exist_ok=True)
        (self.data / "plan.json").write_text(json.dumps(appointments))

    def struck(self) -> list[tuple[str, ...]]:
        """(file, stage, action) of what has happened."""
        log = self.data / "struck.log"
        return [tuple(line.split()) for line in log.read_text().splitlines()] if log.exists() else []

    def index(self, meanwhile: Callable[[Campaign], None] | None = None) -> IndexReport:
        """Run `index` here; `meanwhile` runs beside it once the first appointment was kept."""
        watching = threading.Thread(target=self._when_struck, args=(meanwhile,)) if meanwhile else None
        if watching:
            watching.start()
        try:
            with self.library() as library:
                return index_folders(library, [self.videos], device="cpu", progress=Progress())
        finally:
            if watching:
                watching.join()

    def library(self):
        return open_library(self.data, preset="demo", mode="create")

    def failures(self) -> list[Failure]:
        def read(library: Library) -> list[Failure]:
            with library.store.library.reading() as session:
                return failures.failures(session)

        with self.library() as library:
            return read(library)

    def rows(self, query: str, file: str = "library.sqlite") -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.data / file)) as connection:
            return connection.execute(query).fetchall()

    def check(self, files: int) -> tuple[int, int]:
        """What must hold after every campaign; (ready, failed)."""
        states = dict(self.rows("SELECT state, COUNT(*) FROM job GROUP BY state"))
        unread = self.rows("SELECT COUNT(*) FROM path_failure")[0][0]
        ready, failed = int(states.get("done", 0)), int(states.get("failed", 0)) + int(unread)  # type: ignore[call-overload]
        assert set(states) <= {"done", "failed"}, f"the queue is not drained: {states}"
        assert ready + failed == files
        for name in ("library.sqlite", "features.sqlite"):
            assert self.rows("PRAGMA integrity_check", name) == [("ok",)]
        assert self.rows("PRAGMA foreign_key_check") == []
        doubled = "SELECT 1 FROM feature GROUP BY extractor, fingerprint HAVING COUNT(*) > 1"
        assert self.rows(doubled, "features.sqlite") == []
        per_extractor = self.rows("SELECT COUNT(*) FROM feature GROUP BY extractor", "features.sqlite")
        assert all(count == ready for (count,) in per_extractor), (per_extractor, ready)
        assert self.rows("SELECT 1 FROM clip GROUP BY video_id, start_s, end_s HAVING COUNT(*) > 1") == []
        assert self.rows("SELECT 1 FROM transcript GROUP BY video_id, source HAVING COUNT(*) > 1") == []
        assert list((self.data / "staging").iterdir()) == []
        return ready, failed

    def _when_struck(self, meanwhile: Callable[[Campaign], None]) -> None:
        pause = threading.Event()
        for _ in range(6000):
            if self.struck():
                meanwhile(self)
                return
            pause.wait(0.01)


@pytest.fixture
def light_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers come from a server that has imported everything, with networks that cost nothing."""
    monkeypatch.syspath_prepend(str(LIGHT))
    import light_worker

    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["light_worker"])
    with monkeypatch.context() as starting:
        starting.setenv("PYTHONPATH", os.pathsep.join((str(LIGHT), str(LIGHT.parents[2]))))
        forkserver.ensure_running()
    monkeypatch.setattr(process.multiprocessing, "get_context", lambda _kind: server)
    monkeypatch.setattr(process, "_begin", light_worker.begin)


@pytest.fixture
def campaign(light_workers: None, base_clip: Path, tmp_path: Path) -> Campaign:
    return Campaign(base_clip, tmp_path / "videos", tmp_path / "data")


class KilledRuns:
    """Runs of the installed `index`, each killed with its whole process group at a chosen moment."""

    def __init__(self, base: Path, folder: Path) -> None:
        self.videos, self.data, self.log = folder / "videos", folder / "data", folder / "log"
        self.videos.mkdir()
        self._count = 0
        for number in range(CLIPS_KILLED):
            another_clip(base, self.videos / f"{number}.mp4", number).with_suffix(".srt").write_text(SUBTITLE)

    def index(self, **sabotage: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "M2HF_DATA_DIR": str(self.data), "OMP_NUM_THREADS": "1"}
        wishes = {"log": str(self.log), "stage": "never", "delay": "0", "light": "1"} | sabotage
        environment |= {f"M2HF_SABOTAGE_{name.upper()}": value for name, value in wishes.items()}
        environment["PYTHONPATH"] = os.pathsep.join((str(SABOTEUR), str(LIGHT), str(LIGHT.parents[2])))
        command = [
            sys.executable,
            "-m",
            "app.cli.main",
            "index",
            str(self.videos),
            "--preset",
            "demo",
            "--json",
        ]
        return subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            start_new_session=True,
            check=False,
        )

    def kill(self, stage: str, delay_s: float) -> str | None:
        """Give the run a new file to work on, and kill it there; the stage it died in, None if it was over sooner."""
        self._count += 1
        another_clip(
            self.videos / f"{self._count % CLIPS_KILLED}.mp4", self.videos / "aside", self._count + 100
        )
        (self.videos / "aside").replace(self.videos / f"{self._count % CLIPS_KILLED}.mp4")
        self.log.unlink(missing_ok=True)
        done = self.index(stage=stage, delay=str(delay_s))
        if delay_s == 0.0:
            assert done.returncode == -9, (stage, done.stderr)
        for name in ("library.sqlite", "features.sqlite"):
            if (self.data / name).exists():
                assert self.rows(name, "PRAGMA integrity_check") == [("ok",)], (stage, name)
        if done.returncode != -9:
            return None
        # Another process of the group may still write a word between the note and the signal.
        deaths = [line for line in self.log.read_text().splitlines() if line.startswith("killed in ")]
        assert deaths, self.log.read_text()
        return deaths[-1].removeprefix("killed in ")

    def rows(self, name: str, query: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.data / name)) as connection:
            return connection.execute(query).fetchall()

    def finish_and_check(self) -> None:
        """The next run does what is left: everything is there once, and nothing is left to do."""
        done = self.index()
        assert done.returncode == 0, done.stderr
        count = CLIPS_KILLED
        library, features = "library.sqlite", "features.sqlite"
        assert self.rows(library, "SELECT COUNT(*) FROM path WHERE state = 'present'") == [(count,)]
        assert self.rows(library, "SELECT state, COUNT(*) FROM job GROUP BY state") == [("done", count)]
        doubled = "SELECT COUNT(*) FROM {} HAVING COUNT(*) > 1"
        for table in ("clip GROUP BY video_id, start_s, end_s", "transcript GROUP BY video_id, source"):
            assert self.rows(library, doubled.format(table)) == []
        assert self.rows(library, "PRAGMA foreign_key_check") == []
        per_extractor = self.rows(features, "SELECT COUNT(*) FROM feature GROUP BY extractor")
        assert per_extractor == [(count,)] * 2
        assert self.rows(features, doubled.format("feature GROUP BY extractor, fingerprint")) == []
        assert list((self.data / "staging").iterdir()) == []
        assert json.loads(self.index().stdout)["ready"] == 0, "a finished library was extracted again"


@pytest.fixture
def killed_runs(base_clip: Path, tmp_path: Path) -> KilledRuns:
    return KilledRuns(base_clip, tmp_path)
