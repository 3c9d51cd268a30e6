"""People's words as an FTS5 query: whatever they type is text, never syntax."""

from __future__ import annotations

import re

from m2hf_core.store.columns import plain

PHRASE_OR_WORD = re.compile(r'"([^"]*)"|([^\s"]+)')


def quoted(text: str) -> str:
    """An FTS5 expression for lines that hold every word of `text`; words in double quotes must stand together.

    Empty when there is nothing to look for; FTS5 itself ignores pieces without a letter or digit.
    """
    pieces = (phrase or word for phrase, word in PHRASE_OR_WORD.findall(plain(text)))
    return " ".join(f'"{piece}"' for piece in pieces if piece.strip())
