"""The filters of the query language: which videos are searched at all, and how people write days and durations.

Decisions: `before:2024` means before 2024 began and `after:2024` after it ended, and so for months and days, as web
search engines read them. A bare number of a duration is seconds. Filters of one kind widen (`in:`, `type:`) or tighten
(all others). Every number is short, so no typed text is slow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta

FILTERS = ("in", "before", "after", "longer", "shorter", "has", "type")
HAS = ("speech", "sound")

_DAY = re.compile(r"(\d{4})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2}))?)?")
_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,3}):(\d{1,2})")
_UNITS = re.compile(
    r"(?:(\d{1,4}(?:\.\d{1,3})?)h)?(?:(\d{1,6}(?:\.\d{1,3})?)(?:m|min))?(?:(\d{1,7}(?:\.\d{1,3})?)s?)?"
)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which videos are searched at all; every field that is set must hold."""

    folders: tuple[str, ...] = ()
    """Any of these."""
    before: date | None = None
    """Earlier than this day."""
    since: date | None = None
    """On this day or later."""
    longer_s: float | None = None
    shorter_s: float | None = None
    has: frozenset[str] = frozenset()
    """All of these, of `HAS`."""
    types: tuple[str, ...] = ()
    """Any of these file extensions, lower case, without the dot."""

    def clash(self) -> str:
        """A sentence when no video can pass, else an empty one."""
        if self.before and self.since and self.before <= self.since:
            return "No day is both before and after these dates."
        if self.longer_s is not None and self.shorter_s is not None and self.shorter_s <= self.longer_s:
            return "No video is both longer and shorter than these."
        return ""


def narrow(filters: Filters, key: str, value: str) -> Filters | str:
    """The filters with one more, or a sentence when the value cannot be read (yet)."""
    if key == "in":
        return replace(filters, folders=(*filters.folders, value))
    if key == "type":
        types = tuple(kind.lstrip(".") for kind in value.lower().split(",") if kind.lstrip("."))
        return (
            replace(filters, types=(*filters.types, *types))
            if types
            else "Write a file type here, such as mp4."
        )
    if key == "has":
        wanted = "sound" if value.lower() == "audio" else value.lower()
        if wanted not in HAS:
            return f"A video can be asked for {' or '.join(HAS)} here."
        return replace(filters, has=filters.has | {wanted})
    if key in ("before", "after"):
        day = first_day(value) if key == "before" else day_after(value)
        if day is None:
            return "Write a date here: 2024, 2024-05 or 2024-05-17."
        if key == "before":
            return replace(filters, before=min(day, filters.before or day))
        return replace(filters, since=max(day, filters.since or day))
    length = seconds(value)
    if length is None:
        return "Write a duration here: 30s, 5m, 1h30m or 1:30."
    if key == "longer":
        return replace(filters, longer_s=max(length, filters.longer_s or length))
    known = filters.shorter_s
    return replace(filters, shorter_s=length if known is None else min(length, known))


def first_day(value: str) -> date | None:
    """The first day of a year, month or day written with its year first; None when it is not one."""
    if not (found := _DAY.fullmatch(value)):
        return None
    year, month, day = (1 if part is None else int(part) for part in found.groups())
    try:
        return date(year, month, day)
    except ValueError:  # the 31st of June is a value that a person can type
        return None


def day_after(value: str) -> date | None:
    """The first day after that year, month or day; None when it is not one, or time ends before."""
    first = first_day(value)
    if first is None:
        return None
    try:
        if len(parts := re.split(r"[-/.]", value)) == 3:
            return first + timedelta(days=1)
        if len(parts) == 1 or first.month == 12:
            return date(first.year + 1, 1, 1)
        return date(first.year, first.month + 1, 1)
    except (ValueError, OverflowError):  # past the year 9999
        return None


def seconds(value: str) -> float | None:
    """A duration such as 90, 30s, 1.5min, 1h30m or 1:02:30 in seconds; None when it is not one."""
    value = value.lower()
    found = _CLOCK.fullmatch(value) or _UNITS.fullmatch(value)
    if found is None or not value:
        return None
    hours, minutes, rest = (float(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + rest
