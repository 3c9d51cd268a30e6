"""A fresh library for each test, a small furnished one, and a way to ask SQLite how it would run a query."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from m2hf_core.config.paths import Paths
from m2hf_core.records import Feature, Line, Transcript
from m2hf_core.store import Store, captions, files, folders, jobs, open_store
from m2hf_core.store.commit import Extracted, Heard, commit_extracted
from m2hf_core.store.engine import Database

NOBODY = 65534


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "data")


@pytest.fixture
def store(paths: Paths) -> Iterator[Store]:
    with open_store(paths) as opened:
        yield opened


@pytest.fixture
def furnish() -> Callable[[Store], list[int]]:
    """Fills a store with three finished videos of two clips each, and two queued ones; their video ids."""

    def fill(store: Store) -> list[int]:
        with store.library.writing() as session:
            folder = folders.add_folder(session, "/films")
            videos = [
                files.put_path(session, folder, f"/films/{n}.mp4", 1000 + n, n, f"print{n}") for n in range(5)
            ]
            jobs.queue(session, videos, ["clip@1", "vggish@1"])
        for n in range(3):
            with store.library.writing() as session:
                lease = jobs.lease_next(session, "worker", 0.0, 60.0)
            assert lease is not None
            rows = np.full((4, 3), n, np.float32)
            feature = Feature(rows, np.arange(4.0), np.arange(4.0) + 1)
            line = Line(f"a dog number {n} barks", 0.0, 2.0)
            commit_extracted(
                store,
                lease,
                Extracted(
                    done_with=lease.wanted,
                    features={"clip@1": feature, "vggish@1": feature},
                    info=files.VideoInfo(4.0, 320, 240, True, "mp4", "h264"),
                    spans=[(0.0, 2.0), (2.0, 4.0)],
                    heard=[Heard(Transcript("asr", "en", (line,)), [("dog", "number")], "nltk", "1")],
                ),
            )
        with store.library.writing() as session:
            captions.add_captions(
                session,
                [captions.NewCaption(f"a caption about cat {n}", "bank", videos[0]) for n in range(3)],
            )
        return videos

    return fill


@pytest.fixture
def plan() -> Callable[[Database, Callable[[Session], Any]], list[str]]:
    """The query plans, line by line, of every statement that a function runs on a session."""

    def explain(database: Database, function: Callable[[Session], Any]) -> list[str]:
        statements: list[tuple[str, Any]] = []

        def note(_c: Any, _k: Any, statement: str, parameters: Any, _x: Any, _m: Any) -> None:
            if not statement.startswith(("BEGIN", "PRAGMA")):
                statements.append((statement, parameters))

        event.listen(database.engine, "before_cursor_execute", note)
        try:
            with database.writing() as session:
                function(session)
        finally:
            event.remove(database.engine, "before_cursor_execute", note)
        assert statements
        with database.engine.connect() as connection:
            return [
                row[3]
                for statement, parameters in statements
                for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            ]

    return explain


@pytest.fixture
def locked_up() -> Iterator[Callable[[Path], Any]]:
    """Makes a folder that may only be read, as an ordinary person sees it, for the length of a `with` block."""
    if os.name == "nt":
        pytest.skip("folders have no write permission on Windows")
    changed: list[Path] = []

    @contextmanager
    def lock(folder: Path) -> Iterator[None]:
        changed.append(folder)
        folder.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(NOBODY)  # permissions mean nothing to root
        try:
            yield
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)

    yield lock
    for folder in changed:
        folder.chmod(folder.stat().st_mode | stat.S_IWUSR)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody can reach; pytest's own ones are closed to other people."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
