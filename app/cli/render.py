"""The lines of an answer that a person reads; the documents for scripts are `app.services.documents`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.cli.common import moment
from app.services.documents import captions_json, search_json
from m2hf_core.records import BRANCHES, CaptionAnswer, Copy, SearchAnswer, SearchHit

LONGEST_QUERY = 300
"""Characters of a query that are repeated in its answer."""

__all__ = [
    "alignment_lines",
    "branch_table",
    "caption_lines",
    "captions_json",
    "ordinal",
    "search_json",
    "search_lines",
    "table",
]


def search_lines(answer: SearchAnswer) -> Iterable[str]:
    """The answer for a person: one line per hit, one beneath it that says why, then what could not be searched."""
    gallery = f"{_count(answer.videos, 'video')}, {_count(answer.clips, 'clip')}"
    took = answer.took_ms + answer.encode_ms
    asked = answer.query if len(answer.query) <= LONGEST_QUERY else f"{answer.query[:LONGEST_QUERY]}…"
    yield f"{_count(len(answer.hits), 'hit')} for “{asked}” in {gallery} ({took:.0f} ms, {answer.fusion})"
    for hit in answer.hits:
        where = f"{moment(hit.start_s)} to {moment(hit.end_s)}"
        yield f"{hit.rank:>3}  {hit.title}   {where}   best at {moment(hit.best_s)}"
        yield f"     {_why(hit)}"
        for copy in hit.copies:
            own, of = (f"{moment(a)} to {moment(b)}" for a, b in _spans(copy))
            yield f"     the same in {copy.video.name}   {own} is {of} here"
    for branch, reason in answer.abstained.items():
        yield f"{branch}: {reason}"
    if answer.noun_mode == "content-words":
        yield "nouns: all content words serve, as no noun tagger is here (m2hf-app models prepare)"
    for spot in answer.blind_spots:
        yield f"blind spot: {spot}"
    for note in answer.notes:
        yield f"note: {note}"


def _spans(copy: Copy) -> tuple[tuple[float, float], tuple[float, float]]:
    return (copy.start_s, copy.end_s), (copy.of_start_s, copy.of_end_s)


def _why(hit: SearchHit) -> str:
    """`found by speech (siren, harbour); visual 7th; without speech it would be 31st`."""
    parts = [f"found by {' and '.join(hit.won_by)}" if hit.won_by else "no branch ranks it"]
    if hit.words and "speech" in hit.won_by:
        parts[0] += f" ({', '.join(hit.words)})"
    others = [
        f"{name} {ordinal(branch.rank)}"
        for name, branch in hit.branches.items()
        if branch is not None and name not in hit.won_by
    ]
    parts.extend(others)
    if len(hit.won_by) == 1 and len(hit.without) > 1:
        without = hit.without.get(hit.won_by[0])
        if without is not None:
            place = ordinal(without) if isinstance(without, int) else without
            parts.append(f"without {hit.won_by[0]} it would be {place}")
    return "; ".join(parts)


def alignment_lines(answer: SearchAnswer) -> Iterable[str]:
    """Which word of the query each hit matched, by which branch and when."""
    for hit in answer.hits:
        for aligned in hit.alignment:
            where = f"{aligned.branch:<7} {moment(aligned.time_s)}   {aligned.weight:.2f}"
            yield f"{hit.rank:>3}  {aligned.word:<16} {where}"


def caption_lines(answer: CaptionAnswer) -> Iterable[str]:
    """The captions nearest to a clip, one line each, with the branch that found it."""
    where = f"{moment(answer.start_s)} to {moment(answer.end_s)}"
    yield f"{answer.video.name}   {where}   {_count(answer.bank, 'caption')} compared"
    for text in answer.said:
        yield f"     said here: {text}"
    for hit in answer.hits:
        yield f"{hit.rank:>3}  {hit.text}   ({' and '.join(hit.won_by)}; {hit.source})"
    for branch, reason in answer.abstained.items():
        yield f"{branch}: {reason}"
    for note in answer.notes:
        yield f"note: {note}"


def table(rows: Sequence[Sequence[object]], head: Sequence[str]) -> Iterable[str]:
    """Columns aligned to the left, two spaces apart, under their heads."""
    cells = [list(map(str, head)), *(list(map(str, row)) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def branch_table(t2v: Mapping[str, Any]) -> Iterable[str]:
    """The figures of an evaluation, a row per reading, branch and fusion."""
    columns = ("R@1", "R@5", "R@10", "MdR", "MnR")
    rows: list[list[object]] = []
    for label, figures in (
        ("mmbf, honest", t2v.get("honest")),
        *((f"{name}, alone", t2v.get("branches", {}).get(name)) for name in BRANCHES),
        *((name, figures) for name, figures in t2v.get("fusions", {}).items()),
        ("mmbf, visual and speech", t2v.get("visual+speech", {}).get("honest")),
        ("oracle (paper's reading)", t2v.get("oracle")),
        ("pessimistic", t2v.get("pessimistic")),
    ):
        if figures:
            rows.append([label, *(f"{figures[column]:.1f}" for column in columns)])
        elif label.endswith("alone"):
            rows.append([label, *("-" for _ in columns)])
    return table(rows, ("", *columns))


def ordinal(rank: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    if rank % 100 in (11, 12, 13):
        return f"{rank}th"
    return f"{rank}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(rank % 10, 'th') }"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
