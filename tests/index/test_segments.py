"""Segments come back as they were written; whatever is wrong with them is noticed and never read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from m2hf_core.index import DamagedSegments, Segment, SegmentFolder


def arrays(*ids: int) -> dict[str, np.ndarray]:
    own = np.asarray(ids, np.int64)
    return {"ids": own, "values": (own[:, None] * np.ones(3)).astype(np.float32)}


def alive(segments: list[Segment]) -> dict[int, list[float]]:
    return {
        int(i): segment.arrays["values"][place].tolist()
        for segment in segments
        for place, i in enumerate(segment.ids)
        if segment.alive[place]
    }


@pytest.fixture
def folder(tmp_path: Path) -> SegmentFolder:
    made = SegmentFolder(tmp_path / "index", "key")
    made.add(arrays(1, 2, 3))
    made.add(arrays(4, 5))
    return made


def test_what_was_added_comes_back_mapped(folder: SegmentFolder) -> None:
    segments = SegmentFolder(folder.folder, "key").open()
    assert alive(segments) == {i: [i] * 3 for i in range(1, 6)}
    assert all(isinstance(segment.arrays["values"], np.memmap) for segment in segments)
    assert folder.verify() == []
    assert folder.size_bytes() == sum(p.stat().st_size for p in folder.folder.rglob("*.npy"))


def test_removing_leaves_a_tombstone_and_an_empty_segment_goes(folder: SegmentFolder) -> None:
    folder.remove([2, 4, 99])
    assert set(alive(folder.open())) == {1, 3, 5}
    folder.remove([5])
    assert set(alive(folder.open())) == {1, 3}
    assert len(list(folder.folder.glob("seg-*"))) == 1, "nobody names the other one any more"


def test_merging_copies_what_is_alive(folder: SegmentFolder) -> None:
    folder.remove([2])

    def join(chosen: list[Segment]) -> dict[str, np.ndarray]:
        return arrays(*(int(i) for s in chosen for i in s.ids[s.alive]))

    folder.merge([segment.name for segment in folder.open()], join)
    (only,) = folder.open()
    assert only.ids.tolist() == [1, 3, 4, 5]
    assert only.alive.all()


def test_no_folder_means_no_segments(tmp_path: Path) -> None:
    assert SegmentFolder(tmp_path / "none", "key").open() == []


def test_empty_arrays_are_kept(tmp_path: Path) -> None:
    folder = SegmentFolder(tmp_path, "key")
    folder.add({"ids": np.asarray([7]), "nothing": np.empty((0, 3), np.float32)})
    (segment,) = folder.open()
    assert segment.arrays["nothing"].shape == (0, 3)


@pytest.mark.parametrize("harm", ["short", "bit", "gone", "manifest", "cut", "no text", "folder", "version"])
def test_damage_is_noticed(folder: SegmentFolder, harm: str) -> None:
    file = next(folder.folder.glob("seg-*/values.npy"))
    manifest = folder.folder / "manifest.json"
    if harm == "short":
        file.write_bytes(file.read_bytes()[:-4])
    elif harm == "bit":
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    elif harm == "gone":
        file.unlink()
    elif harm == "manifest":
        manifest.write_text(manifest.read_text().replace('"items": 3', '"items": 4'))
    elif harm == "cut":
        manifest.write_bytes(manifest.read_bytes()[:40])
    elif harm == "no text":
        manifest.write_bytes(manifest.read_bytes()[:40] + b"\x8d\xff" + manifest.read_bytes()[42:])
    elif harm == "folder":
        shutil.rmtree(file.parent)
    else:
        document = json.loads(manifest.read_text())
        document["manifest"]["format"] = 99
        manifest.write_text(json.dumps(document))
    with pytest.raises(DamagedSegments):
        folder.open()
    folder.discard()
    assert folder.open() == []


def test_another_key_is_refused(folder: SegmentFolder) -> None:
    with pytest.raises(DamagedSegments, match="another scorer"):
        SegmentFolder(folder.folder, "other").open()


def test_large_files_are_verified_on_request(folder: SegmentFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("m2hf_core.index.segments.CHECKED_AT_OPENING", 0)
    file = next(folder.folder.glob("seg-*/values.npy"))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert len(alive(folder.open())) == 5
    (found,) = folder.verify()
    assert "values.npy" in found


def test_an_interrupted_write_changes_nothing(folder: SegmentFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(SegmentFolder, "_replace", fail)
        with pytest.raises(OSError, match="space"):
            folder.add(arrays(6))
    assert set(alive(folder.open())) == {1, 2, 3, 4, 5}
    folder.remove([1])
    assert len(list(folder.folder.glob("seg-*"))) == 2, "what nobody names was swept"


def test_an_id_twice_in_a_segment_is_refused(folder: SegmentFolder) -> None:
    with pytest.raises(ValueError, match="twice"):
        folder.add(arrays(7, 7))
