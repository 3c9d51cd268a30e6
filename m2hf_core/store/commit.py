"""The one way in which a worker's result enters the library.

A result spans two files, and in write-ahead logging SQLite does not commit two files as one. So the features go
first, durably, and the library's transaction, which says that they are there, goes second. A crash in between leaves
features that the next run finds by `features.extractors_of` and does not extract again; the opposite order would
leave a job that claims features which nobody has.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from m2hf_core.records import Feature, Transcript
from m2hf_core.store import clips, features, jobs, transcripts
from m2hf_core.store.files import VideoInfo
from m2hf_core.store.store import Store


@dataclass(frozen=True, slots=True)
class Heard:
    """A transcript with the nouns of each of its lines."""

    transcript: Transcript
    nouns_per_line: Sequence[tuple[str, ...]]
    noun_mode: str
    noun_version: str


@dataclass(frozen=True, slots=True, eq=False)
class Extracted:
    """What one job brought, by extractor fingerprint."""

    done_with: Collection[str]
    """The extractors that are through, those that found nothing included."""
    features: Mapping[str, Feature] = field(default_factory=dict)
    info: VideoInfo | None = None
    spans: Sequence[tuple[float, float]] | None = None
    """The clips; None leaves them as they are."""
    heard: Sequence[Heard] = ()


def commit_extracted(store: Store, lease: jobs.Lease, extracted: Extracted) -> list[int] | None:
    """Store a result and end its job: the ids of the video's clips (empty if unchanged), None if it was forgotten."""
    with store.features.writing() as session:
        for extractor, feature in extracted.features.items():
            features.put(session, lease.fingerprint, extractor, feature)
    with store.library.writing() as session:
        if not jobs.finish(session, lease.job_id, extracted.done_with, extracted.info):
            return None
        for heard in extracted.heard:
            transcripts.put_transcript(
                session,
                lease.video_id,
                heard.transcript,
                heard.nouns_per_line,
                heard.noun_mode,
                heard.noun_version,
            )
        if extracted.spans is None:
            return []
        return clips.replace_clips(session, lease.video_id, extracted.spans)
