"""Takes a worker's staged result into the store: clips are cut, features and transcript committed, the file removed."""

from __future__ import annotations

from pathlib import Path

from m2hf_core.ingest.extract import Extraction
from m2hf_core.ingest.staging import read_staged
from m2hf_core.ingest.windows import Span, change_windows, uniform_windows
from m2hf_core.records import Feature, Transcript
from m2hf_core.store import Store, features
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
    transcript = extraction.transcript or Transcript("embedded", None, ())
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
        spans=_spans(info.duration_s, _frames_of(store, lease, extraction, clip_extractor)),
        heard=(Heard(transcript, extraction.nouns, extraction.noun_mode, extraction.noun_version),),
    )
    commit_extracted(store, lease, extracted)
    staged.unlink(missing_ok=True)
    return extraction


def _frames_of(store: Store, lease: Lease, extraction: Extraction, extractor: str | None) -> Feature | None:
    """The frame features, from this result or from an earlier one."""
    if extractor is None:
        return None
    if extractor in extraction.features:
        return extraction.features[extractor]
    with store.features.reading() as session:
        return features.get(session, lease.fingerprint, extractor)


def _spans(duration_s: float, frames: Feature | None) -> list[Span]:
    duration_s = max(duration_s, SHORTEST_S)
    if frames is None or len(frames.values) == 0:
        return uniform_windows(duration_s)
    spans = change_windows(frames.start_s, frames.end_s, frames.values)
    # The last frame's cell may end a little before or after the container says; the clip ends with the video.
    last = spans[-1]
    return [*spans[:-1], (last[0], max(duration_s, last[0] + SHORTEST_S))]
