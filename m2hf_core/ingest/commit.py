"""Takes a worker's staged result into the store: clips are cut, features and transcript committed, the file removed."""

from __future__ import annotations

from pathlib import Path

from m2hf_core.ingest.extract import Extraction
from m2hf_core.ingest.staging import read_staged
from m2hf_core.ingest.windows import Span, change_windows, uniform_windows
from m2hf_core.records import Feature, Transcript, TranscriptSource
from m2hf_core.store import Store, clips, features
from m2hf_core.store.commit import Extracted, Heard, commit_extracted
from m2hf_core.store.files import VideoInfo
from m2hf_core.store.jobs import Lease

SHORTEST_S = 0.04
"""A picture without duration is shown for as long as a cinema frame."""


def commit_staged(store: Store, lease: Lease, staged: Path, clip_extractor: str | None) -> Extraction:
    """Commit one result and delete its file; returns what was in it.

    `clip_extractor` is the fingerprint whose frame features say where the picture changes; None cuts evenly.
    """
    extraction = read_staged(staged)
    info = extraction.info
    extracted = Extracted(
        done_with=lease.wanted,
        features=extraction.features,
        info=VideoInfo(
            duration_s=info.duration_s,
            width=info.width,
            height=info.height,
            has_audio=info.has_audio,
            container=info.container,
            codec=info.video_codec,
        ),
        spans=_spans_for(store, lease, extraction, clip_extractor),
        heard=_heard(extraction),
    )
    commit_extracted(store, lease, extracted)
    staged.unlink(missing_ok=True)
    return extraction


def _heard(extraction: Extraction) -> list[Heard]:
    """What the subtitles say, under their source; the other source is emptied, since its file may be gone."""
    mode, version = extraction.noun_mode, extraction.noun_version
    found = extraction.transcript
    sources: tuple[TranscriptSource, ...] = ("sidecar", "embedded")
    return [
        Heard(found, extraction.nouns, mode, version)
        if found is not None and found.source == source
        else Heard(Transcript(source, None, ()), (), mode, version)
        for source in sources
    ]


def _frames_of(store: Store, lease: Lease, extraction: Extraction, extractor: str | None) -> Feature | None:
    """The frame features, from this result or from an earlier one."""
    if extractor is None:
        return None
    if extractor in extraction.features:
        return extraction.features[extractor]
    with store.features.reading() as session:
        return features.get(session, lease.fingerprint, extractor)


def _spans_for(
    store: Store, lease: Lease, extraction: Extraction, clip_extractor: str | None
) -> list[Span] | None:
    """The clips to cut; None keeps those that a preset with sight has cut, when this one has none."""
    frames = _frames_of(store, lease, extraction, clip_extractor)
    if frames is None:
        with store.library.reading() as session:
            if clips.clips_of(session, lease.video_id):
                return None
    return _spans(extraction.info.duration_s, frames)


def _spans(duration_s: float, frames: Feature | None) -> list[Span]:
    duration_s = max(duration_s, SHORTEST_S)
    if frames is None or len(frames.values) == 0:
        return uniform_windows(duration_s)
    spans = change_windows(frames.start_s, frames.end_s, frames.values)
    # The last frame's cell may end a little before or after the container says; the clip ends with the video.
    last = spans[-1]
    return [*spans[:-1], (last[0], max(duration_s, last[0] + SHORTEST_S))]
