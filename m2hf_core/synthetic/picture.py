"""Draws the frames of a synthetic clip: shaded, antialiased shapes on a quiet ground, at any size.

A shape is painted once at high resolution (colour, soft light, soft shadow, with coverage beside it) and then placed
per frame by one warp, so a frame costs tens of microseconds. The light turns with the shape, so that even a disc is
seen to spin.
"""

from __future__ import annotations

import colorsys
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from m2hf_core.synthetic.motion import FloatArray, Poses, poses
from m2hf_core.synthetic.specs import FRAME_SIZE, ClipSpec, nuisance_rng

Image = npt.NDArray[np.uint8]

_PICTURE_PART = 1
_SPRITE = 256
_REACH = 1.45
"""A sprite's half side in radii: the shape and its shadow."""

_HUES = {
    "red": (356, 0.78, 0.90),
    "orange": (27, 0.88, 0.97),
    "yellow": (49, 0.80, 0.98),
    "green": (134, 0.68, 0.70),
    "turquoise": (176, 0.75, 0.80),
    "blue": (217, 0.76, 0.92),
    "purple": (271, 0.60, 0.80),
    "pink": (331, 0.50, 0.98),
}
_GROUNDS = {
    "dark": ((34, 38, 48), (34, 38, 48)),
    "light": ((246, 242, 232), (246, 242, 232)),
    "gray": ((150, 154, 160), (150, 154, 160)),
    "stripes": ((222, 214, 200), (186, 176, 162)),
    "dots": ((92, 102, 116), (164, 172, 182)),
    "checks": ((206, 210, 214), (108, 114, 122)),
}


def frames(spec: ClipSpec, times_s: npt.ArrayLike, size: int = FRAME_SIZE) -> npt.NDArray[np.uint8]:
    """[n, size, size, 3] RGB at these seconds. Depends on the picture and motion labels and `nuisance` alone."""
    times = np.asarray(times_s, dtype=np.float64)
    rng = nuisance_rng(spec, _PICTURE_PART)
    ground, sprites_colour = _ground(spec, size, rng), _colour(spec, rng)
    at = poses(spec, times, rng)
    sprite = _scaled(spec.shape, sprites_colour, float(at.radius.max()) * size)
    out = np.empty((len(times), size, size, 3), dtype=np.uint8)
    drawn: dict[bytes, int] = {}
    for number in range(len(times)):
        # Motions are periodic, so most frames of a clip have been drawn before.
        key = b"".join(
            np.round(part[number], 6).tobytes() for part in (at.x, at.y, at.radius, at.angle, at.alpha)
        )
        if key in drawn:
            out[number] = out[drawn[key]]
            continue
        drawn[key] = number
        out[number] = ground
        _draw(out[number], sprite, at, number)
    return out


def _draw(frame: Image, sprite: Image, at: Poses, number: int) -> None:
    size = frame.shape[0]
    for shape, layer in np.argwhere(at.alpha[number] > 0.004):
        pose = (number, shape, layer)
        _place(
            frame,
            sprite,
            float(at.x[pose]) * size,
            float(at.y[pose]) * size,
            float(at.radius[pose]) * size,
            float(at.angle[pose]),
            float(at.alpha[pose]),
        )


def _place(
    frame: Image, sprite: Image, x: float, y: float, radius: float, angle: float, alpha: float
) -> None:
    """Blend one premultiplied RGBA sprite over the frame, centred at (x, y) in pixel coordinates."""
    size, half = frame.shape[0], int(np.ceil(radius * _REACH)) + 1
    left, top = max(0, int(x) - half), max(0, int(y) - half)
    right, bottom = min(size, int(x) + half + 1), min(size, int(y) + half + 1)
    scale = 2 * radius * _REACH / sprite.shape[0]
    cos, sin, middle = np.cos(angle) * scale, np.sin(angle) * scale, (sprite.shape[0] - 1) / 2
    # Pixel centres lie at half pixels: place x is pixel index x - 0.5.
    shift_x = x - 0.5 - left - (cos * middle - sin * middle)
    shift_y = y - 0.5 - top - (sin * middle + cos * middle)
    matrix = np.array([[cos, -sin, shift_x], [sin, cos, shift_y]])
    patch = cv2.warpAffine(sprite, matrix, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    patch = patch.astype(np.uint16)
    if alpha < 0.996:
        patch = (patch * np.uint16(round(alpha * 256))) >> 8
    under = frame[top:bottom, left:right]
    blended = patch[..., :3] + (under * (256 - patch[..., 3:]) >> 8)
    np.minimum(blended, 255, out=blended)
    frame[top:bottom, left:right] = blended


def _colour(spec: ClipSpec, rng: np.random.Generator) -> FloatArray:
    """[3] RGB 0 to 255, near the named colour."""
    hue, saturation, value = _HUES[spec.colour]
    jitter = rng.uniform(-1, 1, 3)
    rgb = colorsys.hsv_to_rgb(
        ((hue + 5 * jitter[0]) % 360) / 360,
        float(np.clip(saturation + 0.06 * jitter[1], 0, 1)),
        float(np.clip(value + 0.05 * jitter[2], 0, 1)),
    )
    return np.array(rgb) * 255


def _ground(spec: ClipSpec, size: int, rng: np.random.Generator) -> Image:
    """[size, size, 3] the background: pattern, gentle fall of light, soft texture; drawn large, then averaged down."""
    pitch, offset, slope = rng.uniform(24, 34), rng.uniform(0, 1, 2), rng.uniform(-1, 1, 2)
    cloud, tint = rng.standard_normal((9, 9)).astype(np.float32), rng.uniform(-5, 5, 3)
    side = max(size, FRAME_SIZE)
    pitch *= side / FRAME_SIZE
    first, second = (np.array(colour) + tint for colour in _GROUNDS[spec.background])
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) + 0.5
    share = _pattern(spec.background, x + offset[0] * pitch, y + offset[1] * pitch, pitch)
    light = 6 * (slope[0] * (x / side - 0.5) + slope[1] * (y / side - 0.5))
    light += 1.6 * cv2.resize(cloud, (side, side), interpolation=cv2.INTER_CUBIC)
    painted = first + share[..., None] * (second - first) + light[..., None]
    image = np.clip(painted + 0.5, 0, 255).astype(np.uint8)
    return image if side == size else cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)


def _pattern(
    background: str, x: npt.NDArray[np.float32], y: npt.NDArray[np.float32], pitch: float
) -> npt.NDArray[np.float32]:
    """0 where the first colour of the ground shows, 1 where the second does; edges about a pixel soft."""
    if background == "stripes":
        wave = np.abs(((x + y) / np.sqrt(2) / pitch) % 1.0 - 0.5) * pitch
        return np.clip(pitch / 4 - wave + 0.5, 0, 1)
    if background == "dots":
        cell_x, cell_y = x % pitch - pitch / 2, y % pitch - pitch / 2
        return np.clip(pitch * 0.27 - np.hypot(cell_x, cell_y) + 0.5, 0, 1)
    if background == "checks":
        waves = np.sin(np.pi * x / pitch) * np.sin(np.pi * y / pitch)
        return np.clip(waves * pitch / np.pi + 0.5, 0, 1)
    return np.zeros_like(x)


def _scaled(shape: str, colour: FloatArray, radius: float) -> Image:
    """The shape's sprite in its colour, premultiplied RGBA, at about the size at which it is needed."""
    coverage, light, shadow = _layers(shape)
    side = max(8, min(_SPRITE, int(np.ceil(2 * radius * _REACH))))
    coverage, light, shadow = (
        cv2.resize(layer, (side, side), interpolation=cv2.INTER_AREA) for layer in (coverage, light, shadow)
    )
    painted = np.clip(colour * (1 + light[..., None]), 0, 255) * coverage[..., None]
    opacity = coverage + shadow * (1 - coverage)
    return np.dstack([painted, opacity[..., None] * 255]).round().astype(np.uint8)


@cache
def _layers(shape: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """[256, 256] coverage, light (share added to the colour) and shadow of a shape, 0 to 1."""
    fine = _SPRITE * 4
    mask = np.zeros((fine, fine), dtype=np.uint8)
    unit = fine / 2 / _REACH
    for outline, value in _outline(shape):
        points = np.round((outline * unit + fine / 2) * 16).astype(np.int32)
        cv2.fillPoly(mask, [points], value, lineType=cv2.LINE_AA, shift=4)
    coverage = cv2.resize(mask, (_SPRITE, _SPRITE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    y, x = (np.mgrid[0:_SPRITE, 0:_SPRITE].astype(np.float32) - _SPRITE / 2) / (_SPRITE / 2 / _REACH)
    inside = cv2.GaussianBlur(coverage, (0, 0), 9)
    rim = np.clip(inside * 2 - 1, 0, 1)
    light = 0.26 * np.clip(-(x + y) / 1.6, -1, 1) - 0.16 * (1 - rim) + 0.03
    shadow = 0.34 * np.clip(cv2.GaussianBlur(coverage, (0, 0), 12), 0, 1)
    edge = np.clip((_REACH - np.hypot(x, y)) / 0.2, 0, 1)
    return coverage, light.astype(np.float32), (shadow * edge).astype(np.float32)


def _outline(shape: str) -> list[tuple[FloatArray, int]]:
    """Polygons within the unit disc, to be filled in order: 255 paints, 0 cuts out."""
    full = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    disc = np.stack([np.cos(full), np.sin(full)], axis=1)
    if shape == "circle":
        return [(0.92 * disc, 255)]
    if shape == "ring":
        return [(disc, 255), (0.55 * disc, 0)]
    if shape == "moon":
        return [(disc, 255), (0.84 * disc + np.array([0.46, -0.10]), 0)]
    if shape == "heart":
        x = 16 * np.sin(full) ** 3
        y = 13 * np.cos(full) - 5 * np.cos(2 * full) - 2 * np.cos(3 * full) - np.cos(4 * full)
        return [(np.stack([x, -y - 2.5], axis=1) / 16.5, 255)]
    if shape == "cross":
        a, b = 0.34, 0.95
        corners = [
            (a, -b),
            (a, -a),
            (b, -a),
            (b, a),
            (a, a),
            (a, b),
            (-a, b),
            (-a, a),
            (-b, a),
            (-b, -a),
            (-a, -a),
            (-a, -b),
        ]
        return [(np.array(corners), 255)]
    corners_of = {"square": 4, "triangle": 3, "star": 10}[shape]
    turn = np.arange(corners_of) * 2 * np.pi / corners_of + {4: np.pi / 4}.get(corners_of, -np.pi / 2)
    reach = (
        np.where(np.arange(corners_of) % 2 == 0, 1.08, 0.48) if shape == "star" else np.full(corners_of, 1.1)
    )
    return [(np.stack([np.cos(turn), np.sin(turn)], axis=1) * reach[:, None], 255)]
