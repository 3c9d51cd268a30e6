"""Colours, transparency, turning and scaling, each against its own arithmetic."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from m2hf_core.errors import UnreadableMedia
from m2hf_core.media import read_frames

WriteVideo = Callable[..., Path]


def first_image(path: Path, max_side: int | None = None) -> np.ndarray:
    return next(read_frames(path, [0.0], max_side=max_side)).image


def _expected_rgb(path: Path, red: float, blue: float, full: bool) -> np.ndarray:
    """RGB from the stored 4:2:0 planes by the textbook formulas, chroma repeated."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    planes = [
        np.frombuffer(plane, np.uint8)
        .reshape(-1, plane.line_size)[: plane.height, : plane.width]
        .astype(float)
        for plane in frame.planes
    ]
    luma = planes[0]
    cb, cr = (np.kron(plane, np.ones((2, 2)))[: luma.shape[0], : luma.shape[1]] - 128 for plane in planes[1:])
    if not full:
        luma, cb, cr = (luma - 16) * 255 / 219, cb * 255 / 224, cr * 255 / 224
    r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
    g = (luma - red * r - blue * b) / (1 - red - blue)
    return np.clip(np.stack([r, g, b], axis=-1), 0, 255)


@pytest.mark.parametrize(
    ("name", "red", "blue", "full"),
    [
        ("formats/bt709_full_range.mp4", 0.2126, 0.0722, True),
        ("formats/fixture-mjpeg.mov", 0.299, 0.114, True),
        ("clips/02_cups.mp4", 0.2126, 0.0722, False),
        ("clips/applausing.mp4", 0.299, 0.114, False),
    ],
)
def test_colour_matrix_and_range(name: str, red: float, blue: float, full: bool, shared: Path) -> None:
    path = shared / "media" / name
    image = first_image(path)
    error = np.abs(_expected_rgb(path, red, blue, full) - image).mean()
    others = [
        np.abs(_expected_rgb(path, r, b, f) - image).mean()
        for r, b in ((0.2126, 0.0722), (0.299, 0.114))
        for f in (True, False)
        if (r, f) != (red, full)
    ]
    assert error < 1.2  # chroma is interpolated here, repeated there
    assert error < 0.7 * min(others)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mov", "png", "rgba"),
        ("b.mov", "qtrle", "argb"),
        ("c.mkv", "ffv1", "yuva420p"),
        ("d.webm", "libvpx-vp9", "yuva420p"),
        ("e.webm", "libvpx", "yuva420p"),
    ],
)
def test_transparency_lies_on_black(
    name: str, codec: str, pix_fmt: str, tmp_path: Path, write_video: WriteVideo
) -> None:
    def paint(number: int) -> np.ndarray:
        picture = np.full((96, 128, 4), 200, np.uint8)
        picture[:, :42, 3], picture[:, 42:84, 3], picture[:, 84:, 3] = 255, 128, 0
        return picture

    options = {"auto-alt-ref": "0"} if codec.startswith("libvpx") else {}
    path = write_video(
        tmp_path / name, [0, 40, 80], codec=codec, pix_fmt=pix_fmt, paint=paint, options=options
    )
    for strategy in ("stream", "seek"):
        image = next(read_frames(path, [0.05], strategy=strategy)).image
        assert image.shape == (96, 128, 3)
        assert [float(image[:, x].mean()) for x in (20, 63, 110)] == pytest.approx([200, 100, 0], abs=4)


def test_ten_bits_keep_their_levels(tmp_path: Path, write_video: WriteVideo, shared: Path) -> None:
    def ramp(number: int) -> np.ndarray:
        return np.repeat(np.tile(np.linspace(20, 230, 128).astype(np.uint8), (96, 1))[..., None], 3, axis=2)

    path = write_video(tmp_path / "ten.mp4", [0, 40], pix_fmt="yuv420p10le", paint=ramp, options={"crf": "1"})
    assert np.abs(first_image(path).astype(int) - ramp(0)).mean() < 2
    assert first_image(shared / "media" / "formats" / "h264_10bits.mp4").std() > 5


def test_turned_pictures_stand_upright(
    tmp_path: Path, write_video: WriteVideo, picture_of, number_of
) -> None:
    """A camera that was held turned stores turned pictures; what we show is what it saw."""
    # number_of reads the upper half only, so a wrong direction is noticed.
    for degrees, quarter_turns in ((0, 0), (-90, 1), (180, 2), (90, 3)):

        def stored(number: int, turns: int = quarter_turns) -> np.ndarray:
            upright = picture_of(0b10110010 ^ number)
            if turns % 2:
                upright = np.ascontiguousarray(np.repeat(upright, 1, axis=0)[:, :96])
                upright = np.concatenate([upright, upright[-32:]], axis=0)
            # Clockwise degrees to show means stored counterclockwise.
            return np.ascontiguousarray(np.rot90(upright, turns))

        path = write_video(
            tmp_path / "turned.mp4", [0, 40], rotation=degrees, paint=stored, options={"crf": "1"}
        )
        expected = np.rot90(stored(0), -quarter_turns)
        assert np.abs(first_image(path).astype(int) - expected).mean() < 8, degrees


def test_real_turned_files_are_turned_as_their_manifest_says(shared: Path) -> None:
    manifest = {entry["file"]: entry for entry in json.loads((shared / "MANIFEST.json").read_text())}
    turned = [entry for name, entry in manifest.items() if name.startswith("media/") and entry["rotation"]]
    assert {entry["rotation"] for entry in turned} == {-90, -180, 90}
    for entry in turned:
        path = shared / entry["file"]
        with av.open(str(path)) as container:
            stored = next(container.decode(video=0)).to_ndarray(format="rgb24")
        # The manifest and rot90 both count counterclockwise.
        assert np.array_equal(first_image(path), np.rot90(stored, entry["rotation"] // 90)), path.name


def test_a_picture_of_absurd_size_is_refused(tmp_path: Path, write_video: WriteVideo, monkeypatch) -> None:
    path = write_video(tmp_path / "plain.mp4", [0, 40])
    assert first_image(path).shape == (96, 128, 3)
    monkeypatch.setattr("m2hf_core.media.packets._LARGEST_PICTURE", 96 * 100)
    with pytest.raises(UnreadableMedia, match="No picture"):
        first_image(path)


def test_longer_side_is_bounded_and_never_enlarged(
    tmp_path: Path, write_video: WriteVideo, number_of
) -> None:
    path = write_video(tmp_path / "plain.mp4", [i * 40 for i in range(8)])
    assert [first_image(path, side).shape for side in (64, 128, 500, None)] == [
        (48, 64, 3),
        (96, 128, 3),
        (96, 128, 3),
        (96, 128, 3),
    ]
    assert number_of(next(read_frames(path, [0.2], max_side=64)).image) == 5
    tall = write_video(tmp_path / "tall.mp4", [0, 40], aspect=Fraction(2, 1), rotation=-90)
    assert first_image(tall).shape == (256, 96, 3)
    assert first_image(tall, 64).shape == (64, 24, 3)
    assert first_image(tall).flags.c_contiguous
