"""Videos written for these tests with plain PyAV: every picture carries its own number as a pattern of bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

WIDTH, HEIGHT, BITS = 128, 96, 8

WriteVideo = Callable[..., Path]


def numbered_picture(number: int) -> np.ndarray:
    """RGB [96, 128, 3]: eight columns, black or white for the bits of `number`; the lower half grey."""
    picture = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    for bit in range(BITS):
        picture[: HEIGHT // 2, bit * 16 : (bit + 1) * 16] = 235 if number >> bit & 1 else 20
    return picture


def read_number(image: np.ndarray) -> int:
    """The number of an upright picture of any size."""
    height, width = image.shape[:2]
    cell = width / BITS
    means = [
        image[height // 8 : height // 3, int((b + 0.3) * cell) : int((b + 0.7) * cell)].mean()
        for b in range(BITS)
    ]
    return sum(1 << bit for bit, mean in enumerate(means) if mean > 128)


def _mux_video(
    output: Any,
    stream: Any,
    times_ms: Sequence[int],
    fps: int,
    pix_fmt: str,
    paint: Callable[[int], np.ndarray],
) -> None:
    for number, time_ms in enumerate(times_ms):
        picture = paint(number)
        frame = av.VideoFrame.from_ndarray(picture, format="rgba" if picture.shape[2] == 4 else "rgb24")
        frame = frame.reformat(format=pix_fmt)
        frame.pts, frame.time_base = round(time_ms * fps / 1000), Fraction(1, fps)
        output.mux(stream.encode(frame))
    output.mux(stream.encode())


def _mux_audio(output: Any, stream: Any, pieces: Sequence[tuple[float, np.ndarray]], rate: int) -> None:
    """Each piece is (start in seconds, mono or [channels, n] float32), cut into frames with its own timestamps."""
    layout = stream.layout.name
    for start_s, samples in pieces:
        samples = np.atleast_2d(samples)
        first = round(start_s * rate)
        for i in range(0, samples.shape[1], 1024):
            part = np.ascontiguousarray((samples[:, i : i + 1024].T.reshape(1, -1) * 32767).astype(np.int16))
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, first + i, Fraction(1, rate)
            output.mux(stream.encode(frame))
    output.mux(stream.encode())


@pytest.fixture(scope="session")
def write_video() -> WriteVideo:
    """`write(path, times_ms, ...)` -> path: one numbered picture at each time; see the parameters."""

    def write(
        path: Path,
        times_ms: Sequence[int] = (),
        *,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        container: str | None = None,
        options: dict[str, str] | None = None,
        mux_options: dict[str, str] | None = None,
        rotation: float | None = None,
        aspect: Fraction | None = None,
        audio: Sequence[tuple[float, np.ndarray]] | None = None,
        audio_codec: str = "pcm_s16le",
        layout: str = "mono",
        rate: int = 48000,
        fps: int = 1000,
        paint: Callable[[int], np.ndarray] = numbered_picture,
    ) -> Path:
        with av.open(str(path), "w", format=container, container_options=mux_options or {}) as output:
            video = sound = None
            if times_ms:
                video = output.add_stream(codec, rate=fps, options=options or {})
                video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, pix_fmt
                video.codec_context.time_base = Fraction(1, fps)
                if aspect is not None:
                    video.codec_context.sample_aspect_ratio = aspect
                if rotation is not None:
                    video.set_display_rotation(rotation)
            if audio is not None:
                sound = output.add_stream(audio_codec, rate=rate, layout=layout)
            if video is not None:
                _mux_video(output, video, times_ms, fps, pix_fmt, paint)
            if sound is not None:
                assert audio is not None
                _mux_audio(output, sound, audio, rate)
        return path

    return write


@pytest.fixture(scope="session")
def number_of() -> Callable[[np.ndarray], int]:
    return read_number


@pytest.fixture(scope="session")
def picture_of() -> Callable[[int], np.ndarray]:
    return numbered_picture


@pytest.fixture(scope="session")
def media_files(shared: Path) -> list[Path]:
    """Every real file that must decode."""
    return sorted([*(shared / "media" / "formats").iterdir(), *(shared / "media" / "clips").iterdir()])
