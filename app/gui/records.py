"""The frozen records that only the window needs; everything else it shows comes from `m2hf_core.records`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QCoreApplication

from m2hf_core.errors import KnownError
from m2hf_core.records import Branch, Fusion, SearchHit

DIGEST = re.compile("[0-9a-f]{16,}")
SHORT_DIGEST = 6


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
            name = error.filename or _tr("A file")
            return cls(_tr("{} cannot be used.").format(name), f"{error.strerror}.")
        return cls(
            _tr("Something went wrong inside the program ({}: {}).").format(type(error).__name__, error),
            _tr("What was being done has been left as it was."),
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


def scorer_name(scorer_id: str) -> str:
    """One that was not named by anybody is called by the beginning of its digest."""
    return scorer_id[:SHORT_DIGEST] if DIGEST.fullmatch(scorer_id) else scorer_id


def fusion_names() -> dict[str, str]:
    """How the ways to make one list of the branches' are called."""
    return {"mmbf": _tr("Best rank"), "rrf": _tr("Shared rank"), "mean-rank": _tr("Mean rank")}


def _tr(text: str) -> str:
    return QCoreApplication.translate("record", text)
