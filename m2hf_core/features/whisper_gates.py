"""Keeps invented speech out: Whisper writes sentences where nobody speaks, and repeats itself when it is lost.

The detector of voices comes before the network (`whisper.py`); these are the gates behind it. Each looks at one
sign by which a recogniser betrays that it made something up.
"""

from __future__ import annotations

import unicodedata
import zlib
from collections import deque
from dataclasses import dataclass

from m2hf_core.records import Line

LOG_PROB = -1.0
"""Mean log-probability of the words below which the network itself does not believe them (Whisper's own figure)."""
NO_SPEECH, DOUBTED = 0.6, -0.5
"""Where the network thinks more likely than not that nobody speaks, words need to be surer than this."""
NOBODY = 0.95
"""Surer than this that nobody speaks, whatever was written is the melody of a song or the language model alone."""
COMPRESSION = 2.4
"""zlib makes ordinary sentences at most this much smaller (Whisper's own figure); loops compress far better."""
SHORTEST_LOOP = 20
MOST = 0.6
"""Letters, and share of the line, that a repeated phrase must fill to count: "no no no" is said, lines of it not."""
LOOP_TURNS = 4
LONGEST_PHRASE = 12
REMEMBERED = 4
SENTENCE = 4
"""From this many words on, a sentence that was said a moment ago is not said again word for word."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One recognised line with what the network says of its own certainty."""

    line: Line
    log_prob: float
    no_speech: float


class Gate:
    """Asked for every line of one video, in order; remembers the last ones."""

    def __init__(self) -> None:
        self._recent: deque[tuple[str, ...]] = deque(maxlen=REMEMBERED)

    def admits(self, heard: Heard) -> bool:
        """Whether the line was said, as far as can be told."""
        words = plain_words(heard.line.text)
        if not words or not _is_certain(heard) or is_loop(heard.line.text):
            return False
        said_before = words in self._recent if len(words) >= SENTENCE else [words] == list(self._recent)[-1:]
        self._recent.append(words)
        return not said_before


def _is_certain(heard: Heard) -> bool:
    if heard.log_prob < LOG_PROB or heard.no_speech > NOBODY:
        return False
    return heard.no_speech <= NO_SPEECH or heard.log_prob >= DOUBTED


def is_loop(text: str) -> bool:
    """Whether a text goes round in circles: "and so on and so on and so on and so on", or 哈哈哈哈 for a whole line."""
    raw = text.encode()
    if len(raw) / len(zlib.compress(raw)) > COMPRESSION:
        return True
    words = plain_words(text)
    units = words if len(words) > 1 else tuple(words[0]) if words else ()
    return any(_turns_of(units, length) for length in range(1, LONGEST_PHRASE + 1))


def _turns_of(units: tuple[str, ...], length: int) -> bool:
    """Whether some phrase of `length` units stands `LOOP_TURNS` times in a row, and fills most of the line."""
    enough = max(SHORTEST_LOOP, MOST * sum(map(len, units)))
    run = 0
    for at in range(length, len(units)):
        run = run + 1 if units[at] == units[at - length] else 0
        filled = sum(map(len, units[at - length - run + 1 : at + 1]))
        if run >= length * (LOOP_TURNS - 1) and filled >= enough:
            return True
    return False


def plain_words(text: str) -> tuple[str, ...]:
    """The words without case, accents of form and punctuation, so that "Thank you." and "thank you" are the same."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    cleaned = "".join(letter if letter.isalnum() else " " for letter in folded)
    return tuple(cleaned.split())
