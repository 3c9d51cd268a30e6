"""What every extractor promises, so that ingest can swap the published networks for the demo's small ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from m2hf_core.records import Feature, Transcript

Float32 = npt.NDArray[np.float32]
UInt8 = npt.NDArray[np.uint8]


class ImageExtractor(Protocol):
    """Frames in, one joint-space vector per frame out."""

    @property
    def fingerprint(self) -> str:
        """Names model, weights and preprocessing; a stored feature is valid only for an equal one."""

    @property
    def width(self) -> int:
        """d of the joint space."""

    def encode(self, images: UInt8) -> Float32:
        """uint8 RGB [n, H, W, 3] -> float32 [n, d], projected and not normalised."""

    def prepare(self, image: UInt8) -> Float32:
        """uint8 RGB [H, W, 3] -> float32 [3, h, w], the same h and w for every image; safe in another thread."""

    def encode_prepared(self, prepared: Float32) -> Float32:
        """float32 [n, 3, h, w] -> float32 [n, d]: `encode(images)` is this over the prepared images."""


class AudioExtractor(Protocol):
    """A waveform in, one vector per 0.96 s out."""

    @property
    def fingerprint(self) -> str: ...

    @property
    def width(self) -> int: ...

    @property
    def rate(self) -> int:
        """Samples per second that `__call__` expects, one channel."""

    def __call__(self, waveform: Float32, start_s: float = 0.0) -> Feature:
        """float32 [n] in [-1, 1], beginning at `start_s` -> [m, d] with spans; no row below 0.975 s."""


class MotionExtractor(Protocol):
    """Short runs of frames in, one vector per run out."""

    @property
    def fingerprint(self) -> str: ...

    @property
    def width(self) -> int: ...

    @property
    def fps(self) -> float:
        """Frames per second inside a run."""

    @property
    def frames_per_clip(self) -> int: ...

    @property
    def step_s(self) -> float:
        """Seconds between the beginnings of two runs."""

    def encode(self, clips: UInt8) -> Float32:
        """uint8 RGB [n, t, H, W, 3] -> float32 [n, d]; a run that is too short holds its last frame."""


class SpeechExtractor(Protocol):
    """A sound track in, what is said in it out."""

    @property
    def fingerprint(self) -> str: ...

    @property
    def rate(self) -> int:
        """Samples per second that `transcribe` expects, one channel."""

    def transcribe(self, blocks: Iterable[Float32], heard: Callable[[float], None]) -> Transcript:
        """Consecutive float32 [n] in [-1, 1] from the timeline's zero -> lines with words, source `asr`.

        Blocks may be of any length and are taken one at a time, so that hours need no more memory than minutes.
        `heard` is told the seconds listened to so far, after every block; what it raises ends the work and leaves
        the extractor usable. Music, noise and silence give a transcript without lines.
        """

    def close(self) -> None:
        """Free what it holds; the next `transcribe` starts anew."""


class TextReader(Protocol):
    """Frames in, the text that is written in each of them out."""

    @property
    def fingerprint(self) -> str: ...

    def read(self, images: UInt8) -> list[tuple[str, ...]]:
        """uint8 RGB [n, H, W, 3] -> n tuples of texts, each from top to bottom; empty where nothing is written."""
