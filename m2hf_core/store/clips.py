"""Clips, the unit of search: which there are, and where their videos lie."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, delete, insert, select
from sqlalchemy.orm import Session

from m2hf_core.store.models import Clip, Video, VideoPath
from m2hf_core.store.sql import among


@dataclass(frozen=True, slots=True)
class ClipRow:
    clip_id: int
    video_id: int
    fingerprint: str
    start_s: float
    end_s: float
    path: str
    """A present path where there is one."""
    offline: bool
    title: str | None


def replace_clips(session: Session, video_id: int, spans: Iterable[tuple[float, float]]) -> list[int]:
    """Give a video these clips, in order; their ids. An unchanged span keeps its id, and with it its index entries.

    Raises `ValueError` for a span that does not go forward.
    """
    wanted = sorted(set(spans))
    for start_s, end_s in wanted:
        if not 0 <= start_s < end_s:
            raise ValueError(f"no clip lasts from {start_s} to {end_s}")
    rows = session.execute(select(Clip.start_s, Clip.end_s, Clip.id).where(Clip.video_id == video_id))
    had = {(start_s, end_s): clip_id for start_s, end_s, clip_id in rows}
    gone = [clip_id for span, clip_id in had.items() if span not in set(wanted)]
    session.connection().execute(delete(Clip).where(among(Clip.id, gone)))
    new = [span for span in wanted if span not in had]
    if new:
        values = [{"video_id": video_id, "start_s": start_s, "end_s": end_s} for start_s, end_s in new]
        session.execute(insert(Clip), values)
    ids = select(Clip.id).where(Clip.video_id == video_id).order_by(Clip.start_s, Clip.end_s)
    return list(session.scalars(ids))


def searchable_clips(session: Session) -> list[ClipRow]:
    """Every clip whose video is present or offline, by video, then time."""
    return _rows(session, _select().order_by(Video.id, Clip.start_s, Clip.end_s))


def clips_of(session: Session, video_id: int) -> list[ClipRow]:
    """One video's clips in time; empty when its file is gone."""
    return _rows(session, _select().where(Video.id == video_id).order_by(Clip.start_s, Clip.end_s))


def clip_at(session: Session, video_id: int, time_s: float) -> ClipRow | None:
    """The clip that covers this moment; the last one begun before it if none does; None without clips."""
    begun = (
        _select()
        .where(Video.id == video_id, Clip.start_s <= time_s)
        .order_by(Clip.start_s.desc(), Clip.end_s.desc())
        .limit(1)
    )
    rows = _rows(session, begun)
    return rows[0] if rows else None


def _select() -> Select[*tuple[Any, ...]]:
    """Clips with the one path of each video that represents it: present before offline, then first seen."""
    lying = (
        select(VideoPath.id)
        .where(VideoPath.video_id == Video.id, VideoPath.state.in_(("present", "offline")))
        .order_by(VideoPath.state.desc(), VideoPath.id)
        .limit(1)
        .correlate(Video)
        .scalar_subquery()
    )
    return (
        select(
            Clip.id,
            Video.id,
            Video.fingerprint,
            Clip.start_s,
            Clip.end_s,
            VideoPath.path,
            VideoPath.state,
            Video.title,
        )
        .select_from(Video)
        .join(VideoPath, VideoPath.id == lying)
        .join(Clip, Clip.video_id == Video.id)
    )


def _rows(session: Session, chosen: Select[*tuple[Any, ...]]) -> list[ClipRow]:
    return [
        ClipRow(clip_id, video_id, fingerprint, start_s, end_s, path, state == "offline", title)
        for clip_id, video_id, fingerprint, start_s, end_s, path, state, title in session.execute(chosen)
    ]
