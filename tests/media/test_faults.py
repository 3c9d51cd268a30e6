"""Damage at random places: a file gives pictures and sound, or a reason; never anything else."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from m2hf_core.errors import UnreadableMedia
from m2hf_core.media import probe, read_audio, read_frames, read_subtitles, times_grid

WriteVideo = Callable[..., Path]


@pytest.mark.faults
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("b.mkv", {}),
        ("c.webm", {"codec": "libvpx-vp9", "audio_codec": "libopus"}),
        ("d.ts", {"container": "mpegts", "audio_codec": "mp2"}),
        ("e.avi", {"codec": "mpeg4", "fps": 25, "audio_codec": "mp2"}),
        ("f.mov", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    ],
)
def test_random_damage(
    name: str, options: dict[str, object], fault_seed: int, tmp_path: Path, write_video: WriteVideo
) -> None:
    chance = random.Random(fault_seed)
    tone = np.sin(np.arange(96000) / 20).astype(np.float32) / 2
    settings = {"audio_codec": "aac", "options": {"g": "10"}, **options}
    path = write_video(tmp_path / name, [i * 40 for i in range(50)], audio=[(0.0, tone)], **settings)
    whole = path.read_bytes()
    answered, reasons = 0, []
    for _ in range(30):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 5, 50])):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)) :]
        path.write_bytes(data)
        try:
            info = probe(path)
            assert 0 < info.duration_s < 1e7
            frames = list(read_frames(path, times_grid(info)[:20], max_side=64))
            assert all(frame.image.dtype == np.uint8 for frame in frames)
            assert np.isfinite(read_audio(path, 16000)).all()
            read_subtitles(path, info)
            answered += 1
        except UnreadableMedia as error:
            reasons.append((error.sentence, error.hint))
    assert answered > 0
    assert all(sentence and hint for sentence, hint in reasons)
