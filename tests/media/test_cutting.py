"""An exact cut shows what a player shows of the source: upright, and with the sound where it belongs."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from m2hf_core.media import probe, read_frames
from m2hf_core.media.cutting import cut


@pytest.mark.parametrize(
    "name", ["video_0.mov", "video_90.mov", "video_180.mov", "video_270.mov", "portrait.MOV"]
)
def test_a_turned_video_is_cut_upright(shared: Path, tmp_path: Path, name: str) -> None:
    source = shared / "media" / "formats" / name
    made = cut(source, 0.0, 0.6, tmp_path / "cut.mp4", exact=True)
    before, after = probe(source), probe(made.path)
    assert (after.width, after.height) == (before.width // 2 * 2, before.height // 2 * 2)
    (wanted,) = read_frames(source, [made.start_s])
    (found,) = read_frames(made.path, [0.0])
    height, width = found.image.shape[:2]
    difference = np.abs(wanted.image[:height, :width].astype(int) - found.image.astype(int))
    assert difference.mean() < 6
    turned = np.abs(wanted.image[:height, :width][::-1, ::-1].astype(int) - found.image.astype(int))
    assert turned.mean() > 2 * difference.mean(), "upside down it would look otherwise"


def late_sound(path: Path, begins_s: float) -> Path:
    """Three seconds of grey, and a tone that begins later."""
    with av.open(path, "w") as writer:
        video = writer.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        sound = writer.add_stream("aac", rate=16_000)
        sound.layout = "mono"
        for number in range(75):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number, np.uint8), format="rgb24")
            frame.pts = number
            writer.mux(video.encode(frame))
        tone = np.sin(np.arange(16_000) * 0.3).astype(np.float32)[None]
        for start in range(0, 16_000 - 1023, 1024):
            piece = av.AudioFrame.from_ndarray(tone[:, start : start + 1024], format="fltp", layout="mono")
            piece.sample_rate, piece.pts = 16_000, round(begins_s * 16_000) + start
            writer.mux(sound.encode(piece))
        writer.mux(video.encode(None))
        writer.mux(sound.encode(None))
    return path


def test_sound_that_begins_late_stays_late(tmp_path: Path) -> None:
    source = late_sound(tmp_path / "late.mkv", 1.5)
    made = cut(source, 1.0, 2.4, tmp_path / "cut.mkv", exact=True)
    with av.open(made.path) as reader:
        first = next(reader.decode(audio=0))
    assert float(first.pts * first.time_base) == pytest.approx(0.5, abs=0.1)
