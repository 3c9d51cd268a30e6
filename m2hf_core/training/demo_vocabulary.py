"""The demo model's own byte pairs, learnt from the words of the synthetic world, in the format of CLIP's tokenizer.

Every byte is a token of its own, so any text tokenises; the merges only make the world's words whole.
"""

from __future__ import annotations

import gzip
import itertools
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from m2hf_core.synthetic.vocabulary import caption_words

HEADER = "#version: 1 - byte pairs of the synthetic world"
Pair = tuple[str, str]


def learn_merges(words: Iterable[str], limit: int = 4_000) -> list[Pair]:
    """Byte pairs, most frequent first, until every word is one token or `limit` is reached.

    Ties go to the alphabetically first pair, so the same words always give the same merges. The words are ASCII,
    whose bytes stand for themselves in CLIP's table.
    """
    spelt = [[*word[:-1], f"{word[-1]}</w>"] for word in sorted(set(words))]
    merges: list[Pair] = []
    while len(merges) < limit:
        counts = Counter(pair for symbols in spelt for pair in itertools.pairwise(symbols))
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        spelt = [_join(symbols, best) for symbols in spelt]
    return merges


def _join(symbols: list[str], pair: Pair) -> list[str]:
    """`symbols` with every neighbouring `pair` made one, from left to right."""
    joined: list[str] = []
    for symbol in symbols:
        if joined and (joined[-1], symbol) == pair:
            joined[-1] += symbol
        else:
            joined.append(symbol)
    return joined


def world_words() -> set[str]:
    """The letter runs of all caption words, as the tokenizer's own pattern will cut them ("five-pointed": two)."""
    return {part for word in caption_words() for part in word.replace("'", "-").split("-") if part}


def write_merges(merges: Iterable[Pair], path: Path) -> None:
    """Gzip text: a header, then one pair a line. Without a time stamp, so the same merges give the same file."""
    lines = "\n".join([HEADER, *(f"{first} {second}" for first, second in merges)])
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as file:
        file.write(lines.encode("utf-8"))
