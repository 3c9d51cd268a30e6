"""What one synthetic clip shows, sounds, does and says, drawn by seed before anything is rendered.

Clip i of a split depends on (seed, split, i) alone, so asking for more clips never changes the earlier ones.
The splits share every single attribute value but no combination: a hash of (picture, motion, sound) and a hash
of each pair of nouns say to which split they belong, whatever the seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from m2hf_core.synthetic.nouns import NOUNS
from m2hf_core.synthetic.vocabulary import BACKGROUNDS, COLOURS, COUNTS, MOTIONS, SHAPES, SOUNDS

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

DURATION_S = 4.0
FRAME_RATE = 24
FRAME_SIZE = 224

_NAMES: tuple[tuple[str, ...], ...] = (
    tuple(SHAPES),
    tuple(COLOURS),
    tuple(BACKGROUNDS),
    tuple(MOTIONS),
    tuple(SOUNDS),
)
_SIZES = np.array([len(SHAPES), len(COLOURS), len(BACKGROUNDS), len(COUNTS), len(MOTIONS), len(SOUNDS)])
_CANDIDATES = 64
_COMBINATION_SALT, _PAIR_SALT = 0x5EED, 0xA11CE
_NOUN_COUNT_ODDS = np.cumsum([0.2, 0.2, 0.35, 0.25])
"""A fifth of the clips says nothing; the rest has one, two or three nouns."""


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """Labels of one clip; pixels, samples and sentences follow from them and `nuisance` alone."""

    index: int
    split: Split
    seed: int
    shape: str
    colour: str
    background: str
    count: int
    motion: str
    sound: str
    nouns: tuple[str, ...]
    """What is talked about, in the order in which it is said; empty for a clip that says nothing."""
    nuisance: int
    """Seeds size, place, hue, texture, pitch, tempo, level and the choice of sentences."""


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's finaliser: a fixed hash, the same on every machine and in every process."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _split_numbers(keys: npt.NDArray[np.int64], salt: int) -> npt.NDArray[np.int64]:
    """0, 1 or 2 (position in `SPLITS`) with odds 80/10/10, by a salted hash of each key."""
    with np.errstate(over="ignore"):
        salted = (keys.astype(np.uint64) + np.uint64(salt)) * np.uint64(0x9E3779B97F4A7C15)
    tenth: npt.NDArray[np.int64] = (_mix(salted) % np.uint64(10)).astype(np.int64)
    numbers: npt.NDArray[np.int64] = np.maximum(tenth - 7, 0)
    return numbers


def split_of(shape: str, colour: str, background: str, count: int, motion: str, sound: str) -> Split:
    """The one split in which this combination of picture, motion and sound may occur."""
    named = [
        names.index(value)
        for names, value in zip(_NAMES, (shape, colour, background, motion, sound), strict=True)
    ]
    row = np.array([[*named[:3], COUNTS.index(count), *named[3:]]])
    return SPLITS[int(_split_numbers(_combination_keys(row), _COMBINATION_SALT)[0])]


def split_of_pair(first: str, second: str) -> Split:
    """The one split in which these two nouns may occur together."""
    return SPLITS[int(_noun_pairs()[NOUNS.index(first), NOUNS.index(second)])]


def _combination_keys(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """[n, 6] attribute numbers -> [n] combination numbers (mixed radix)."""
    keys = np.zeros(len(rows), dtype=np.int64)
    for column, size in enumerate(_SIZES):
        keys = keys * size + rows[:, column]
    return keys


@cache
def _noun_pairs() -> npt.NDArray[np.int64]:
    """[nouns, nouns] split number of each unordered pair; -1 on the diagonal."""
    numbers = np.arange(len(NOUNS))
    low, high = np.minimum.outer(numbers, numbers), np.maximum.outer(numbers, numbers)
    table = _split_numbers((low * len(NOUNS) + high).ravel(), _PAIR_SALT).reshape(low.shape)
    np.fill_diagonal(table, -1)
    return table


def _draw_combination(rng: np.random.Generator, split_number: int) -> npt.NDArray[np.int64]:
    """[6] attribute numbers, uniform over the combinations of this split."""
    while True:
        rows = rng.integers(0, _SIZES, size=(_CANDIDATES, len(_SIZES)))
        fits = _split_numbers(_combination_keys(rows), _COMBINATION_SALT) == split_number
        if fits.any():
            row: npt.NDArray[np.int64] = rows[int(fits.argmax())]
            return row


def _draw_nouns(rng: np.random.Generator, split_number: int) -> tuple[str, ...]:
    """None to three nouns, each two of which are a pair of this split."""
    wanted = int(np.searchsorted(_NOUN_COUNT_ODDS, rng.random(), side="right"))
    chosen: list[int] = []
    free = np.ones(len(NOUNS), dtype=np.bool_)
    for _ in range(min(wanted, 3)):
        numbers = np.flatnonzero(free)
        if not len(numbers):
            break  # No third noun goes with both others in a small split: then it stays at two.
        noun = int(numbers[int(rng.integers(len(numbers)))])
        chosen.append(noun)
        free &= _noun_pairs()[noun] == split_number
    return tuple(NOUNS[noun] for noun in chosen)


def _draw_spec(split: Split, index: int, seed: int) -> ClipSpec:
    split_number = SPLITS.index(split)
    rng = np.random.default_rng(np.random.SeedSequence((seed, split_number, index)))
    shape, colour, background, count, motion, sound = (
        int(value) for value in _draw_combination(rng, split_number)
    )
    nouns = _draw_nouns(rng, split_number)
    return ClipSpec(
        index=index,
        split=split,
        seed=seed,
        shape=_NAMES[0][shape],
        colour=_NAMES[1][colour],
        background=_NAMES[2][background],
        count=COUNTS[count],
        motion=_NAMES[3][motion],
        sound=_NAMES[4][sound],
        nouns=nouns,
        nuisance=int(rng.integers(2**62)),
    )


def draw_specs(split: Split, n: int, seed: int) -> list[ClipSpec]:
    """The first `n` clips of a split; clip i is the same for every `n`."""
    return [_draw_spec(split, index, seed) for index in range(n)]


def nuisance_rng(spec: ClipSpec, part: int) -> np.random.Generator:
    """A generator for one part of the clip (picture 1, sound 2, speech 3), blind to the labels of the others."""
    return np.random.default_rng(np.random.SeedSequence((spec.nuisance, part)))
