"""Pictures as people have them: turned by their camera, broken off, or no picture at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.workers.errand import _pixels
from m2hf_core.errors import UnreadableMedia

TURNED_RIGHT = 6
ORIENTATION = 274


def test_a_picture_that_the_camera_turned_is_seen_upright(tmp_path: Path) -> None:
    upright = Image.new("RGB", (40, 20), "white")
    upright.paste("red", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[ORIENTATION] = TURNED_RIGHT
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    pixels = _pixels(tmp_path / "turned.jpg")
    assert pixels.shape == (20, 40, 3)
    assert np.abs(pixels.astype(int) - np.asarray(upright)).mean() < 5


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_a_picture_that_breaks_off_is_a_sentence(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / f"whole.{kind}")
    whole = (tmp_path / f"whole.{kind}").read_bytes()
    (tmp_path / f"cut.{kind}").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableMedia, match="damaged or incomplete"):
        _pixels(tmp_path / f"cut.{kind}")
    (tmp_path / f"none.{kind}").write_text("no picture")
    with pytest.raises(UnreadableMedia):
        _pixels(tmp_path / f"none.{kind}")
