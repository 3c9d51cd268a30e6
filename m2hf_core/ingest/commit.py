"""Takes a worker's staged result into the store: clips are cut, features and transcript committed, the file removed."""

from __future__ import annotations

from pathlib import Path

from m2hf_core.ingest.staging import read_staged
from m2hf_core.ingest.video import Extraction
from m2hf_core.ingest.windows import Span, cut_video
from m2hf_core.records import Feature, Transcript
from m2hf_core.store import Store, clips, features
from m2hf_core.store.commit import Extracted, Heard, commit_extracted
from m2hf_core.store.files import VideoInfo
from m2hf_core.store.jobs import Lease


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
    """What each source says; one that was asked and has nothing to say any more is emptied."""
    mode, version = extraction.noun_mode, extraction.noun_version
    found = {heard.transcript.source: heard for heard in extraction.heard}
    return [
        Heard(found[source].transcript, found[source].nouns, mode, version)
        if source in found
        else Heard(Transcript(source, None, ()), (), mode, version)
        for source in extraction.asked
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
    return cut_video(extraction.info.duration_s, frames)
