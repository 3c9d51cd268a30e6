"""The ten kinds of sound of a synthetic clip, made by formula at any sample rate.

Every sounding class repeats or lasts within one second, because VGGish hears 0.96 s at a time. Pitch, tempo,
level and phase vary from clip to clip and a faint hiss lies under all of them, so no single line of a spectrum
gives a class away.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from m2hf_core.synthetic.specs import DURATION_S, ClipSpec, nuisance_rng

Samples = npt.NDArray[np.float32]
Clock = npt.NDArray[np.float64]

_SOUND_PART = 2
_FADE_S = 0.01
_PEAK_DB, _HISS_DB = (-20.0, -8.0), (-50.0, -36.0)


def sound(spec: ClipSpec, rate: int) -> Samples | None:
    """[4 s * rate] mono samples within -1 to 1; zeros for `silence`, None for a clip without a track."""
    if spec.sound == "none":
        return None
    length = round(DURATION_S * rate)
    if spec.sound == "silence":
        return np.zeros(length, dtype=np.float32)
    rng = nuisance_rng(spec, _SOUND_PART)
    peak, hiss = (10 ** (rng.uniform(*decibels) / 20) for decibels in (_PEAK_DB, _HISS_DB))
    made = _MAKERS[spec.sound](np.arange(length) / rate, rng)
    made *= np.float32(peak / np.abs(made).max())
    made += np.float32(peak * hiss) * _hiss(length, rng)
    fade = np.linspace(0, 1, round(_FADE_S * rate), dtype=np.float32)
    made[: len(fade)] *= fade
    made[-len(fade) :] *= fade[::-1]
    heard: Samples = np.clip(made, -1, 1)
    return heard


def _wave(cycles: Clock) -> Samples:
    """The sine after so many cycles; the whole ones are dropped in double precision, the rest is cheap."""
    wave: Samples = np.sin(np.float32(2 * np.pi) * (cycles - np.floor(cycles)).astype(np.float32))
    return wave


def _hiss(length: int, rng: np.random.Generator) -> Samples:
    return rng.standard_normal(length, dtype=np.float32)


def _since_last(t: Clock, rng: np.random.Generator, slowest: float, fastest: float) -> Samples:
    """Seconds since the latest of regular events, `slowest` to `fastest` of them per second, at a random phase."""
    tempo = rng.uniform(slowest, fastest)
    beats = t * tempo + rng.random()
    return ((beats - np.floor(beats)) / tempo).astype(np.float32)


def _pulse(since: Samples, lasts: float, edge: float) -> Samples:
    """1 during the first `lasts` seconds after an event, with soft edges, else 0."""
    pulse: Samples = np.clip(np.minimum(since, np.float32(lasts) - since) / np.float32(edge), 0, 1)
    return pulse


def _decay(since: Samples, time_s: float) -> Samples:
    decay: Samples = np.exp(since * np.float32(-1 / time_s))
    return decay


def _beeps(t: Clock, rng: np.random.Generator) -> Samples:
    since = _since_last(t, rng, 2.5, 4.0)
    return _pulse(since, rng.uniform(0.10, 0.16), 0.006) * _wave(rng.uniform(700, 1500) * t)


def _chirp(t: Clock, rng: np.random.Generator) -> Samples:
    since, lasts = _since_last(t, rng, 1.8, 2.8), rng.uniform(0.22, 0.32)
    low, high = rng.uniform(1400, 2000), rng.uniform(4000, 5500)
    passed = since.astype(np.float64)
    sweep = low * passed + (high - low) / (2 * lasts) * passed**2
    return _pulse(since, lasts, 0.02) * _wave(sweep)


def _noise(t: Clock, rng: np.random.Generator) -> Samples:
    swell = _wave(rng.uniform(0.3, 1.0) * t + rng.random())
    return _hiss(len(t), rng) * (1 + np.float32(0.25) * swell)


def _drum(t: Clock, rng: np.random.Generator) -> Samples:
    since, low = _since_last(t, rng, 2.0, 3.6), rng.uniform(70, 120)
    thump = _wave(low * since.astype(np.float64) + 0.4 * (1 - _decay(since, 0.03))) * _decay(since, 0.09)
    skin = _wave(2.3 * low * since.astype(np.float64)) * _decay(since, 0.04)
    drum: Samples = (
        thump + np.float32(0.5) * skin + np.float32(0.15) * _hiss(len(t), rng) * _decay(since, 0.008)
    )
    return drum


def _siren(t: Clock, rng: np.random.Generator) -> Samples:
    middle, depth, tempo = rng.uniform(750, 1000), rng.uniform(0.30, 0.42), rng.uniform(1.0, 1.8)
    wail = _wave(tempo * t + rng.random()).astype(np.float64)
    cycles = middle * t + middle * depth / (2 * np.pi * tempo) * wail
    return _wave(cycles) + np.float32(0.3) * _wave(2 * cycles)


def _chord(t: Clock, rng: np.random.Generator) -> Samples:
    root, third = rng.uniform(200, 360), 2 ** (rng.choice([3, 4]) / 12)
    tremble = 1 + np.float32(0.1) * _wave(rng.uniform(4, 6) * t)
    tones = np.zeros(len(t), dtype=np.float32)
    for ratio in (1, third, 1.5):
        for octave in (1, 2):
            tones += np.float32(1 / octave) * _wave(root * ratio * octave * t + rng.random())
    return tones * tremble


def _buzz(t: Clock, rng: np.random.Generator) -> Samples:
    """Harmonics k of falling strength r^k, summed in closed form."""
    r, cycles = np.float32(rng.uniform(0.86, 0.91)), rng.uniform(85, 140) * t + rng.random()
    return _wave(cycles) / (1 + r * r - 2 * r * _wave(cycles + 0.25))


def _tick(t: Clock, rng: np.random.Generator) -> Samples:
    since, pitch = _since_last(t, rng, 2.0, 5.0), rng.uniform(2200, 3800)
    return _wave(pitch * since.astype(np.float64)) * _decay(since, rng.uniform(0.003, 0.006))


_MAKERS: dict[str, Callable[[Clock, np.random.Generator], Samples]] = {
    "beeps": _beeps,
    "chirp": _chirp,
    "noise": _noise,
    "drum": _drum,
    "siren": _siren,
    "chord": _chord,
    "buzz": _buzz,
    "tick": _tick,
}
