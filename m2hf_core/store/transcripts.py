"""What is said in videos: lines with times, their nouns, and full-text search over them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.orm import Session

from m2hf_core.records import Line, Transcript, TranscriptSource, Word
from m2hf_core.store.fulltext import quoted
from m2hf_core.store.models import StoredLine, StoredTranscript, Video
from m2hf_core.store.sql import among


@dataclass(frozen=True, slots=True)
class LineRow:
    line_id: int
    source: TranscriptSource
    line: Line
    nouns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LineNouns:
    """A line as the speech index needs it."""

    line_id: int
    video_id: int
    start_s: float
    end_s: float
    nouns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LineHit:
    """A line that holds the words; a lower `score` (BM25) is better."""

    line_id: int
    video_id: int
    text: str
    start_s: float
    end_s: float
    score: float


@dataclass(frozen=True, slots=True)
class LineText:
    """A line as the caption bank needs it."""

    text: str
    video_id: int
    title: str | None
    """Of its video."""


@dataclass(frozen=True, slots=True)
class TranscriptRow:
    transcript_id: int
    video_id: int
    source: TranscriptSource
    language: str | None
    noun_mode: str
    noun_version: str


def put_transcript(
    session: Session,
    video_id: int,
    transcript: Transcript,
    nouns_per_line: Sequence[tuple[str, ...]],
    noun_mode: str,
    noun_version: str,
) -> int:
    """Store a transcript in place of the one from the same source; its id. Without lines it says "nothing is said".

    `nouns_per_line` is parallel to the lines; mode and version say how the nouns were found.
    """
    if len(nouns_per_line) != len(transcript.lines):
        raise ValueError(f"{len(transcript.lines)} lines with {len(nouns_per_line)} noun sets")
    session.execute(
        delete(StoredTranscript).where(
            StoredTranscript.video_id == video_id, StoredTranscript.source == transcript.source
        )
    )
    row = StoredTranscript(
        video_id=video_id,
        source=transcript.source,
        language=transcript.language,
        noun_mode=noun_mode,
        noun_version=noun_version,
    )
    session.add(row)
    session.flush()
    lines = [
        {
            "transcript_id": row.id,
            "text": line.text,
            "start_s": line.start_s,
            "end_s": line.end_s,
            "words": [(word.text, word.start_s, word.end_s) for word in line.words],
            "nouns": list(nouns),
        }
        for line, nouns in zip(transcript.lines, nouns_per_line, strict=True)
    ]
    if lines:
        # RETURNING puts all rows into one statement; the full-text index is written out after each.
        session.execute(insert(StoredLine).returning(StoredLine.id), lines).all()
    return row.id


def transcripts_of(session: Session, video_id: int) -> list[TranscriptRow]:
    return _transcripts(session, StoredTranscript.video_id == video_id)


def lines_of(
    session: Session, video_id: int, start_s: float = 0.0, end_s: float = float("inf")
) -> list[LineRow]:
    """The lines of a video, or of a part of it, that are heard in [start_s, end_s), in time; of all sources."""
    rows = session.execute(
        select(
            StoredLine.id,
            StoredTranscript.source,
            StoredLine.text,
            StoredLine.start_s,
            StoredLine.end_s,
            StoredLine.words,
            StoredLine.nouns,
        )
        .join(StoredTranscript, StoredTranscript.id == StoredLine.transcript_id)
        .where(
            StoredTranscript.video_id == video_id,
            StoredLine.start_s < end_s,
            StoredLine.end_s > start_s,
        )
        .order_by(StoredLine.start_s, StoredLine.id)
    )
    return [
        LineRow(
            line_id,
            source,
            Line(words_text, begin, end, tuple(Word(*word) for word in words)),
            tuple(nouns),
        )
        for line_id, source, words_text, begin, end, words, nouns in rows
    ]


def iter_line_nouns(session: Session) -> Iterator[LineNouns]:
    """Every line that has nouns, for building the speech index, a few in memory at a time."""
    rows = session.execute(
        select(
            StoredLine.id, StoredTranscript.video_id, StoredLine.start_s, StoredLine.end_s, StoredLine.nouns
        )
        .join(StoredTranscript, StoredTranscript.id == StoredLine.transcript_id)
        .where(func.json_array_length(StoredLine.nouns) > 0)
        .order_by(StoredLine.id)
        .execution_options(yield_per=1000)
    )
    for line_id, video_id, start_s, end_s, nouns in rows:
        yield LineNouns(line_id, video_id, start_s, end_s, tuple(nouns))


def latest_line_texts(session: Session, limit: int, without: Collection[int] = ()) -> list[LineText]:
    """The lines that came last, newest first, but for those of the videos `without`."""
    rows = session.execute(
        select(StoredLine.text, StoredTranscript.video_id, Video.title)
        .join(StoredTranscript, StoredTranscript.id == StoredLine.transcript_id)
        .join(Video, Video.id == StoredTranscript.video_id)
        .where(~among(Video.id, without))
        .order_by(StoredLine.id.desc())
        .limit(limit)
    )
    return [LineText(*row) for row in rows]


def search_lines(session: Session, words: str, limit: int = 100) -> list[LineHit]:
    """Lines that hold all the words, best first; double quotes keep words together. No syntax, no errors."""
    if not (query := quoted(words)):
        return []
    rows = session.execute(
        text(
            "SELECT line.id, transcript.video_id, line.text, line.start_s, line.end_s, line_fts.rank "
            "FROM line_fts JOIN line ON line.id = line_fts.rowid "
            "JOIN transcript ON transcript.id = line.transcript_id "
            "WHERE line_fts MATCH :query ORDER BY line_fts.rank LIMIT :limit"
        ),
        {"query": query, "limit": limit},
    )
    return [LineHit(*row) for row in rows]


def line_figures(session: Session) -> tuple[int, int]:
    """How many lines there are, and the newest id: both the same means nothing has changed; as `caption_figures`."""
    number = session.scalars(select(func.count()).select_from(StoredLine)).one()
    return number, session.scalar(select(func.max(StoredLine.id))) or 0


def count_lines_of(session: Session, video_ids: Collection[int]) -> int:
    """How many lines these videos have together."""
    lines = select(func.count()).select_from(StoredLine).join(StoredTranscript)
    return session.scalars(lines.where(among(StoredTranscript.video_id, video_ids))).one()


def videos_listened_to(session: Session) -> int:
    """How many videos have a transcript, an empty one included."""
    return session.scalars(select(func.count(StoredTranscript.video_id.distinct()))).one()


def _transcripts(session: Session, which: Any) -> list[TranscriptRow]:
    rows = session.scalars(select(StoredTranscript).where(which).order_by(StoredTranscript.id))
    return [
        TranscriptRow(
            row.id,
            row.video_id,
            row.source,
            row.language,
            row.noun_mode,
            row.noun_version,
        )
        for row in rows
    ]
