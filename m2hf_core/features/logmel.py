"""VGGish's front end: what the published network was trained to hear, to the last constant.

Source: "CNN architectures for large-scale audio classification" (Hershey et al., 2017) and its code.
Computed in float64: log(x + 0.01) of a silent band multiplies float32's FFT noise a hundredfold.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import numpy.typing as npt

from m2hf_core.features.contracts import Float32

RATE = 16_000
WINDOW, HOP, FFT = 400, 160, 512
BANDS, LOW_HZ, HIGH_HZ = 64, 125.0, 7_500.0
LOG_OFFSET = 0.01
EXAMPLE_FRAMES = 96
EXAMPLE_S = EXAMPLE_FRAMES * HOP / RATE
"""0.96 s from one example to the next."""
EXAMPLE_STEP = EXAMPLE_FRAMES * HOP
EXAMPLE_SAMPLES = EXAMPLE_STEP - HOP + WINDOW
"""15,600: the last window reaches 240 samples into the next example."""

Float64 = npt.NDArray[np.float64]


def hz_to_mel(hz: Float64 | float) -> Float64:
    """HTK's mel scale."""
    return np.asarray(1127.0 * np.log1p(np.asarray(hz, np.float64) / 700.0))


@cache
def mel_matrix() -> Float64:
    """[257, 64] weights: triangles that are linear in mel, without area normalisation, deaf to DC."""
    bins = hz_to_mel(np.linspace(0.0, RATE / 2, FFT // 2 + 1))[:, None]
    edges = np.linspace(hz_to_mel(LOW_HZ), hz_to_mel(HIGH_HZ), BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    weights = np.maximum(0.0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    weights[0] = 0.0
    return np.asarray(weights)


@cache
def periodic_hann() -> Float64:
    """[400]: divided by the length, not by the length less one, as TensorFlow's default is."""
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / WINDOW)


def log_mel(waveform: npt.NDArray[np.floating]) -> Float64:
    """[n] samples at 16 kHz -> [frames, 64]; no centring, an incomplete last window is dropped."""
    if waveform.ndim != 1:
        raise ValueError(f"one channel is wanted, not an array of shape {waveform.shape}")
    if len(waveform) < WINDOW:
        return np.empty((0, BANDS))
    windows = np.lib.stride_tricks.sliding_window_view(waveform, WINDOW)[::HOP]
    magnitude = np.abs(np.fft.rfft(windows * periodic_hann(), FFT))
    return np.asarray(np.log(magnitude @ mel_matrix() + LOG_OFFSET))


def count_examples(samples: int) -> int:
    """How many whole 0.96 s examples fit: none below 15,600 samples."""
    frames = max(0, 1 + (samples - WINDOW) // HOP)
    return frames // EXAMPLE_FRAMES


def examples(waveform: npt.NDArray[np.floating], at_a_time: int = 64) -> Iterator[Float32]:
    """Batches [<= at_a_time, 96, 64] of examples, so that an hour of sound never lies unfolded in memory."""
    total = count_examples(len(waveform))
    for first in range(0, total, at_a_time):
        count = min(at_a_time, total - first)
        start = first * EXAMPLE_STEP
        piece = waveform[start : start + (count - 1) * EXAMPLE_STEP + EXAMPLE_SAMPLES]
        yield log_mel(piece).reshape(count, EXAMPLE_FRAMES, BANDS).astype(np.float32)


def example_spans(count: int, start_s: float = 0.0) -> tuple[Float64, Float64]:
    """Start and end in seconds of `count` neighbouring examples, the first of which begins at `start_s`."""
    edges: Float64 = start_s + np.arange(count + 1, dtype=np.float64) * EXAMPLE_S
    return edges[:-1], edges[1:]
