"""Draws the frames of a synthetic clip: shaded, antialiased shapes on a quiet ground, at any size.

A shape is painted once (colour, soft light, soft shadow, with coverage beside it) and then placed
per frame by a warp, so a frame costs a tenth of a millisecond. The light turns with the shape, so that even a disc
is seen to spin.
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
FloatPlane = npt.NDArray[np.float32]

_PICTURE_PART = 1
_SPRITE = 256
_REACH = 1.45
"""A sprite's half side in radii: the shape and its shadow."""

_ROUND = frozenset({"circle", "ring"})
"""Their outline does not tell that they spin, so they get a glint."""

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


def frames(spec: ClipSpec, times_s: npt.ArrayLike, size: int = FRAME_SIZE) -> Image:
    """[n, size, size, 3] RGB at these seconds; follows from the labels of picture and motion and `nuisance`."""
    drawn, which = distinct_frames(spec, times_s, size)
    return drawn[which]


def distinct_frames(
    spec: ClipSpec, times_s: npt.ArrayLike, size: int = FRAME_SIZE
) -> tuple[Image, npt.NDArray[np.intp]]:
    """The pictures of `frames` without repetition, and for each time the number of its picture.

    Motions are periodic, so a second of video holds many a frame twice: each is drawn (and converted) once.
    """
    rng = nuisance_rng(spec, _PICTURE_PART)
    ground, colour = _ground(spec, size, rng), _colour(spec, rng)
    at = poses(spec, np.asarray(times_s, dtype=np.float64), rng)
    sprite = _sprite(spec.shape, colour, at.largest * size)
    table = (
        np.stack([at.x, at.y, at.radius, at.angle, at.alpha], axis=-1)
        .round(6)
        .reshape(len(at.x), 10 * spec.count)
    )
    _, firsts, which = np.unique(table, axis=0, return_index=True, return_inverse=True)
    drawn = np.repeat(ground[None], len(firsts), axis=0)
    for frame, number in zip(drawn, firsts, strict=True):
        _draw(frame, sprite, at, int(number))
    return drawn, which.reshape(-1)


def _draw(frame: Image, sprite: Image, at: Poses, number: int) -> None:
    size = frame.shape[0]
    for shape, layer in np.argwhere(at.alpha[number] > 0.004):
        pose = (number, shape, layer)
        place = (float(at.x[pose]) * size, float(at.y[pose]) * size)
        _blend(
            frame, sprite, place, float(at.radius[pose]) * size, float(at.angle[pose]), float(at.alpha[pose])
        )


def _blend(
    frame: Image, sprite: Image, place: tuple[float, float], radius: float, angle: float, alpha: float
) -> None:
    """Lay the sprite over the frame, centred at `place`; lengths in pixels, the first pixel spans 0 to 1."""
    size, half, (x, y) = frame.shape[0], int(np.ceil(radius * _REACH)) + 1, place
    left, top = max(0, int(x) - half), max(0, int(y) - half)
    shape = (min(size, int(x) + half + 1) - left, min(size, int(y) + half + 1) - top)
    side = sprite.shape[0]
    scale, middle = 2 * radius * _REACH / side, (side - 1) / 2
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    matrix = np.array(
        [
            [cos, -sin, x - 0.5 - left - (cos - sin) * middle],
            [sin, cos, y - 0.5 - top - (sin + cos) * middle],
        ]
    )
    patch = cv2.warpAffine(sprite, matrix, shape, borderValue=(0, 0, 0, 255))
    painted, through = np.empty_like(patch, shape=(2, *patch.shape[:2], 3))
    cv2.mixChannels([patch], [painted, through], [0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 3, 5])
    if alpha < 1:
        painted = cv2.convertScaleAbs(painted, alpha=alpha)
        through = cv2.convertScaleAbs(through, alpha=alpha, beta=255 * (1 - alpha))
    under = frame[top : top + shape[1], left : left + shape[0]]
    under[...] = cv2.add(cv2.multiply(under, through, scale=1 / 255), painted)


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
    """[size, size, 3] the background: pattern, gentle fall of light, soft texture."""
    pitch, offset, slope = rng.uniform(24, 34), rng.uniform(0, 1, 2), rng.uniform(-3, 3, 2)
    cloud, tint = rng.standard_normal((9, 9)), rng.uniform(-4, 4, 3)
    # A small picture is drawn twice as large and averaged down, so that it looks like a reduced large one.
    side = size if size >= FRAME_SIZE else 2 * size
    pitch *= side / FRAME_SIZE
    falls = np.linspace(-1, 1, 9)
    relief = (1.6 * cloud + slope[0] * falls + slope[1] * falls[:, None]).astype(np.float32)
    light = cv2.resize(relief, (side, side), interpolation=cv2.INTER_CUBIC)
    first, second = (np.array(colour) + tint for colour in _GROUNDS[spec.background])
    along = np.arange(side, dtype=np.float32) + 0.5
    share = _pattern(spec.background, along + offset[0] * pitch, along[:, None] + offset[1] * pitch, pitch)
    planes = [light + (low + share * (high - low)) for low, high in zip(first, second, strict=True)]
    image = cv2.convertScaleAbs(cv2.merge([np.maximum(plane, 0).astype(np.float32) for plane in planes]))
    return np.asarray(
        image if side == size else cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    )


def _pattern(background: str, x: FloatPlane, y: FloatPlane, pitch: float) -> FloatPlane:
    """0 where the first colour of the ground shows, 1 where the second does; edges about a pixel soft."""
    period = np.float32(pitch)
    if background == "stripes":
        edge = (
            period / 4 - np.abs(((x + y) / (np.float32(np.sqrt(2)) * period)) % 1 - np.float32(0.5)) * period
        )
    elif background == "dots":
        edge = period * np.float32(0.27) - np.hypot(x % period - period / 2, y % period - period / 2)
    elif background == "checks":
        turn = np.float32(np.pi) / period
        edge = np.sin(turn * x) * np.sin(turn * y) / turn
    else:
        return np.zeros((1, 1), dtype=np.float32)
    share: FloatPlane = np.clip(edge + np.float32(0.5), 0, 1)
    return share


def _sprite(shape: str, colour: FloatArray, radius: float) -> Image:
    """[side, side, 4] the colour to add and how much of what lies under it still shows (255 = all).

    Painted at about the size in pixels at which it is needed.
    """
    side = max(8, min(_SPRITE, int(np.ceil(2 * radius * _REACH))))
    coverage, light, shadow = cv2.split(
        cv2.resize(_layers(shape), (side, side), interpolation=cv2.INTER_AREA)
    )
    # Light goes towards white, shade towards black, so that a bright colour can still shine.
    shaded = colour + light[..., None] * np.where(light[..., None] > 0, 255 - colour, colour)
    painted = shaded * coverage[..., None]
    through = 255 * (1 - coverage) * (1 - shadow)
    return np.dstack([painted, through]).round().astype(np.uint8)


@cache
def _layers(shape: str) -> FloatPlane:
    """[256, 256, 3] coverage, light (-1 black to 1 white) and shadow of a shape."""
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
    light = 0.30 * np.clip(-(x + y) / 1.6, -1, 1) - 0.16 * (1 - rim)
    if shape in _ROUND:
        light += 0.5 * np.exp(-((x + 0.5) ** 2 + (y + 0.5) ** 2) / 0.05)
    shadow = 0.34 * np.clip(cv2.GaussianBlur(coverage, (0, 0), 12), 0, 1)
    edge = np.clip((_REACH - np.hypot(x, y)) / 0.2, 0, 1)
    return np.stack([coverage, light, shadow * edge], axis=-1).astype(np.float32)


def _outline(shape: str) -> list[tuple[FloatArray, int]]:
    """Polygons within the unit disc, to be filled in order: 255 paints, 0 cuts out."""
    full = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    disc = np.stack([np.cos(full), np.sin(full)], axis=1)
    if shape == "circle":
        return [(0.92 * disc, 255)]
    if shape == "ring":
        return [(disc, 255), (0.55 * disc, 0)]
    if shape == "moon":
        shift = np.array([-0.16, 0.04])
        return [(disc + shift, 255), (0.78 * disc + np.array([0.5, -0.12]) + shift, 0)]
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
