"""The caption bank: texts for video-to-text search, free ones and ones that belong to a moment of a video."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Select, delete, func, select, text
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from m2hf_core.store.columns import plain
from m2hf_core.store.fulltext import quoted
from m2hf_core.store.models import Caption
from m2hf_core.store.sql import among

BATCH = 10_000

# RETURNING makes SQLAlchemy put many rows into one statement. That matters: full-text indexes are written out after
# each statement, and one for each row is six times as slow.
ADD = insert(Caption).on_conflict_do_nothing(index_elements=["key"]).returning(Caption.id)


@dataclass(frozen=True, slots=True)
class NewCaption:
    """A caption to add; a span needs a video, a video needs no span."""

    text: str
    source: str
    video_id: int | None = None
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class CaptionRow:
    caption_id: int
    text: str
    source: str
    video_id: int | None
    start_s: float | None
    end_s: float | None


def add_captions(session: Session, captions: Iterable[NewCaption]) -> int:
    """Add captions, as many as there are; answers how many were new. Adding the same twice changes nothing."""
    added_at = time.time()
    stream = iter(captions)
    added = 0
    while batch := [_values(caption, added_at) for caption in islice(stream, BATCH)]:
        added += len(session.scalars(ADD, batch).all())
    return added


def list_captions(
    session: Session,
    *,
    source: str | None = None,
    video_id: int | None = None,
    after: int = 0,
    limit: int | None = None,
) -> list[CaptionRow]:
    """Captions by id, of one source or video if given; `after` an id and `limit` make pages of any depth cheap."""
    chosen = _select().where(Caption.id > after).order_by(Caption.id).limit(limit)
    if source is not None:
        chosen = chosen.where(Caption.source == source)
    if video_id is not None:
        chosen = chosen.where(Caption.video_id == video_id)
    return [CaptionRow(*row) for row in session.execute(chosen)]


def has_tied(session: Session) -> bool:
    """Whether any caption belongs to a moment of a video."""
    return session.scalar(select(Caption.id).where(Caption.video_id.is_not(None)).limit(1)) is not None


def texts_and_sources(session: Session, without: Collection[int] = ()) -> Iterator[tuple[str, str]]:
    """Text and source of every caption by id, but for those of the videos `without`.

    As plain columns: a bank of 200,000 is read in half the time.
    """
    chosen = select(Caption.text, Caption.source).order_by(Caption.id)
    if without:
        chosen = chosen.where(Caption.video_id.is_(None) | ~among(Caption.video_id, without))
    rows = session.connection().execute(chosen)
    return ((words, source) for words, source in rows)


def search_captions(session: Session, words: str, limit: int = 100) -> list[CaptionRow]:
    """Captions that hold all the words, best first; double quotes keep words together."""
    if not (query := quoted(words)):
        return []
    rows = session.execute(
        text(
            "SELECT caption.id, caption.text, source, video_id, start_s, end_s "
            "FROM caption_fts JOIN caption ON caption.id = caption_fts.rowid "
            "WHERE caption_fts MATCH :query ORDER BY caption_fts.rank LIMIT :limit"
        ),
        {"query": query, "limit": limit},
    )
    return [CaptionRow(*row) for row in rows]


def delete_captions(session: Session, caption_ids: Iterable[int]) -> int:
    """Answers how many there were."""
    return session.connection().execute(delete(Caption).where(among(Caption.id, caption_ids))).rowcount


def sources(session: Session) -> dict[str, int]:
    """How many captions each source has."""
    rows = select(Caption.source, func.count()).group_by(Caption.source).order_by(Caption.source)
    return dict(session.execute(rows).all())


def caption_figures(session: Session) -> tuple[int, int]:
    """How many captions there are, and the newest id: both the same means nothing has changed.

    Asked one by one SQLite counts pages and looks at one end; together it would walk through every row.
    """
    return count(session), session.scalar(select(func.max(Caption.id))) or 0


def count(session: Session) -> int:
    return session.scalars(select(func.count()).select_from(Caption)).one()


def _select() -> Select[*tuple[Any, ...]]:
    return select(Caption.id, Caption.text, Caption.source, Caption.video_id, Caption.start_s, Caption.end_s)


def _values(caption: NewCaption, added_at: float) -> dict[str, object]:
    words, source = plain(caption.text).strip(), plain(caption.source)
    if not words:
        raise ValueError("a caption without words")
    if (caption.start_s is None) != (caption.end_s is None) or (
        caption.start_s is not None and caption.video_id is None
    ):
        raise ValueError(f"a caption with half a place: {caption}")
    same = json.dumps([words, source, caption.video_id, caption.start_s, caption.end_s])
    return {
        "text": words,
        "source": source,
        "video_id": caption.video_id,
        "start_s": caption.start_s,
        "end_s": caption.end_s,
        "added_at": added_at,
        "key": hashlib.blake2b(same.encode(), digest_size=16).digest(),
    }
