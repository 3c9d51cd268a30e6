"""The ten kinds of sound of a synthetic clip, made by formula at any sample rate.

Every sounding class repeats or lasts within one second, because VGGish hears 0.96 s at a time. Pitch, tempo, level
and phase vary from clip to clip and a faint hiss lies under all of them, so no single spectrum line gives a class away.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from m2hf_core.synthetic.specs import DURATION_S, ClipSpec, nuisance_rng

Samples = npt.NDArray[np.float32]
_Maker = Callable[[npt.NDArray[np.float64], np.random.Generator], npt.NDArray[np.float64]]

_SOUND_PART = 2
_FADE_S = 0.01
_LOUDEST_DB, _SOFTEST_DB = -8.0, -20.0
"""Range of the peak level."""


def sound(spec: ClipSpec, rate: int) -> Samples | None:
    """[4 s * rate] mono samples within -1 to 1; zeros for `silence`, None for a clip without a track."""
    if spec.sound == "none":
        return None
    length = round(DURATION_S * rate)
    if spec.sound == "silence":
        return np.zeros(length, dtype=np.float32)
    rng = nuisance_rng(spec, _SOUND_PART)
    peak, hiss = 10 ** (rng.uniform(_SOFTEST_DB, _LOUDEST_DB) / 20), 10 ** (rng.uniform(-50, -36) / 20)
    made = _MAKERS[spec.sound](np.arange(length) / rate, rng)
    made = made / np.abs(made).max() + hiss * rng.standard_normal(length)
    fade = np.minimum(1, np.arange(length) / (_FADE_S * rate))
    return np.clip(peak * made * fade * fade[::-1], -1, 1).astype(np.float32)


def _since_last(
    t: npt.NDArray[np.float64], rng: np.random.Generator, slowest: float, fastest: float
) -> npt.NDArray[np.float64]:
    """Seconds since the latest of regular events, `slowest` to `fastest` of them per second, at a random phase."""
    period = 1 / rng.uniform(slowest, fastest)
    return (t + rng.uniform(0, period)) % period


def _beeps(t: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    since, lasts = _since_last(t, rng, 2.5, 4.0), rng.uniform(0.10, 0.16)
    envelope = np.clip(np.minimum(since, lasts - since) / 0.006, 0, 1)
    return envelope * np.sin(2 * np.pi * rng.uniform(700, 1500) * t)


def _chirp(t: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    since, lasts = _since_last(t, rng, 1.8, 2.8), rng.uniform(0.22, 0.32)
    low, high = rng.uniform(1400, 2000), rng.uniform(4000, 5500)
    sweep = low * since + (high - low) * since**2 / (2 * lasts)
    return np.clip(np.minimum(since, lasts - since) / 0.02, 0, 1) * np.sin(2 * np.pi * sweep)


def _noise(t: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    hiss = rng.standard_normal(len(t))
    return hiss * (1 + 0.25 * np.sin(2 * np.pi * rng.uniform(0.3, 1.0) * t + rng.uniform(0, 6)))


def _drum(t: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    since, low = _since_last(t, rng, 2.0, 3.6), rng.uniform(70, 120)
    thump = np.sin(2 * np.pi * (low * since + 2.4 * (1 - np.exp(-since / 0.03)))) * np.exp(-since / 0.09)
    skin = np.sin(2 * np.pi * 2.3 * low * since) * np.exp(-since / 0.04)
    return thump + 0.5 * skin + 0.15 * rng.standard_normal(len(t)) * np.exp(-since / 0.008)


def _siren(t: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    middle, depth, tempo = rng.uniform(750, 1000), rng.uniform(0.30, 0.42), rng.uniform(1.0, 1.8)
    wail = 2 * np.pi * tempo * t + rng.uniform(0, 6)
    angle = 2 * np.pi * middle * t - middle * depth / tempo * np.cos(wail)
    return np.sin(angle) + 0.3 * np.sin(2 * angle)


def _chord(t: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    root = rng.uniform(200, 360)
    third = 2 ** (rng.choice([3, 4]) / 12)
    voices = [(root * ratio * octave, 1 / octave) for ratio in (1, third, 1.5) for octave in (1, 2)]
    tones = [level * np.sin(2 * np.pi * pitch * t + rng.uniform(0, 6)) for pitch, level in voices]
    return np.sum(tones, axis=0) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(4, 6) * t))


def _buzz(t: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Harmonics k of falling strength r^k, summed in closed form."""
    r, angle = rng.uniform(0.86, 0.91), 2 * np.pi * rng.uniform(85, 140) * t + rng.uniform(0, 6)
    return r * np.sin(angle) / (1 - 2 * r * np.cos(angle) + r * r)


def _tick(t: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    since, pitch = _since_last(t, rng, 2.0, 5.0), rng.uniform(2200, 3800)
    return np.sin(2 * np.pi * pitch * since) * np.exp(-since / rng.uniform(0.003, 0.006))


_MAKERS: dict[str, _Maker] = {
    "beeps": _beeps,
    "chirp": _chirp,
    "noise": _noise,
    "drum": _drum,
    "siren": _siren,
    "chord": _chord,
    "buzz": _buzz,
    "tick": _tick,
}
