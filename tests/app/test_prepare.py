"""`train prepare` on files of one's own: the features of indexing, what is missing is told, a stop costs nothing."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from app.services import training_data
from app.services.training_data import Order, prepare
from m2hf_core import aside
from m2hf_core.errors import DiskFull, Interrupted, KnownError
from m2hf_core.progress import Progress
from m2hf_core.synthetic import draw_specs
from m2hf_core.synthetic.files import render_library
from m2hf_core.training.data.prepared import open_prepared
from m2hf_core.training.data.synthetic import extract_spec, open_senses


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three rendered clips, one file that is no video, and a manifest that names one more that is not there."""
    folder = tmp_path_factory.mktemp("owned")
    paths = render_library(draw_specs("test", 3, 7), folder)
    (folder / "broken.mp4").write_bytes(b"this is no video" * 100)
    rows = [
        {"video": paths[0].name, "captions": ["one", "two shapes"], "split": "train"},
        {"video": paths[1].stem, "caption": "the second half", "start": 2, "end": 4, "split": "train"},
        {"video": paths[1].stem, "caption": "the whole", "split": "train"},
        {"video": paths[2].name, "caption": "to be found", "split": "test"},
        {"video": "broken.mp4", "caption": "nothing", "split": "test"},
        {"video": "nowhere.mp4", "caption": "a lost clip", "split": "test"},
    ]
    (folder / "mine.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder


def order(videos: Path, out: Path, **changes: bool) -> Order:
    return Order("manifest", videos / "mine.jsonl", videos, out, "demo", "cpu", **changes)


@pytest.fixture(scope="module")
def done(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> training_data.Prepared:
    out = tmp_path_factory.mktemp("out") / "mine"
    return prepare(order(videos, out, allow_missing=True), Progress())


def test_what_is_there_is_prepared(done: training_data.Prepared) -> None:
    assert done.clips == {"train": 3, "test": 1}
    assert done.left_out["nowhere.mp4"] == "its video is missing"
    assert "broken.mp4" in done.left_out
    listed = (done.folder / "left-out.txt").read_text().splitlines()
    assert [line.split("\t")[0] for line in listed] == ["nowhere.mp4", "broken.mp4"]
    data = open_prepared(done.folder, frames=4)
    assert data["train"].texts == ("one", "two shapes", "the second half", "the whole")
    assert data["train"].clip_of_text.tolist() == [0, 0, 1, 2]
    assert data["test"].texts == ("to be found",)
    assert [int(n) for n in data["train"].clips.frame_mask.sum(1)] == [4, 2, 4]
    assert np.array_equal(data["train"].clips.frames[1, :2], data["train"].clips.frames[2, 2:])


def test_a_file_gives_what_its_clip_gives_as_arrays(done: training_data.Prepared) -> None:
    """The codec changes pixels a little; what the networks say must stay the same clip's."""
    from m2hf_core.hub.manifest import get_preset

    train = open_prepared(done.folder, frames=4)["train"]
    senses = open_senses(get_preset("demo"))
    drawn = extract_spec(draw_specs("test", 3, 7)[0], senses)
    assert drawn.raw.motion is not None
    for stored, values in (
        (train.clips.frames[0], drawn.raw.frames.values),
        (train.clips.motion[0], drawn.raw.motion.values),
    ):
        a, b = stored.astype(np.float64), values.astype(np.float64)
        cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        assert cosines.min() > 0.9
    assert train.spoken[0] == drawn.nouns


def test_missing_videos_are_listed_first(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(KnownError) as told:
        prepare(order(videos, tmp_path / "out"), Progress())
    assert "1 of 6 clips have captions but no video" in str(told.value)
    assert "nowhere.mp4" in str(told.value)
    assert "--allow-missing" in str(told.value)
    assert (tmp_path / "out-left-out.txt").read_text().startswith("nowhere.mp4\t")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_any_of_the_videos_is_told(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(KnownError, match="None of the 6 videos of mine is in"):
        prepare(
            Order("manifest", videos / "mine.jsonl", tmp_path, tmp_path / "out", "demo", "cpu"), Progress()
        )


def test_a_full_disk_is_a_sentence_and_costs_nothing(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: training_data.Prepared
) -> None:
    real, left = aside.os.fsync, [2]

    def fill_up(handle: int) -> None:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        real(handle)

    monkeypatch.setattr(aside.os, "fsync", fill_up)
    out = tmp_path / "out"
    with pytest.raises(DiskFull, match="There is no room left"):
        prepare(order(videos, out, allow_missing=True), Progress())
    monkeypatch.undo()
    assert not list(out.rglob("*.part"))
    again = prepare(order(videos, out, allow_missing=True), Progress())
    assert again.clips == done.clips
    for name in ("train-00000.safetensors", "test-00000.safetensors"):
        assert (out / "clips" / name).read_bytes() == (done.folder / "clips" / name).read_bytes()


def test_a_stop_is_obeyed(videos: Path, tmp_path: Path) -> None:
    progress = Progress()
    progress.cancel()
    with pytest.raises(Interrupted):
        prepare(order(videos, tmp_path / "out", allow_missing=True), progress)
    assert not (tmp_path / "out" / "data.json").exists()
