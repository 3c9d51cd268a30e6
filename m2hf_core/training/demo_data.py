"""Synthetic clips as training tensors: frames as a decoder would give them, sounds, movements and true captions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from m2hf_core.features import logmel
from m2hf_core.features.contracts import Float32, UInt8
from m2hf_core.records import Branch
from m2hf_core.synthetic.captions import QUIET_VALUE, Caption, claims, numbered_caption
from m2hf_core.synthetic.picture import frames
from m2hf_core.synthetic.sound import sound
from m2hf_core.synthetic.specs import DURATION_S, FRAME_SIZE, ClipSpec
from m2hf_core.synthetic.vocabulary import BACKGROUNDS, COLOURS, MOTIONS, QUIET, SHAPES, SOUNDS

Bool = npt.NDArray[np.bool_]
Int = npt.NDArray[np.int64]

SOUND_CLASSES: tuple[str, ...] = (*(name for name in SOUNDS if name not in QUIET), QUIET_VALUE)
MOTION_CLASSES: tuple[str, ...] = tuple(MOTIONS)
VALUES: dict[str, tuple[str, ...]] = {
    "shape": tuple(SHAPES),
    "colour": tuple(COLOURS),
    "background": tuple(BACKGROUNDS),
    "count": ("one", "two", "three"),
    "motion": MOTION_CLASSES,
    "sound": SOUND_CLASSES,
}
"""What a caption may claim of a clip, by attribute; of counts it may also say "several"."""
VISUAL = ("shape", "colour", "background", "count")
MOTION_FRAMES, MOTION_FPS = 16, 15.0


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Which captions are true of which clips: claims as bit masks, so a batch is compared in one expression."""

    allowed: Int
    """[n, 6] bit mask of the values that a caption admits; all bits where it says nothing."""

    def of(self, values: Int, names: Sequence[str]) -> Bool:
        """[n, m]: caption i holds of clip j (values [m, 6], one bit each), looking at these attributes only."""
        columns = [list(VALUES).index(name) for name in names]
        return np.asarray(
            (self.allowed[:, None, columns] & values[None, :, columns]).astype(bool).all(axis=-1)
        )


def clip_values(specs: Sequence[ClipSpec]) -> Int:
    """[n, 6], one bit per attribute, in the order of `VALUES`."""
    rows = [[1 << names.index(claims(spec)[key]) for key, names in VALUES.items()] for spec in specs]
    return np.array(rows, np.int64)


def class_numbers(specs: Sequence[ClipSpec], name: str) -> Int:
    """[n] which of `VALUES[name]` each clip has."""
    return np.array([VALUES[name].index(claims(spec)[name]) for spec in specs], np.int64)


def caption_truth(written: Sequence[Caption]) -> Truth:
    return Truth(np.array([[_allowed(caption, key) for key in VALUES] for caption in written], np.int64))


def _allowed(caption: Caption, key: str) -> int:
    value = caption.attributes.get(key)
    if value is None:
        return (1 << len(VALUES[key])) - 1
    if value == "several":
        return 0b110
    return 1 << VALUES[key].index(value)


def sighted_captions(spec: ClipSpec, count: int, seed: int) -> list[Caption]:
    """`count` captions of one clip that claim something other than its words, which no picture can show."""
    written = (numbered_caption(spec, number, seed) for number in itertools.count())
    return list(itertools.islice((one for one in written if one.senses != {Branch.SPEECH}), count))


def seen_frames(spec: ClipSpec, times_s: Sequence[float], pixels: int) -> UInt8:
    """[n, pixels, pixels, 3]: drawn at the size of the demo's videos and reduced, as the preprocessing will do."""
    large = frames(spec, times_s, size=FRAME_SIZE)
    return np.stack([cv2.resize(frame, (pixels, pixels), interpolation=cv2.INTER_AREA) for frame in large])


def heard_samples(spec: ClipSpec) -> Float32:
    """float32 at 16 kHz; a clip without a track sounds like zeros to whoever insists on listening."""
    samples = sound(spec, logmel.RATE)
    return np.zeros(round(DURATION_S * logmel.RATE), np.float32) if samples is None else samples


def moved_runs(spec: ClipSpec, starts_s: Sequence[float], pixels: int = FRAME_SIZE) -> UInt8:
    """[n, 16, pixels, pixels, 3]: runs of 16 frames at 15 frames a second that begin at `starts_s`."""
    times = np.add.outer(np.asarray(starts_s, np.float64), np.arange(MOTION_FRAMES) / MOTION_FPS)
    shown = frames(spec, np.minimum(times.ravel(), DURATION_S - 1e-3), size=pixels)
    return shown.reshape(len(starts_s), MOTION_FRAMES, pixels, pixels, 3)
