"""The frozen records that cross layer, thread and process borders; no behaviour, no heavy imports.

Times are seconds from the start of the container's timeline, always taken from presentation timestamps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Branch(StrEnum):
    """The four senses of M2HF, in the order in which tables and windows show them."""

    VISUAL = "visual"
    AUDIO = "audio"
    MOTION = "motion"
    SPEECH = "speech"


BRANCHES: tuple[Branch, ...] = tuple(Branch)

NAME_LANE = "name"
"""File names are searched beside the four branches; a labelled extra lane, not part of M2HF."""

Fusion = Literal["mmbf", "rrf", "mean-rank"]
FUSIONS: tuple[Fusion, ...] = ("mmbf", "rrf", "mean-rank")


@dataclass(frozen=True, slots=True)
class SubtitleTrack:
    """One embedded text subtitle stream."""

    index: int
    codec: str
    language: str | None


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What `media.probe` learns of a file before anything is decoded in earnest."""

    path: Path
    size_bytes: int
    container: str
    duration_s: float
    width: int
    """Pixels as shown, after the rotation metadata has been applied."""
    height: int
    rotation: int
    """Clockwise degrees that were applied: 0, 90, 180 or 270."""
    video_codec: str
    frame_rate: float | None
    """The container's average, for display only; never used to compute a time."""
    has_audio: bool
    audio_codec: str | None = None
    audio_rate: int | None = None
    subtitles: tuple[SubtitleTrack, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Feature:
    """One extractor's output for one video: row i covers [start_s[i], end_s[i])."""

    values: npt.NDArray[np.floating]
    """[n, d], float32 in memory, float16 in the store."""
    start_s: npt.NDArray[np.float64]
    end_s: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    start_s: float
    end_s: float


TranscriptSource = Literal["sidecar", "embedded", "asr", "ocr"]


@dataclass(frozen=True, slots=True)
class Line:
    """One subtitle cue or one recognised segment."""

    text: str
    start_s: float
    end_s: float
    words: tuple[Word, ...] = ()
    """Word times where the source has them; empty for subtitles, whose cue times serve."""


@dataclass(frozen=True, slots=True)
class Transcript:
    source: TranscriptSource
    language: str | None
    """ISO 639 code where the source says it, else None."""
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class BranchHit:
    """How one branch (or the name lane) sees one clip."""

    rank: int
    score: float
    best_s: float | None = None
    completed_rank: int | None = None
    """Audio and motion: the rank with the clip's own sound or movement replaced by its completion."""


@dataclass(frozen=True, slots=True)
class AlignedWord:
    """A query word, and where one branch found it (WTI's own alignment)."""

    word: str
    branch: str
    time_s: float
    weight: float


@dataclass(frozen=True, slots=True)
class Copy:
    """Another video that shows the same: its [start_s, end_s) is [of_start_s, of_end_s) of the one it stands under."""

    video: Path
    start_s: float
    end_s: float
    of_start_s: float
    of_end_s: float


Likelihood = Literal["likely", "maybe", "probably not", "unknown"]


@dataclass(frozen=True, slots=True)
class SearchHit:
    rank: int
    clip_id: int
    video: Path
    start_s: float
    end_s: float
    best_s: float
    title: str
    won_by: tuple[str, ...]
    branches: Mapping[str, BranchHit | None]
    """A key for every branch, None where it abstains for this clip; `name` only when the file name matched."""
    without: Mapping[str, int | str]
    """The hit's rank with that lane left out, for every active lane; "beyond 500" when outside the pool."""
    likelihood: Likelihood = "unknown"
    heard: bool = False
    moved: bool = False
    words: tuple[str, ...] = ()
    """Nouns that query and transcript share."""
    alignment: tuple[AlignedWord, ...] = ()
    copies: tuple[Copy, ...] = ()
    """Other videos that show the same and therefore are no hits of their own."""


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    query: str
    fusion: Fusion
    preset: str
    scorer_id: str
    scorer_state: str
    took_ms: float
    encode_ms: float
    videos: int
    clips: int
    hits: tuple[SearchHit, ...]
    abstained: Mapping[str, str] = field(default_factory=dict)
    blind_spots: tuple[str, ...] = ()
    noun_mode: str = ""
    """How nouns were found: `tagger`, or `content-words` where there is no tagger."""
    notes: tuple[str, ...] = ()
    """How the query was read where that may surprise, and when later moments follow."""
    copies: tuple[Copy, ...] = ()
    """Other videos that show the same as the moment that was asked with."""


@dataclass(frozen=True, slots=True)
class CaptionHit:
    rank: int
    text: str
    source: str
    won_by: tuple[str, ...]
    branches: Mapping[str, BranchHit | None]


@dataclass(frozen=True, slots=True)
class CaptionAnswer:
    video: Path
    start_s: float
    end_s: float
    hits: tuple[CaptionHit, ...]
    abstained: Mapping[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    """What is said in the clip itself: told beside the captions, not compared with them."""
    bank: int = 0
    """How many texts were compared."""
    notes: tuple[str, ...] = ()
    """What could not be taken into account, or was answered by other models than were chosen."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One file that did not get through, in words for its owner."""

    path: Path
    fingerprint: str | None
    stage: str
    reason: str
    hint: str
    attempts: int
    quarantined: bool
