"""Sounds vary within their class and can be told apart by plain spectra, which is what makes them learnable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from m2hf_core.synthetic import ClipSpec, draw_specs, sound
from m2hf_core.synthetic.vocabulary import SOUNDS

RATE = 16_000
SOUNDING = [name for name in SOUNDS if name not in ("silence", "none")]


def heard(spec: ClipSpec, rate: int = RATE) -> npt.NDArray[np.float32]:
    samples = sound(spec, rate)
    assert samples is not None
    return samples


def description(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Mean and spread over time of a coarse log spectrum, without its level."""
    windows = samples[: len(samples) // 512 * 512].reshape(-1, 512) * np.hanning(512)
    power = np.abs(np.fft.rfft(windows, axis=1))[:, 1:] ** 2
    bands = np.stack([part.sum(axis=1) for part in np.array_split(power, 24, axis=1)], axis=1)
    logs = np.log10(bands / bands.max() + 1e-6)
    return np.concatenate([logs.mean(axis=0), logs.std(axis=0)])


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize("name", SOUNDING)
def test_every_sound_is_four_seconds_within_range(train_specs: list[ClipSpec], name: str, rate: int) -> None:
    for spec in train_specs[:4]:
        samples = heard(replace(spec, sound=name), rate)
        assert samples.dtype == np.float32
        assert samples.shape == (4 * rate,)
        assert 0.08 < np.abs(samples).max() <= 1.0
        assert abs(samples.mean()) < 0.02


def test_silence_is_a_track_of_zeros_and_none_is_no_track(train_specs: list[ClipSpec]) -> None:
    assert not heard(replace(train_specs[0], sound="silence")).any()
    assert sound(replace(train_specs[0], sound="none"), RATE) is None


@pytest.mark.parametrize("name", SOUNDING)
def test_the_same_labels_sound_the_same_and_others_do_not(train_specs: list[ClipSpec], name: str) -> None:
    one, other = (replace(spec, sound=name) for spec in train_specs[:2])
    assert np.array_equal(heard(one), heard(one))
    assert not np.allclose(heard(one), heard(other), atol=0.01)


def test_the_sound_knows_nothing_of_the_picture(train_specs: list[ClipSpec]) -> None:
    spec = replace(train_specs[0], sound="siren", motion="left")
    assert np.array_equal(heard(spec), heard(replace(spec, motion="spin", shape="moon", nouns=(), count=3)))


@pytest.mark.parametrize("name", SOUNDING)
def test_every_second_holds_the_sound(train_specs: list[ClipSpec], name: str) -> None:
    """An extractor that hears one second at a time hears it in each."""
    for spec in train_specs[:20]:
        samples = heard(replace(spec, sound=name))
        loudest = np.abs(samples.reshape(4, RATE)).max(axis=1)
        assert loudest.min() > 0.5 * loudest.max()


def test_levels_and_pitches_vary(train_specs: list[ClipSpec]) -> None:
    beeps = [heard(replace(spec, sound="beeps")) for spec in train_specs[:30]]
    peaks = [np.abs(samples).max() for samples in beeps]
    assert max(peaks) > 2.5 * min(peaks)
    pitches = [np.abs(np.fft.rfft(samples)).argmax() / 4 for samples in beeps]
    assert max(pitches) - min(pitches) > 400
    assert 650 < min(pitches) < max(pitches) < 1550


def test_a_plain_spectrum_tells_the_classes_apart() -> None:
    """Nearest neighbour among other clips' spectra, test clips against training clips."""
    known = [replace(spec, sound=SOUNDING[i % 8]) for i, spec in enumerate(draw_specs("train", 240, seed=21))]
    asked = [replace(spec, sound=SOUNDING[i % 8]) for i, spec in enumerate(draw_specs("test", 80, seed=21))]
    table = np.stack([description(heard(spec)) for spec in known])
    right = 0
    for spec in asked:
        nearest = int(np.abs(table - description(heard(spec))).sum(axis=1).argmin())
        right += known[nearest].sound == spec.sound
    assert right >= 76
