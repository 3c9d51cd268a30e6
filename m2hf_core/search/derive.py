"""From raw features to what one scorer keeps of each clip: the arrays of a segment.

Beside the frames of each branch it keeps the same frames with the branch's input replaced by its completion ("muted"),
so that a search can say whether sound or movement mattered, and how the clip scores with captions that are not about
it, so that a search can say whether a score is anything unusual for this clip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from m2hf_core.index import Segment, coded
from m2hf_core.model.align import align_to_frames
from m2hf_core.model.inputs import EncodedVideo, TextFeatures, VideoFeatures
from m2hf_core.model.m2hf import M2HF
from m2hf_core.model.wti import wti_matrix
from m2hf_core.progress import Progress
from m2hf_core.records import Branch, Feature

MAX_FRAMES = 12
BATCH = 64
SMALLEST_DEVIATION = 1e-3

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class RawClip:
    """One clip as extracted: features with the video's own times, of which the clip is a part."""

    clip_id: int
    mark: int
    """Differs whenever anything that it is made of differs."""
    frames: Feature
    """At most 12 rows, those of the clip."""
    audio: Feature | None
    motion: Feature | None


def within(feature: Feature, start_s: float, end_s: float) -> Feature:
    """The frames of a clip: rows that begin in [start_s, end_s), of more than 12 an even choice, both ends included."""
    first, end = np.searchsorted(feature.start_s, [start_s - 1e-6, end_s - 1e-6])
    rows = np.arange(first, end)
    if len(rows) > MAX_FRAMES:
        rows = rows[np.linspace(0, len(rows) - 1, MAX_FRAMES).astype(np.int64)]
    return Feature(feature.values[rows], feature.start_s[rows], feature.end_s[rows])


def video_features(clips: Sequence[RawClip], audio_width: int, motion_width: int) -> VideoFeatures:
    """A batch of B clips as the scorer takes it, F = 12."""
    B, d = len(clips), clips[0].frames.values.shape[1]
    frames, mask = np.zeros((B, MAX_FRAMES, d), np.float32), np.zeros((B, MAX_FRAMES), np.bool_)
    senses = {
        name: (np.zeros((B, MAX_FRAMES, width), np.float32), np.zeros((B, MAX_FRAMES), np.bool_))
        for name, width in (("audio", audio_width), ("motion", motion_width))
    }
    for row, clip in enumerate(clips):
        seen = clip.frames
        n = len(seen.values)
        frames[row, :n], mask[row, :n] = seen.values, True
        for feature, (values, present) in zip((clip.audio, clip.motion), senses.values(), strict=True):
            if feature is not None and len(feature.values):
                values[row, :n], present[row, :n] = align_to_frames(
                    feature.values, feature.start_s, feature.end_s, seen.start_s, seen.end_s
                )
    given = [frames, mask, *senses["audio"], *senses["motion"]]
    return VideoFeatures(*(torch.from_numpy(array) for array in given))


@torch.inference_mode()
def derive(
    scorer: M2HF,
    branches: Sequence[str],
    clips: Sequence[RawClip],
    widths: tuple[int, int],
    null: TextFeatures | None,
    progress: Progress | None = None,
) -> dict[str, Array]:
    """The arrays of one segment; every clip has a frame. Looks between batches whether to stop (`Interrupted`).

    `widths`: of audio and motion features. `null`: captions that are about nothing in particular.
    """
    parts = []
    for start in range(0, len(clips), BATCH):
        if progress is not None:
            progress.check()
        parts.append(_derive_batch(scorer, branches, clips[start : start + BATCH], widths, null))
    counts = np.asarray([len(clip.frames.values) for clip in clips], np.int32)
    ends = np.cumsum(counts, dtype=np.int64)
    middles = [(clip.frames.start_s + clip.frames.end_s) / 2 for clip in clips]
    arrays = {
        "ids": np.asarray([clip.clip_id for clip in clips], np.int64),
        "marks": np.asarray([clip.mark for clip in clips], np.uint64),
        "start": ends - counts,
        "count": counts,
        "times": np.concatenate(middles).astype(np.float64),
    }
    for name in parts[0]:
        columns = [part[name] for part in parts]
        arrays[name] = np.max(columns, axis=0) if name.startswith("top.") else np.concatenate(columns)
    return arrays


def _derive_batch(
    scorer: M2HF,
    branches: Sequence[str],
    clips: Sequence[RawClip],
    widths: tuple[int, int],
    null: TextFeatures | None,
) -> dict[str, Array]:
    video = video_features(clips, *widths)
    encoded = scorer.encode_video(video)
    arrays = _rows(encoded, branches, "unit")
    vectors = encoded.vectors()
    for branch in branches:
        pooled = vectors[branch].numpy().astype(np.float32)
        arrays[f"pooled.{branch}"] = pooled
        arrays[f"codes.{branch}"], arrays[f"step.{branch}"] = coded(pooled)
        arrays[f"present.{branch}"] = encoded.present[branch].numpy()
    for branch, without in ((Branch.AUDIO, video.without_audio), (Branch.MOTION, video.without_motion)):
        if branch in branches:
            arrays |= _rows(scorer.encode_video(without()), (branch,), "muted")
    if null is not None:
        for branch, side in scorer.encode_text(null, branches).items():
            scores = wti_matrix(side, encoded.branches[branch], scorer.rho).numpy()
            mean, deviation = scores.mean(axis=0), scores.std(axis=0).clip(SMALLEST_DEVIATION)
            arrays[f"null.{branch}"] = np.stack([mean, deviation], axis=1).astype(np.float32)
            here = arrays[f"present.{branch}"]
            unusual = np.where(here, (scores - mean) / deviation, -np.inf)
            arrays[f"top.{branch}"] = unusual.max(axis=1).astype(np.float32)
    return arrays


def _rows(encoded: EncodedVideo, branches: Sequence[str], variant: str) -> dict[str, Array]:
    """Unit frames and weights [R] of the real frames, clip after clip."""
    arrays: dict[str, Array] = {}
    for branch in branches:
        side = encoded.branches[branch]
        arrays[f"{variant}.{branch}"] = side.unit[side.mask].numpy().astype(np.float16)
        arrays[f"{variant}_weight.{branch}"] = side.weight[side.mask].numpy().astype(np.float32)
    return arrays


def joined(segments: Sequence[Segment]) -> Mapping[str, Array]:
    """One segment's arrays out of several, without what was removed."""
    columns: dict[str, list[Array]] = {}
    for segment in segments:
        arrays, alive = segment.arrays, segment.alive
        rows = np.repeat(alive, arrays["count"])
        for name, values in arrays.items():
            if name.startswith("top."):
                columns.setdefault(name, []).append(values)
            else:
                by_frame = name == "times" or name.startswith(("unit", "muted"))
                columns.setdefault(name, []).append(values[rows if by_frame else alive])
    found = {
        name: np.max(parts, axis=0) if name.startswith("top.") else np.concatenate(parts)
        for name, parts in columns.items()
    }
    counts = found["count"]
    found["start"] = np.cumsum(counts, dtype=np.int64) - counts
    return found
