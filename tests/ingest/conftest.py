"""Files for the ingest tests that no one has to wait for: a few seconds are encoded, then repeated."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

RATE, SOUND_RATE = 4, 16_000


@pytest.fixture(scope="session")
def write_repeated() -> Callable[[Path, int, int], Path]:
    """`write_repeated(path, loop_s, loops)`: noise with sound, Matroska, 64 x 48 at 4 frames/s."""
    return _write_repeated


def _write_repeated(path: Path, loop_s: int, loops: int) -> Path:
    """Encode `loop_s` seconds once, and write their packets again and again."""
    rng = np.random.default_rng(len(path.name))
    with av.open(path, "w") as container:
        picture = container.add_stream("libx264", rate=RATE, options={"bf": "0", "g": str(loop_s * RATE)})
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=SOUND_RATE, layout="mono")
        frames = [
            av.VideoFrame.from_ndarray(rng.integers(0, 256, (48, 64, 3), np.uint8), format="rgb24")
            for _ in range(loop_s * RATE)
        ]
        packets = [packet for frame in [*frames, None] for packet in picture.encode(frame)]
        noise = rng.integers(-500, 500, loop_s * SOUND_RATE).astype("<i2").tobytes()
        for loop in range(loops):
            for number, packet in enumerate(packets):
                copy = av.Packet(bytes(packet))
                copy.stream, copy.time_base = picture, Fraction(1, RATE)
                copy.pts = copy.dts = loop * len(packets) + number
                copy.duration, copy.is_keyframe = 1, number == 0
                container.mux(copy)
            copy = av.Packet(noise)
            copy.stream, copy.time_base = sound, Fraction(1, SOUND_RATE)
            copy.pts = copy.dts = loop * loop_s * SOUND_RATE
            copy.duration = loop_s * SOUND_RATE
            container.mux(copy)
    return path
