"""One clip as the branches know it, read from the store alone: enough to compare it with texts, without a gallery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m2hf_core.model.align import align_to_frames
from m2hf_core.records import Feature
from m2hf_core.search.captions_cache import FloatArray
from m2hf_core.store import Store, features, transcripts
from m2hf_core.store.clips import ClipRow

MAX_FRAMES = 12


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """A clip with what is seen, heard, done and said in it."""

    clip: ClipRow
    frames: FloatArray | None
    """[F, d] frame features, F <= 12, not normalised; None where they are not extracted."""
    times: npt.NDArray[np.float64]
    """[F] the middle of each frame's cell in seconds."""
    audio: FloatArray
    """[F, d_a] sound aligned to the frames; d_a is 0 where none is extracted."""
    has_audio: npt.NDArray[np.bool_]
    motion: FloatArray
    """[F, d_m], likewise."""
    has_motion: npt.NDArray[np.bool_]
    said: tuple[str, ...]
    """The lines that are heard in the clip."""
    nouns: frozenset[str]
    """Of these lines."""


def load_moment(store: Store, clip: ClipRow, extractors: Mapping[str, str]) -> Moment:
    """`extractors`: kind (clip, vggish, s3d) -> fingerprint, as far as there are any."""
    found: dict[str, Feature | None] = {}
    with store.features.reading() as session:
        for kind in ("clip", "vggish", "s3d"):
            name = extractors.get(kind)
            found[kind] = None if name is None else features.get(session, clip.fingerprint, name)
    with store.library.reading() as session:
        lines = transcripts.lines_of(session, clip.video_id, clip.start_s, clip.end_s)
    seen = found["clip"]
    rows = np.empty(0, np.int64) if seen is None else frames_within(seen, clip.start_s, clip.end_s)
    start_s = np.empty(0) if seen is None else seen.start_s[rows]
    end_s = np.empty(0) if seen is None else seen.end_s[rows]
    audio, has_audio = _aligned(found["vggish"], start_s, end_s)
    motion, has_motion = _aligned(found["s3d"], start_s, end_s)
    return Moment(
        clip=clip,
        frames=None if seen is None or not len(rows) else np.asarray(seen.values[rows], np.float32),
        times=(start_s + end_s) / 2,
        audio=audio,
        has_audio=has_audio,
        motion=motion,
        has_motion=has_motion,
        said=tuple(line.line.text for line in lines),
        nouns=frozenset[str]().union(*(line.nouns for line in lines)),
    )


def frames_within(feature: Feature, start_s: float, end_s: float) -> npt.NDArray[np.int64]:
    """Rows [F <= 12] whose cells begin in [start_s, end_s); of more, an even choice with the first and the last."""
    first, end = np.searchsorted(feature.start_s, [start_s - 1e-6, end_s - 1e-6])
    rows = np.arange(first, end, dtype=np.int64)
    if len(rows) > MAX_FRAMES:
        rows = rows[np.linspace(0, len(rows) - 1, MAX_FRAMES).astype(np.int64)]
    return rows


def _aligned(
    feature: Feature | None, start_s: npt.NDArray[np.float64], end_s: npt.NDArray[np.float64]
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    if feature is None or not len(feature.values):
        return np.zeros((len(start_s), 0), np.float32), np.zeros(len(start_s), np.bool_)
    return align_to_frames(feature.values, feature.start_s, feature.end_s, start_s, end_s)
