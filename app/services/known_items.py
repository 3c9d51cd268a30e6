"""What the owner's library itself says is true: captions, pins and spoken lines with the moments they belong to.

A new scorer is tested on these before it may answer, and the captions and pins can be carried away to train one. Videos
are split by their content, so what a scorer was trained on never tests it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from app.services.library import Library
from m2hf_core.errors import KnownError
from m2hf_core.records import Feature
from m2hf_core.store import captions, clips, features, pins, transcripts
from m2hf_core.store.clips import ClipRow
from m2hf_core.training.data.dataset import ClipInfo
from m2hf_core.training.data.packing import RawClip, within
from m2hf_core.training.data.shards import SpokenClip

Span = tuple[float, float]
AUDIO_WIDTH, MOTION_WIDTH = 128, 1024
"""What a sense that was never extracted is given: the widths of VGGish and S3D, all rows missing."""


@dataclass(frozen=True, slots=True)
class KnownItem:
    """A text and the video that it is true of; `span` None: somewhere in the video."""

    text: str
    video_id: int
    span: Span | None
    source: str
    """caption, pin or transcript"""


def split_of(fingerprint: str) -> str:
    """train, val or test by the video's content: 80, 10 and 10 of a hundred, the same on every machine."""
    tenth = hashlib.blake2b(fingerprint.encode(), digest_size=8).digest()[0] % 10
    return "train" if tenth < 8 else "val" if tenth == 8 else "test"


def known_items(session: Session, *, spoken: bool) -> list[KnownItem]:
    """Captions tied to a video and right pins; with `spoken` every transcript line of some words too."""
    found = [
        KnownItem(row.text, row.video_id, _span(row.start_s, row.end_s), "caption")
        for row in captions.list_captions(session)
        if row.video_id is not None
    ]
    found += [
        KnownItem(pin.text, pin.video_id, (pin.start_s, pin.end_s), "pin")
        for pin in pins.list_pins(session, verdict="right")
    ]
    if spoken:
        videos = sorted({row.video_id for row in clips.searchable_clips(session)})
        found += [
            KnownItem(row.line.text, video_id, (row.line.start_s, row.line.end_s), "transcript")
            for video_id in videos
            for row in transcripts.lines_of(session, video_id)
            if row.nouns
        ]
    return list(dict.fromkeys(found))


def _span(start_s: float | None, end_s: float | None) -> Span | None:
    return None if start_s is None or end_s is None else (start_s, end_s)


@dataclass(frozen=True, slots=True)
class Widths:
    """d of each sense under this preset, as stored."""

    frames: int
    audio: int
    motion: int


class LibraryFeatures:
    """Reads what the workers stored, video by video, under one preset. Raises `KnownError` before the first index."""

    def __init__(self, library: Library, session: Session) -> None:
        """`session` is one on the features' file."""
        self._session, self._prints = session, library.offer().fingerprints
        if "clip" not in self._prints:
            raise KnownError(
                f"Nothing is indexed with the preset {library.preset.id!r} yet.", "Run: m2hf-app index FOLDER"
            )

    @property
    def fingerprints(self) -> dict[str, str]:
        named = {"clip": "clip", "vggish": "audio", "s3d": "motion", "speech": "speech"}
        return {named[kind]: value for kind, value in self._prints.items() if kind in named}

    def of(self, fingerprint: str) -> tuple[Feature, Feature | None, Feature | None] | None:
        """(frames, audio, motion) of a video, None when it was not looked at or shows nothing."""
        frames = features.get(self._session, fingerprint, self._prints["clip"])
        if frames is None or not len(frames.values):
            return None
        audio, motion = (self._maybe(fingerprint, kind) for kind in ("vggish", "s3d"))
        return frames, audio, motion

    def _maybe(self, fingerprint: str, kind: str) -> Feature | None:
        extractor = self._prints.get(kind)
        return None if extractor is None else features.get(self._session, fingerprint, extractor)


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """A time range of a video with its features."""

    row: ClipRow
    clip: SpokenClip


def units_of(
    session: Session, stored: LibraryFeatures, rows: Sequence[ClipRow], spans: Mapping[int, Sequence[Span]]
) -> list[Unit]:
    """A unit for each span of each video; `rows` has at least one clip of every video. Unseen ones are left out."""
    by_video: dict[int, ClipRow] = {}
    for row in rows:
        by_video.setdefault(row.video_id, row)
    found = []
    for video_id, row in by_video.items():
        seen = stored.of(row.fingerprint)
        if seen is None:
            continue
        frames, audio, motion = seen
        lines = transcripts.lines_of(session, video_id)
        languages = {row.source: row.language for row in transcripts.transcripts_of(session, video_id)}
        for start_s, end_s in dict.fromkeys(spans[video_id]):
            if not len(within(frames, start_s, end_s).values):
                continue
            heard = [one for one in lines if one.line.start_s < end_s and one.line.end_s > start_s]
            info = ClipInfo(
                f"{row.fingerprint}@{start_s:g}-{end_s:g}",
                row.path,
                start_s,
                end_s,
                tuple((one.line.text, languages.get(one.source)) for one in heard),
            )
            nouns = frozenset(noun for one in heard for noun in one.nouns)
            found.append(Unit(row, SpokenClip(RawClip(info, frames, audio, motion), nouns)))
    return found


def widths_of(units: Iterable[Unit]) -> Widths:
    """What the stored rows say. ValueError without units."""
    frames, audio, motion = 0, 0, 0
    for unit in units:
        raw = unit.clip.raw
        frames = raw.frames.values.shape[1]
        audio = audio or (raw.audio.values.shape[1] if raw.audio is not None else 0)
        motion = motion or (raw.motion.values.shape[1] if raw.motion is not None else 0)
        if audio and motion:
            break
    if not frames:
        raise ValueError("no clip has features")
    return Widths(frames, audio or AUDIO_WIDTH, motion or MOTION_WIDTH)


def drawn(items: Sequence[KnownItem], most: int) -> list[KnownItem]:
    """At most so many items, the same ones each time; captions and pins before spoken lines."""
    by_source: dict[bool, list[KnownItem]] = defaultdict(list)
    for item in items:
        by_source[item.source == "transcript"].append(item)
    kept: list[KnownItem] = []
    rng = np.random.default_rng(0)
    for spoken in (False, True):
        own = by_source[spoken]
        order = rng.permutation(len(own))[: max(0, most - len(kept))]
        kept += [own[int(i)] for i in np.sort(order)]
    return kept
