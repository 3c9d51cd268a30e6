"""Sound to audio features in blocks that overlap just so that no example is lost or doubled at a border."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from m2hf_core.features import AudioExtractor
from m2hf_core.records import Feature

EXAMPLE_STEP_S, EXAMPLE_WINDOW_S = 0.96, 0.975
"""An audio example covers 96 spectrogram frames; the last one of them looks 15 ms beyond its 0.96 s."""


class Listening:
    """One sound track on its way through the audio extractor; holds a block and the results."""

    def __init__(self, extractor: AudioExtractor) -> None:
        self._extractor = extractor
        self._step = round(EXAMPLE_STEP_S * extractor.rate)
        self._window = round(EXAMPLE_WINDOW_S * extractor.rate)
        self._held = np.empty(0, np.float32)
        self._at = 0
        """How many examples have begun before the held samples."""
        self._parts: list[Feature] = []

    def take(self, samples: npt.NDArray[np.float32]) -> float:
        """The next block, float32 [n]; answers the seconds that are through."""
        self._held = np.concatenate([self._held, samples])
        length = len(self._held)
        examples = (length - self._window) // self._step + 1 if length >= self._window else 0
        offset_s = self._at * self._step / self._extractor.rate
        if examples:
            heard = self._extractor(self._held[: (examples - 1) * self._step + self._window], offset_s)
            with np.errstate(
                over="ignore"
            ):  # what float16 cannot hold becomes infinite, and the store refuses it
                self._parts.append(Feature(heard.values.astype(np.float16), heard.start_s, heard.end_s))
            self._held = self._held[examples * self._step :].copy()
            self._at += examples
        return offset_s

    def finish(self) -> Feature:
        """Every row so far; what is too short for an example is not heard."""
        if not self._parts:
            nothing = np.empty(0, np.float64)
            return Feature(np.empty((0, self._extractor.width), np.float16), nothing, nothing)
        return Feature(
            np.concatenate([part.values for part in self._parts]),
            np.concatenate([part.start_s for part in self._parts]),
            np.concatenate([part.end_s for part in self._parts]),
        )
