"""Thumbnails: size, colours, and that nobody ever sees half of one."""

from __future__ import annotations

import errno
from pathlib import Path

import cv2
import numpy as np
import pytest

from m2hf_core.errors import DiskFull
from m2hf_core.media import save_thumbnail

IMAGE = np.zeros((400, 800, 3), np.uint8)
IMAGE[..., 0], IMAGE[:200, :, 1] = 200, 100


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp", ".JPG"])
def test_written_picture_is_the_picture_made_small(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / f"a{suffix}"
    save_thumbnail(IMAGE, path)
    back = cv2.imread(str(path))[..., ::-1]
    assert back.shape == (160, 320, 3)
    assert np.abs(back[20:60].mean(axis=(0, 1)) - (200, 100, 0)).max() < 6
    assert np.abs(back[100:140].mean(axis=(0, 1)) - (200, 0, 0)).max() < 6
    assert list(path.parent.iterdir()) == [path]


def test_sides(tmp_path: Path) -> None:
    for shape, side, expected in (
        ((400, 800), 100, (50, 100)),
        ((800, 2), 100, (100, 1)),
        ((30, 40), 320, (30, 40)),
    ):
        save_thumbnail(np.zeros((*shape, 3), np.uint8), tmp_path / "a.jpg", side)
        assert cv2.imread(str(tmp_path / "a.jpg")).shape[:2] == expected


def test_other_endings_are_a_mistake_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.png"):
        save_thumbnail(IMAGE, tmp_path / "a.png")


def test_a_failed_write_leaves_the_old_one_and_no_remains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jpg"
    save_thumbnail(IMAGE, path)
    before = path.read_bytes()

    def full(source: str, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("m2hf_core.media.thumbnails.os.replace", full)
    with pytest.raises(DiskFull, match="no space left"):
        save_thumbnail(IMAGE[::-1], path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
