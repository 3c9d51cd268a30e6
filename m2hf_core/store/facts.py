"""What is known of each file without looking at its clips: the facts that a search can be narrowed by."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from m2hf_core.store.models import StoredLine, StoredTranscript, Video, VideoPath


@dataclass(frozen=True, slots=True)
class PathFacts:
    duration_s: float | None
    has_audio: bool | None
    mtime_ns: int
    """When the file was last changed, in nanoseconds since the epoch."""
    has_speech: bool
    """Whether any transcript of the video has a line; a subtitle that describes a sound is one too."""


def path_facts(session: Session) -> dict[str, PathFacts]:
    """The facts of every file that is present or offline, by absolute path."""
    spoken = select(StoredTranscript.video_id).join(
        StoredLine, StoredLine.transcript_id == StoredTranscript.id
    )
    speaking = set(session.scalars(spoken.distinct()))
    rows = session.execute(
        select(VideoPath.path, Video.duration_s, Video.has_audio, VideoPath.mtime_ns, Video.id)
        .join(Video, Video.id == VideoPath.video_id)
        .where(VideoPath.state.in_(("present", "offline")))
    )
    return {
        path: PathFacts(duration_s, has_audio, mtime_ns, video_id in speaking)
        for path, duration_s, has_audio, mtime_ns, video_id in rows
    }
