"""Subtitle text to transcript lines: SRT and WebVTT as people really have them, hand-edited and half broken."""

from __future__ import annotations

import codecs
import html
import re

from m2hf_core.records import Line

_STAMP = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})[,.](\d{1,3})"
_TIMING = re.compile(rf"^\s*{_STAMP}\s*--+>\s*{_STAMP}")
_OVERRIDES = re.compile(r"\{[^{}]*\}")
_TAGS = re.compile(r"</?[A-Za-z][^<>]*>|<\d+:[\d:.]+>")
_ASS_BREAKS = re.compile(r"\\[Nnh]")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode_text(data: bytes) -> str:
    """Text by its byte order mark, else UTF-16 by its zero bytes, else UTF-8, else Western (never fails)."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    sample = data[:2000]
    if sample.count(0) > len(sample) // 4:
        return data.decode(
            "utf-16-le" if sample[1::2].count(0) >= sample[::2].count(0) else "utf-16-be", "replace"
        )
    for encoding in ("utf-8", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def clean_text(text: str) -> str:
    """The spoken words alone: no tags, styling or entities, on one line."""
    text = _OVERRIDES.sub("", text)
    text = _TAGS.sub("", text)
    text = html.unescape(_ASS_BREAKS.sub(" ", text))
    return " ".join(text.split())


def parse_cues(text: str) -> list[Line]:
    """Lines of an SRT or WebVTT document, by start time; overlapping ones stay.

    A cue is a timing line and the text up to the next blank or timing line. Cues without text, and those
    that end before they begin, are skipped.
    """
    rows = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    timings = [(i, match) for i, row in enumerate(rows) if (match := _TIMING.match(row))]
    lines = []
    for n, (i, match) in enumerate(timings):
        until = timings[n + 1][0] if n + 1 < len(timings) else len(rows)
        body = _body(rows[i + 1 : until])
        start, end = _seconds(match.groups()[:4]), _seconds(match.groups()[4:])
        words = clean_text(" ".join(body))
        if words and end > start:
            lines.append(Line(words, start, end))
    return sorted(lines, key=lambda line: (line.start_s, line.end_s))


def _body(rows: list[str]) -> list[str]:
    for i, row in enumerate(rows):
        if not row.strip():
            return rows[:i]
    # No blank line before the next timing: the row above that timing is its number, not speech.
    return rows[:-1] if rows and rows[-1].strip().isdigit() else rows


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, fraction = parts
    assert minutes is not None
    assert seconds is not None
    assert fraction is not None
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + int(fraction.ljust(3, "0")) / 1000
