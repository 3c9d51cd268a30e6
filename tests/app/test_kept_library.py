"""A library that an earlier version of the program wrote is taken over: upgraded, backed up, and searched as before.

`kept/` holds the two files of a library of three demo clips, as the version with schema `library_0001` left them.
"""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from m2hf_core.store.feature_models import FEATURES_REVISION
from m2hf_core.store.models import LIBRARY_REVISION

pytestmark = pytest.mark.release

KEPT = Path(__file__).parent / "kept"
Run = Callable[..., Any]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A data folder as the earlier version left it."""
    for name in ("library", "features"):
        packed = (KEPT / f"{name}_0001.sqlite.gz").read_bytes()
        (tmp_path / f"{name}.sqlite").write_bytes(gzip.decompress(packed))
    (tmp_path / "settings.json").write_text('{\n "preset": "demo"\n}\n')
    return tmp_path


def revision(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found)


def test_an_earlier_library_is_upgraded_and_searched(run: Run, old: Path) -> None:
    assert revision(old / "library.sqlite") == "library_0001" != LIBRARY_REVISION
    words = "the captain repaired his engine"
    found = run("search", words, "--branches", "speech", "--json", "--data-dir", old)
    assert (found.code, found.err) == (0, "")
    (hit,) = found.json["hits"]
    # As the earlier version answered.
    assert (hit["video"], hit["start_s"], hit["end_s"]) == ("/videos/harbour_morning.mp4", 0.0, 4.0)
    assert hit["branches"]["speech"] == {"rank": 1, "score": 0.5, "best_s": 1.0}
    assert hit["words"] == ["captain", "engine", "repair"]
    assert revision(old / "library.sqlite") == LIBRARY_REVISION
    assert revision(old / "features.sqlite") == FEATURES_REVISION
    (backup,) = (old / "backups").iterdir()
    assert revision(backup) == "library_0001"


def test_nothing_that_the_owner_wrote_is_lost(run: Run, old: Path) -> None:
    listed = run("caption", "list", "--json", "--data-dir", old)
    assert [caption["text"] for caption in listed.json] == ["a gull at the harbour"]
    assert run("settings", "get", "preset", "--data-dir", old).out.strip().endswith("demo")
    state = run("status", "--json", "--data-dir", old).json
    assert state["clips"] == 3
    assert state["coverage"]["speech"] > 0
    assert state["coverage"]["clip"] > 0
