"""The front end against a calculation that shares no line with it: explicit DFT, band by band, in float64."""

from __future__ import annotations

import math
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m2hf_core.features import logmel


def slow_log_mel(signal: np.ndarray) -> np.ndarray:
    """The definition, written out: no FFT, no mel library, one band at a time."""
    time = np.arange(400)
    hann = np.array([math.sin(math.pi * t / 400) ** 2 for t in time])
    dft = np.exp(-2j * np.pi * np.outer(np.arange(257), time) / 512)
    bin_mels = [1127 * math.log(1 + k * 31.25 / 700) for k in range(257)]
    bottom, top = 1127 * math.log(1 + 125 / 700), 1127 * math.log(1 + 7500 / 700)
    step = (top - bottom) / 65
    rows = []
    start = 0
    while start + 400 <= len(signal):
        spectrum = np.abs(dft @ (hann * signal[start : start + 400].astype(np.float64)))
        row = []
        for band in range(64):
            centre = bottom + (band + 1) * step
            weights = [max(0.0, 1 - abs(mel - centre) / step) for mel in bin_mels]
            row.append(math.log(sum(w * s for w, s in zip(weights[1:], spectrum[1:], strict=True)) + 0.01))
        rows.append(row)
        start += 160
    return np.array(rows)


@pytest.mark.parametrize("loudness", [1.0, 1e-3, 0.0])
def test_log_mel_equals_the_definition(loudness: float) -> None:
    rng = np.random.default_rng(0)
    time = np.arange(4_000) / 16_000
    signal = loudness * (0.4 * np.sin(2 * np.pi * 1_000 * time) + 0.1 * rng.standard_normal(4_000) + 0.2)
    signal = signal.astype(np.float32)
    expected = slow_log_mel(signal)
    assert expected.shape == (23, 64)
    np.testing.assert_allclose(logmel.log_mel(signal), expected, atol=1e-5, rtol=0)


def test_a_tone_excites_its_own_band() -> None:
    time = np.arange(16_000) / 16_000
    edges = 700 * np.expm1(np.linspace(np.log1p(125 / 700), np.log1p(7500 / 700), 66))
    for hz in (300.0, 1_000.0, 5_000.0):
        loudest = logmel.log_mel(np.sin(2 * np.pi * hz * time)).mean(axis=0).argmax()
        assert edges[loudest] <= hz <= edges[loudest + 2]


@pytest.mark.parametrize(
    ("samples", "count"),
    [(0, 0), (399, 0), (15_599, 0), (15_600, 1), (30_959, 1), (30_960, 2), (int(35.16 * 16_000), 36)],
)
def test_number_of_examples(samples: int, count: int) -> None:
    assert logmel.count_examples(samples) == count
    batches = list(logmel.examples(np.zeros(samples, np.float32)))
    assert sum(len(batch) for batch in batches) == count
    assert all(batch.shape[1:] == (96, 64) and batch.dtype == np.float32 for batch in batches)


def test_real_sound_gives_whole_examples(shared: Path) -> None:
    with wave.open(str(shared / "audio" / "RD_Radio31_000.wav")) as file:
        channels, rate = file.getnchannels(), file.getframerate()
        raw = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert rate == 16_000
    signal = (raw.reshape(-1, channels).mean(axis=1) / 32_768).astype(np.float32)
    (batch,) = logmel.examples(signal)
    assert len(batch) == (len(signal) - 400 + 160) // 160 // 96 == 8
    np.testing.assert_allclose(batch[3], slow_log_mel(signal[3 * 15_360 :][:15_600]), atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 60_000), st.integers(1, 5))
def test_batching_changes_nothing(samples: int, at_a_time: int) -> None:
    signal = np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    batches = [np.empty((0, 96, 64), np.float32), *logmel.examples(signal, at_a_time)]
    whole = logmel.log_mel(signal)
    whole = whole[: len(whole) // 96 * 96].reshape(-1, 96, 64)
    np.testing.assert_allclose(np.concatenate(batches), whole, atol=1e-6)


def test_spans_are_neighbours_of_096_seconds() -> None:
    begin, end = logmel.example_spans(3, start_s=2.0)
    np.testing.assert_allclose(begin, [2.0, 2.96, 3.92])
    np.testing.assert_allclose(end, [2.96, 3.92, 4.88])


def test_stereo_is_refused() -> None:
    with pytest.raises(ValueError, match="one channel"):
        logmel.log_mel(np.zeros((2, 16_000), np.float32))
