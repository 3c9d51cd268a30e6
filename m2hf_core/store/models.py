"""The tables of `library.sqlite`: what the owner would miss, and what is known of each file.

Times are seconds; `added_at` and its like are seconds since the epoch. Ids that leave the store (clips,
videos, lines) are never used twice, because index segments remember them after their rows are gone.
"""

from __future__ import annotations

import time
from typing import ClassVar, Literal

from sqlalchemy import JSON, REAL, CheckConstraint, ForeignKey, Index, MetaData, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from m2hf_core.records import TranscriptSource
from m2hf_core.store.columns import PathBytes, PlainText

LIBRARY_REVISION = "library_0002"
"""The newest migration under migrations/library."""

FolderState = Literal["online", "offline"]
PathState = Literal["present", "offline", "gone"]
JobState = Literal["queued", "leased", "done", "failed"]
Verdict = Literal["right", "wrong"]

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Library(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)
    # SQLite's own word; what SQLAlchemy makes of `float` differs between its versions.
    type_annotation_map: ClassVar[dict[type, type]] = {float: REAL}


class Meta(Library):
    __tablename__ = "meta"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[str] = mapped_column(PlainText)


class Folder(Library):
    """A folder the owner named; `watched` is false for one that was only indexed once."""

    __tablename__ = "folder"
    __table_args__ = (CheckConstraint("state IN ('online', 'offline')", name="state"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(PathBytes, unique=True)
    watched: Mapped[bool]
    state: Mapped[FolderState] = mapped_column(Text, default="online")
    added_at: Mapped[float] = mapped_column(default=time.time)


class Video(Library):
    """One content, wherever its copies lie."""

    __tablename__ = "video"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy's own form

    id: Mapped[int] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(Text, unique=True)
    duration_s: Mapped[float | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    has_audio: Mapped[bool | None]
    container: Mapped[str | None] = mapped_column(PlainText)
    codec: Mapped[str | None] = mapped_column(PlainText)
    title: Mapped[str | None] = mapped_column(PlainText)
    added_at: Mapped[float] = mapped_column(default=time.time)


class VideoPath(Library):
    """Where a video lies or lay. `offline` is a folder away for now, `gone` a file that was deleted."""

    __tablename__ = "path"
    __table_args__ = (
        CheckConstraint("state IN ('present', 'offline', 'gone')", name="state"),
        Index("ix_path_video_id_state_id", "video_id", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    folder_id: Mapped[int] = mapped_column(ForeignKey("folder.id", ondelete="CASCADE"), index=True)
    video_id: Mapped[int] = mapped_column(ForeignKey("video.id", ondelete="CASCADE"))
    path: Mapped[str] = mapped_column(PathBytes, unique=True)
    size: Mapped[int]
    mtime_ns: Mapped[int]
    state: Mapped[PathState] = mapped_column(Text, default="present")


class PathFailure(Library):
    """A file that failed before its content could be read: it has no fingerprint, hence no video."""

    __tablename__ = "path_failure"

    id: Mapped[int] = mapped_column(primary_key=True)
    folder_id: Mapped[int] = mapped_column(ForeignKey("folder.id", ondelete="CASCADE"), index=True)
    path: Mapped[str] = mapped_column(PathBytes, unique=True)
    stage: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(PlainText)
    hint: Mapped[str] = mapped_column(PlainText)
    attempts: Mapped[int] = mapped_column(default=1)


class Clip(Library):
    """A time range of a video, the unit of search."""

    __tablename__ = "clip"
    __table_args__ = (
        UniqueConstraint("video_id", "start_s", "end_s"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    video_id: Mapped[int] = mapped_column(ForeignKey("video.id", ondelete="CASCADE"))
    start_s: Mapped[float]
    end_s: Mapped[float]


class Job(Library):
    """What a video still needs; one row per video, for its present wanted set."""

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint("state IN ('queued', 'leased', 'done', 'failed')", name="state"),
        Index("ix_job_turn", "state", "turn", "cost", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    video_id: Mapped[int] = mapped_column(ForeignKey("video.id", ondelete="CASCADE"), unique=True)
    state: Mapped[JobState] = mapped_column(Text, default="queued")
    turn: Mapped[int] = mapped_column(default=0)
    """Minus the priority, so that one ascending index gives the order of work."""
    cost: Mapped[float] = mapped_column(default=0.0)
    """Seconds of video where known, else a guess from the size: short ones go first."""
    wanted: Mapped[list[str]] = mapped_column(JSON)
    done_with: Mapped[list[str]] = mapped_column(JSON)
    lease_owner: Mapped[str | None] = mapped_column(Text)
    lease_until: Mapped[float | None]
    attempts: Mapped[int] = mapped_column(default=0)
    stage: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(PlainText)
    hint: Mapped[str | None] = mapped_column(PlainText)
    quarantined: Mapped[bool] = mapped_column(default=False)


class StoredTranscript(Library):
    """One source's words for one video; a transcript without lines says that it was listened to."""

    __tablename__ = "transcript"
    __table_args__ = (UniqueConstraint("video_id", "source"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    video_id: Mapped[int] = mapped_column(ForeignKey("video.id", ondelete="CASCADE"))
    source: Mapped[TranscriptSource] = mapped_column(Text)
    language: Mapped[str | None] = mapped_column(PlainText)
    noun_mode: Mapped[str] = mapped_column(Text)
    noun_version: Mapped[str] = mapped_column(Text)


class StoredLine(Library):
    """A line of a transcript; triggers keep `line_fts` in step with it."""

    __tablename__ = "line"
    __table_args__ = (
        Index("ix_line_transcript_id_start_s", "transcript_id", "start_s"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    transcript_id: Mapped[int] = mapped_column(ForeignKey("transcript.id", ondelete="CASCADE"))
    text: Mapped[str] = mapped_column(PlainText)
    start_s: Mapped[float]
    end_s: Mapped[float]
    words: Mapped[list[tuple[str, float, float]]] = mapped_column(JSON)
    nouns: Mapped[list[str]] = mapped_column(JSON)


class Caption(Library):
    """A caption of the bank, free or tied to a time of a video; triggers keep `caption_fts` in step."""

    __tablename__ = "caption"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy's own form

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(PlainText)
    source: Mapped[str] = mapped_column(PlainText, index=True)
    video_id: Mapped[int | None] = mapped_column(ForeignKey("video.id", ondelete="CASCADE"), index=True)
    start_s: Mapped[float | None]
    end_s: Mapped[float | None]
    added_at: Mapped[float] = mapped_column(default=time.time)
    key: Mapped[bytes] = mapped_column(unique=True)
    """Digest of everything that makes two captions the same, so that importing twice adds nothing."""


class Pin(Library):
    """The owner's word on a hit: these words do or do not describe this time of a video."""

    __tablename__ = "pin"
    __table_args__ = (
        UniqueConstraint("text", "video_id", "start_s", "end_s"),
        CheckConstraint("verdict IN ('right', 'wrong')", name="verdict"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(PlainText)
    video_id: Mapped[int] = mapped_column(ForeignKey("video.id", ondelete="CASCADE"), index=True)
    start_s: Mapped[float]
    end_s: Mapped[float]
    verdict: Mapped[Verdict] = mapped_column(Text)
    added_at: Mapped[float] = mapped_column(default=time.time)


class Scorer(Library):
    """A trained scorer; the active one of a preset has its highest `activation`."""

    __tablename__ = "scorer"
    __table_args__ = (Index("ix_scorer_preset_activation", "preset", "activation"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    preset: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    file: Mapped[str | None] = mapped_column(PathBytes)
    info: Mapped[dict[str, object]] = mapped_column(JSON)
    activation: Mapped[int | None]
    added_at: Mapped[float] = mapped_column(default=time.time)
