"""A video on its way from file to features: what was asked for, what is known so far, what it cost."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from m2hf_core.features import Extractors
from m2hf_core.progress import Progress
from m2hf_core.records import Feature, MediaInfo, Transcript, TranscriptSource
from m2hf_core.text import NounExtractor

FRAME_STEP_S = 1.0
SUBTITLES: tuple[TranscriptSource, ...] = ("sidecar", "embedded")


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """Extract those of `wanted` (extractor fingerprints) that are awake; a poster is made where none is yet."""

    path: Path
    wanted: frozenset[str]
    poster: Path
    progress: Progress


@dataclass(frozen=True, slots=True)
class Heard:
    """One source's transcript, with the nouns of each line."""

    transcript: Transcript
    nouns: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Extraction:
    """What one pass over a file yields. `features` is keyed by extractor fingerprint."""

    info: MediaInfo
    features: dict[str, Feature]
    """Values in float16: hours of video must fit into memory, and the store keeps no more."""
    heard: tuple[Heard, ...]
    asked: tuple[TranscriptSource, ...]
    """The sources that were looked at; one that is not in `heard` has nothing to say any more."""
    noun_mode: str
    noun_version: str
    seconds: dict[str, float] = field(default_factory=dict)
    """Per stage: seconds of work, and under `waited_for_...` what one half of the work waited for the other."""


@dataclass(slots=True, eq=False)
class Video:
    """Shared by the two halves of the work; every field has one writer."""

    request: Request
    info: MediaInfo | None = None
    cells: int = 0
    """Cells of the frame grid that were looked at, flat ones included."""
    spoken: list[Transcript] = field(default_factory=list)
    asked: list[TranscriptSource] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    given_up: bool = False
    """Set when a network failed on it, so that no more of it is decoded."""

    @property
    def known(self) -> MediaInfo:
        assert self.info is not None, "nothing is decoded of a video that was not probed"
        return self.info

    @contextmanager
    def timed(self, stage: str, apart_from: tuple[str, ...] = ()) -> Iterator[None]:
        """Count this block's seconds under `stage`, less those that it counts itself under other names."""
        began, elsewhere = time.perf_counter(), self._sum(apart_from)
        try:
            yield
        finally:
            took = time.perf_counter() - began
            self.seconds[stage] += took - (self._sum(apart_from) - elsewhere)

    def _sum(self, stages: tuple[str, ...]) -> float:
        return sum(self.seconds[stage] for stage in stages)


def speech_fingerprint(extractors: Extractors, nouns: NounExtractor) -> str:
    """Names all that words come from, the nouns first: a video is listened to again when any part of it changes."""
    listeners = (extractors.speech, extractors.text)
    return "+".join([nouns.fingerprint, *(one.fingerprint for one in listeners if one is not None)])
