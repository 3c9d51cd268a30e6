"""The frozen records that only the window needs; everything else it shows comes from `m2hf_core.records`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from m2hf_core.errors import KnownError
from m2hf_core.records import Branch, Fusion, SearchHit


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failure as the person reads it: what happened, and what to do now."""

    sentence: str
    hint: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Trouble:
        """Known failures bring their own words; anything else is a bug, and is called one."""
        if isinstance(error, KnownError):
            return cls(error.sentence, error.hint)
        if isinstance(error, OSError):
            return cls(f"{error.filename or 'A file'} cannot be used.", f"{error.strerror}.")
        return cls(
            f"Something went wrong inside the program ({type(error).__name__}: {error}).",
            "What was being done has been left as it was.",
        )


@dataclass(frozen=True, slots=True)
class Ask:
    """One wish of the search field."""

    text: str
    branches: tuple[Branch, ...]
    fusion: Fusion


@dataclass(frozen=True, slots=True)
class Work:
    """What indexing does at this moment."""

    state: str
    """starting, scanning, working, idle, paused, stopped or failed."""
    why: str = ""
    """In words, where the state asks for a reason."""
    file: str = ""
    stage: str = ""
    share: float | None = None
    """0 to 1, None while it cannot be told."""
    factor: float = 0.0
    """Seconds of video per second of the clock; 0 while unknown."""
    left_s: float | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """A place in a video that can be looked at."""

    video: Path
    at_s: float

    @classmethod
    def of(cls, hit: SearchHit) -> Moment:
        return cls(hit.video, round(hit.best_s, 1))


def clock(seconds: float) -> str:
    """Seconds as 0:42, 12:05 or 1:02:03."""
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def counted(number: int, one: str, many: str) -> str:
    """`one` or `many` with the number put in; languages with more forms bring them with their translation."""
    return (one if number == 1 else many).format(number)
