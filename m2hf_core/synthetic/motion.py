"""Where every shape of a synthetic clip is at a moment, such that a set of frames does not tell which way it goes.

Every shape has a place on a torus, a size and an angle, all drawn without looking at the motion. Translation,
growth and spin turn one of these phases a whole number of times within the clip. What is drawn depends on the
phase alone, so frame i of "left" is, bit for bit, frame (96 - i) mod 96 of "right" with the same labels: both
clips consist of the same frames, and only their order differs (likewise up and down, grow and shrink). A frame of
a growing clip has the same distribution of sizes as a frame of any other clip, a frame of a moving clip the same
distribution of places.

At the seam, where the phase wraps, the leaving copy fades out while the returning one fades in; this also depends
on the phase alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m2hf_core.synthetic.specs import DURATION_S, ClipSpec

FloatArray = npt.NDArray[np.float64]

_LOW, _SPAN = 0.19, 0.62
"""The box of shape centres, as a share of the picture's side."""
_RADII = {1: (0.10, 0.18), 2: (0.085, 0.15), 3: (0.07, 0.12)}
"""Smallest and largest radius by count, as a share of the picture's side; growth passes through all of them."""
_FADE = 0.08
_CANDIDATES = 256
_TURNS = np.array([2, 3])
_HOPS = np.array([6, 8])
_SHAKES = np.array([12, 16])

_DIRECTION = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
_GROWTH = {"grow": 1, "shrink": -1}


@dataclass(frozen=True, slots=True)
class Poses:
    """[times, shapes, 2] each; the last axis is the shape itself and its ghost at the seam.

    Places and radii are shares of the picture's side, angles radians, `alpha` 0 to 1.
    """

    x: FloatArray
    y: FloatArray
    radius: FloatArray
    angle: FloatArray
    alpha: FloatArray
    largest: float
    """The largest radius at any time of the clip, whatever times were asked for."""


def poses(spec: ClipSpec, times_s: FloatArray, rng: np.random.Generator) -> Poses:
    """The shapes at these times. Draws the same amount from `rng` whatever the motion is."""
    sizes = round(rng.random(), 9)
    angles = rng.uniform(0, 2 * np.pi, spec.count)
    turns, hops, shakes = (int(rng.choice(options)) for options in (_TURNS, _HOPS, _SHAKES))
    phase, sign, reach = rng.uniform(0, 2 * np.pi), float(rng.choice([-1.0, 1.0])), rng.random()
    candidates = rng.random((_CANDIDATES, spec.count, 2))

    # Phases are rounded to nine decimals, so that those that agree agree to the last bit.
    cycle = np.round(np.asarray(times_s, dtype=np.float64) / DURATION_S, 12)
    turn = np.round((cycle * turns) % 1.0, 9)
    room = _room(spec.motion, reach)
    base = _apart(candidates, room, 2.15 * _RADII[spec.count][1] / _SPAN)

    step_x, step_y = _offset(spec.motion, cycle, turn, hops, shakes, sign, phase, reach)
    u = base[None, :, 0] + step_x[:, None]
    v = base[None, :, 1] + step_y[:, None]
    w = np.broadcast_to((sizes + _GROWTH.get(spec.motion, 0) * turn)[:, None], u.shape)
    spin = sign * turn * 2 * np.pi if spec.motion == "spin" else np.zeros_like(turn)

    along = _DIRECTION.get(spec.motion, (0, 0))
    xs, fade_x = _wrap(u, wraps=along[0] != 0)
    ys, fade_y = _wrap(v, wraps=along[1] != 0)
    ws, fade_w = _wrap(w, wraps=spec.motion in _GROWTH)
    smallest, largest = _RADII[spec.count]
    alpha = fade_x if along[0] else fade_y if along[1] else fade_w
    return Poses(
        x=_LOW + _SPAN * xs,
        y=_LOW + _SPAN * ys,
        radius=smallest * (largest / smallest) ** ws,
        angle=np.broadcast_to((angles[None, :] + spin[:, None])[..., None], xs.shape),
        alpha=alpha,
        largest=largest if spec.motion in _GROWTH else smallest * (largest / smallest) ** sizes,
    )


def _wrap(u: FloatArray, wraps: bool) -> tuple[FloatArray, FloatArray]:
    """[..., 2] place of a shape and of its ghost one cycle away, and the share of each that is seen."""
    if not wraps:
        place = np.stack([u, u], axis=-1)
        return place, np.stack([np.ones_like(u), np.zeros_like(u)], axis=-1)
    u = np.round(u % 1.0, 9) % 1.0
    seen = np.clip(0.5 + np.minimum(u, 1 - u) / _FADE, 0, 1)
    return np.stack([u, np.where(u < 0.5, u + 1, u - 1)], axis=-1), np.stack([seen, 1 - seen], axis=-1)


def _room(motion: str, reach: float) -> tuple[float, float, float, float]:
    """Left, right, top and bottom of where base places may lie in the unit box, so that no path leaves it."""
    if motion == "orbit":
        radius = _orbit_radius(reach)
        return radius, 1 - radius, radius, 1 - radius
    if motion == "bounce":
        return 0.0, 1.0, _hop_height(reach), 1.0
    return 0.0, 1.0, 0.0, 1.0


def _orbit_radius(reach: float) -> float:
    return 0.16 + 0.08 * reach


def _hop_height(reach: float) -> float:
    return 0.3 + 0.2 * reach


def _apart(candidates: FloatArray, room: tuple[float, float, float, float], distance: float) -> FloatArray:
    """[shapes, 2] the first candidate whose shapes keep apart on the torus, else the one that comes nearest."""
    left, right, top, bottom = room
    placed = np.array([left, top]) + candidates * np.array([right - left, bottom - top])
    gaps = np.abs(placed[:, :, None] - placed[:, None, :])
    distances = np.sqrt((np.minimum(gaps, 1 - gaps) ** 2).sum(-1))
    distances[:, np.eye(candidates.shape[1], dtype=np.bool_)] = np.inf
    nearest = distances.min(axis=(1, 2))
    enough = nearest >= distance
    chosen: FloatArray = placed[int(enough.argmax() if enough.any() else nearest.argmax())]
    return np.round(chosen, 9)


def _offset(
    motion: str,
    cycle: FloatArray,
    turn: FloatArray,
    hops: int,
    shakes: int,
    sign: float,
    phase: float,
    reach: float,
) -> tuple[FloatArray, FloatArray]:
    """[times] how far all shapes are from their base places, in units of the box."""
    if motion in _DIRECTION:
        along_x, along_y = _DIRECTION[motion]
        return along_x * turn, along_y * turn
    if motion == "orbit":
        angle = phase + sign * 2 * np.pi * turn
        return _orbit_radius(reach) * np.cos(angle), _orbit_radius(reach) * np.sin(angle)
    if motion == "bounce":
        start = phase / (2 * np.pi)
        hop = np.abs(np.sin(np.pi * ((cycle * hops + start) % 1.0)))
        return np.zeros_like(hop), -_hop_height(reach) * hop
    if motion == "shake":
        swing = (0.045 + 0.02 * reach) * np.sin(2 * np.pi * ((cycle * shakes) % 1.0) + phase)
        return swing * abs(np.cos(phase)), swing * abs(np.sin(phase))
    return np.zeros_like(turn), np.zeros_like(turn)
