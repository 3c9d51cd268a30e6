"""Errands come back, are kept, and die alone."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.services.caches import make_room
from app.services.errands import Errands
from app.workers.errand import ERRANDS, Errand, run
from m2hf_core.config.paths import Paths
from m2hf_core.config.settings import Settings
from m2hf_core.errors import KnownError
from m2hf_core.media import fingerprint_file, read_frames
from m2hf_core.synthetic import draw_specs
from m2hf_core.synthetic.files import render_file


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    render_file(draw_specs("train", 1, seed=3)[0], path)
    return path


@pytest.fixture
def errands(tmp_path: Path) -> Iterator[Errands]:
    with Errands(tmp_path / "data", "demo") as running:
        yield running


def test_the_picture_of_a_moment_is_the_frame_shown_there_and_kept(
    errands: Errands, video: Path, tmp_path: Path
) -> None:
    made = errands.thumbnail(video, 2.5, 96).result(60)
    assert made.parent == tmp_path / "data" / "thumbnails" / fingerprint_file(video)
    shown = next(iter(read_frames(video, [2.5], max_side=96))).image
    seen = cv2.cvtColor(cv2.imread(str(made)), cv2.COLOR_BGR2RGB)
    assert seen.shape == shown.shape
    assert np.abs(seen.astype(int) - shown.astype(int)).mean() < 6, "JPEG, not another frame"
    before = made.stat().st_ino
    again = errands.thumbnail(video, 2.5, 96)
    assert again.done(), "from the cache, without the process"
    assert again.result().stat().st_ino == before


def test_another_file_in_the_same_place_gets_its_own_picture(
    errands: Errands, video: Path, tmp_path: Path
) -> None:
    place = tmp_path / "clip.mp4"
    shutil.copy(video, place)
    first = errands.thumbnail(place, 1.0, 96).result(60)
    render_file(draw_specs("train", 2, seed=4)[1], place)
    second = errands.thumbnail(place, 1.0, 96).result(60)
    assert second.parent.name == fingerprint_file(place)
    assert first.parent.name == fingerprint_file(video)


@pytest.mark.skipif(sys.platform == "win32", reason="stops a process by a signal")
def test_what_hangs_or_dies_costs_its_own_errand_only(video: Path, tmp_path: Path) -> None:
    with Errands(tmp_path / "data", timeout_s=2.0) as errands:
        errands.thumbnail(video, 0.0).result(60)
        first = errands.process
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        with pytest.raises(KnownError, match="in time"):
            errands.thumbnail(video, 1.0).result(60)
        assert errands.thumbnail(video, 1.0).result(60).is_file()
        second = errands.process
        assert second not in (None, first)
        os.kill(second, signal.SIGKILL)  # type: ignore[arg-type]
        with pytest.raises(KnownError) as caught:
            errands.thumbnail(tmp_path / "nowhere.mp4", 1.0).result(60)
        assert caught.value.sentence


def test_a_bad_file_is_told_in_words(errands: Errands, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video at all" * 100)
    with pytest.raises(KnownError) as caught:
        errands.thumbnail(tmp_path / "bad.mp4", 0.0).result(60)
    assert caught.value.hint


def test_a_cut_is_a_video_and_never_overwrites(errands: Errands, video: Path, tmp_path: Path) -> None:
    from m2hf_core.media import probe

    target = errands.cut(video, 1.0, 3.0, tmp_path / "cut.mp4").result(120)
    assert 1.0 <= probe(target).duration_s <= 4.2
    with pytest.raises(KnownError, match="there already"):
        errands.cut(video, 1.0, 3.0, target).result(60)


def test_what_was_not_begun_is_cancelled_by_closing(video: Path, tmp_path: Path) -> None:
    errands = Errands(tmp_path / "data")
    asked = [errands.thumbnail(video, 0.1 * number) for number in range(40)]
    errands.close()
    endings = [future.cancelled() or future.exception() is not None or future.result() for future in asked]
    assert all(endings)
    with pytest.raises(CancelledError):
        errands.thumbnail(video, 0.0).result(1)


def test_the_cache_keeps_to_its_budget_and_never_drops_a_poster(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "data")
    poster = paths.thumbnails / "abc.jpg"
    poster.parent.mkdir(parents=True)
    poster.write_bytes(bytes(3 << 20))
    for number in range(30):
        picture = paths.thumbnails / f"video{number % 3}" / f"{number}-320.jpg"
        picture.parent.mkdir(exist_ok=True)
        picture.write_bytes(bytes(100_000))
        os.utime(picture, (number, number))
    assert make_room(paths) == 0
    Settings.load(paths).set("cache_mb", "2")
    assert make_room(paths) > 0
    pictures = list(paths.thumbnails.glob("*/*.jpg"))
    assert sum(path.stat().st_size for path in pictures) <= 0.8 * (2 << 20)
    left = {int(path.name.split("-")[0]) for path in pictures}
    assert left == set(range(30 - len(left), 30)), "the oldest went"
    assert poster.is_file()
    Settings.load(paths).set("cache_mb", "0")
    make_room(paths)
    assert [path.name for path in paths.thumbnails.iterdir()] == ["abc.jpg"]


@pytest.mark.slow
def test_a_picture_is_encoded_as_a_frame_is(errands: Errands, video: Path, tmp_path: Path) -> None:
    from m2hf_core.features.clip import open_image_tower
    from m2hf_core.hub import get_preset

    frame = next(iter(read_frames(video, [1.0]))).image
    cv2.imwrite(str(tmp_path / "frame.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    vector = errands.encode_image(tmp_path / "frame.png").result(300)
    expected = open_image_tower(get_preset("demo")).encode(frame[None])[0]
    np.testing.assert_allclose(vector, expected, atol=1e-4)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ERRANDS, "identify", Path.read_bytes)
    link = tmp_path / "dangling.png"
    link.symlink_to(tmp_path / "nowhere.png")
    brought = run(Errand(1, "identify", (link,)))
    assert brought.error is not None
    assert str(brought.error).startswith(f"{link} could not be read or written (No such file")
