"""`doctor` finds damage in files that are too large to be read at every opening, and takes it away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.services.index_health import check_index
from m2hf_core.index import SegmentFolder
from m2hf_core.store.lock import FileLock


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SegmentFolder:
    monkeypatch.setattr("m2hf_core.index.segments.CHECKED_AT_OPENING", 0)
    for key in ("one", "two"):
        made = SegmentFolder(tmp_path / key, key)
        made.add({"ids": np.arange(3), "values": np.ones((3, 1 << 18), np.float32)})
    return made


def damage(folder: SegmentFolder) -> None:
    (file,) = folder.folder.glob("seg-*/values.npy")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def test_a_sound_index_is_read_and_left(folder: SegmentFolder, tmp_path: Path) -> None:
    health = check_index(tmp_path)
    assert (health.wrong, health.megabytes) == ((), 6)
    assert len(folder.open()) == 1
    assert check_index(tmp_path / "none").megabytes == 0


def test_what_changed_is_told_and_taken_away(folder: SegmentFolder, tmp_path: Path) -> None:
    damage(folder)
    assert len(folder.open()) == 1, "opening does not see it"
    health = check_index(tmp_path)
    assert len(health.wrong) == 1
    assert "values.npy" in health.wrong[0]
    assert (health.in_use, health.megabytes) == (False, 3)
    assert folder.open() == []
    assert len(SegmentFolder(tmp_path / "one", "one").open()) == 1, "the other scorer's is kept"


def test_what_another_program_writes_to_is_left(folder: SegmentFolder, tmp_path: Path) -> None:
    damage(folder)
    lock = FileLock(folder.folder / "lock")
    lock.acquire()
    try:
        assert check_index(tmp_path).in_use
    finally:
        lock.release()
    assert len(folder.open()) == 1


def test_an_index_without_a_readable_manifest_goes(folder: SegmentFolder, tmp_path: Path) -> None:
    (folder.folder / "manifest.json").write_text("{")
    (sentence,) = check_index(tmp_path).wrong
    assert "of no use" in sentence
    assert folder.open() == []
