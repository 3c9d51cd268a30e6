"""From what stands in each frame to transcript lines: a sign that is seen for a minute is one line, not sixty."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher

from m2hf_core.records import Line

SAME = 0.8
"""Readings of one text differ by a letter from frame to frame; below this share of equal letters it is another text."""
SHORT = 4
"""Up to this many letters, one other letter is another word or number."""
BRIDGE_S = 2.5
"""A text that is unreadable for a frame or two (a hand before it, a fade) is still the same one."""


@dataclass(slots=True, eq=False)
class _Standing:
    text: str
    key: str
    start_s: float
    end_s: float


def lines_on_screen(readings: Iterable[tuple[float, float, tuple[str, ...]]]) -> tuple[Line, ...]:
    """(start, end, texts) of each frame, in order of time -> one line per text and stay, in order of beginning.

    Of several readings of one text the longest stands: letters are missed more often than invented.
    """
    standing: list[_Standing] = []
    finished: list[_Standing] = []
    for start_s, end_s, texts in readings:
        finished += [entry for entry in standing if start_s - entry.end_s > BRIDGE_S]
        standing = [entry for entry in standing if start_s - entry.end_s <= BRIDGE_S]
        free = list(standing)
        for text in texts:
            key = _key(text)
            if not key:
                continue
            known = _most_alike(key, free)
            if known is None:
                standing.append(_Standing(text, key, start_s, end_s))
                continue
            free.remove(known)
            known.end_s = end_s
            if len(key) > len(known.key):
                known.text, known.key = text, key
    finished += standing
    finished.sort(key=lambda entry: (entry.start_s, entry.end_s))
    return tuple(Line(" ".join(entry.text.split()), entry.start_s, entry.end_s) for entry in finished)


def _key(text: str) -> str:
    """What two readings are compared by: letters and digits only; empty for a text without any."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(letter for letter in folded if letter.isalnum())


def _most_alike(key: str, entries: list[_Standing]) -> _Standing | None:
    best, found = SAME, None
    for entry in entries:
        if 2 * min(len(key), len(entry.key)) < best * (len(key) + len(entry.key)):
            continue  # cannot be alike enough: saves the comparison below, which is slow
        if max(len(key), len(entry.key)) <= SHORT and key != entry.key:
            continue
        likeness = SequenceMatcher(None, key, entry.key, autojunk=False).ratio()
        if likeness >= best:
            best, found = likeness, entry
    return found
