"""Cut what a person typed into words, each with the minus, key and quotation marks that belong to it.

Positions are 0-based characters (code points) of the typed text: nothing is inserted or removed before cutting.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_QUOTES = '"“”„‟«»'
_TOKEN = re.compile(
    rf"""(?P<step>>)
    | (?P<minus>-)? (?:(?P<key>[^\W\d_]+):)?
      (?: [{_QUOTES}] (?P<quoted>[^{_QUOTES}]*) (?P<close>[{_QUOTES}])? | (?P<bare>[^\s>]*) )""",
    re.VERBOSE,
)
_DIRECTION_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


@dataclass(frozen=True, slots=True)
class Token:
    """One word with all that belongs to it; `value` is what stands behind minus and key, without quotation marks."""

    position: int
    step: bool
    minus: bool
    key: str
    value: str
    value_position: int
    quoted: bool
    closed: bool
    before_step: bool


def tokens(text: str) -> Iterator[Token]:
    """The words of any text, in its order."""
    text, position = _visible(text), 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        found = _TOKEN.match(text, position)
        assert found is not None  # a bare word matches anything else
        quoted = found["quoted"] is not None
        group = "quoted" if quoted else "bare"
        yield Token(
            position=position,
            step=found["step"] is not None,
            minus=found["minus"] is not None,
            key=found["key"] or "",
            value=" ".join((found[group] or "").split()),
            value_position=max(found.start(group), position),
            quoted=quoted,
            closed=found["close"] is not None,
            before_step=text[found.end() : found.end() + 1] == ">",
        )
        position = found.end()


def _visible(typed: str) -> str:
    """The text with control, surrogate and direction characters as spaces, one for one, so positions stay."""
    return "".join(
        " " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in _DIRECTION_MARKS else c
        for c in typed
    )
