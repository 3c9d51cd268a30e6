"""From what extractors gave to what batches need: F frames a clip, the other senses aligned, captions encoded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from m2hf_core.hub.manifest import Preset
from m2hf_core.model.align import align_to_frames
from m2hf_core.model.checkpoint import read_info
from m2hf_core.progress import Progress
from m2hf_core.records import Feature
from m2hf_core.text.tower import BATCH, TextTower, open_text_tower
from m2hf_core.training.data.dataset import ClipBlock, ClipInfo, Split, TokenStore

FRAME_STEP_S = 1.0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RawClip:
    """One clip as extracted: features with the video's own times, of which the clip may be a part."""

    info: ClipInfo
    frames: Feature
    audio: Feature | None
    """None where nothing was to be heard."""
    motion: Feature | None


@dataclass(frozen=True, slots=True)
class Widths:
    frames: int
    audio: int
    motion: int


def within(feature: Feature, start_s: float, end_s: float) -> Feature:
    """The rows that begin inside [start_s, end_s), as the search cuts its clips."""
    first, last = np.searchsorted(feature.start_s, [start_s - 1e-6, end_s - 1e-6])
    return Feature(feature.values[first:last], feature.start_s[first:last], feature.end_s[first:last])


def looked_at(starts_s: Floats, ends_s: Floats) -> Floats:
    """[n] the moments that frame features with these spans were taken at.

    Extraction looks at the middle of each second, and at the middle of a shorter rest; a rest too short for a look of
    its own lengthens the last span, whose frame stays where it was.
    """
    return starts_s + np.minimum(ends_s - starts_s, FRAME_STEP_S) / 2


def empty_block(clips: int, frames: int, widths: Widths) -> ClipBlock:
    """Zeros, to be filled row by row."""
    return ClipBlock(
        np.zeros((clips, frames, widths.frames), np.float16),
        np.zeros((clips, frames), np.bool_),
        np.zeros((clips, frames, widths.audio), np.float16),
        np.zeros((clips, frames), np.bool_),
        np.zeros((clips, frames, widths.motion), np.float16),
        np.zeros((clips, frames), np.bool_),
        np.full((clips, frames), np.nan),
    )


def fill_row(block: ClipBlock, row: int, clip: RawClip) -> None:
    """Write one clip into the block. ValueError for a clip without a frame."""
    seen = within(clip.frames, clip.info.start_s, clip.info.end_s)
    n, limit = len(seen.values), block.frames.shape[1]
    if n == 0:
        raise ValueError(f"clip {clip.info.clip_id} has no frame between its times")
    # First and last included, as the paper samples.
    taken = np.arange(n) if n <= limit else np.linspace(0, n - 1, limit).astype(np.int64)
    count = len(taken)
    block.frames[row, :count] = seen.values[taken]
    block.frame_mask[row, :count] = True
    starts, ends = seen.start_s[taken], seen.end_s[taken]
    block.times_s[row] = np.nan
    block.times_s[row, :count] = looked_at(starts, ends)
    for feature, values, present in (
        (clip.audio, block.audio, block.has_audio),
        (clip.motion, block.motion, block.has_motion),
    ):
        if feature is not None and len(feature.values):
            rows, here = align_to_frames(feature.values, feature.start_s, feature.end_s, starts, ends)
            values[row, :count], present[row, :count] = rows, here


def pack_clips(clips: Sequence[RawClip], frames: int, widths: Widths) -> ClipBlock:
    """All clips in memory."""
    block = empty_block(len(clips), frames, widths)
    for row, clip in enumerate(clips):
        fill_row(block, row, clip)
    return block


def pack_texts(tower: TextTower, texts: Iterable[str], progress: Progress | None = None) -> TokenStore:
    """Encode captions once and for all; a causal tower's rows end with the end mark.

    Limit the tower's tokenizer beforehand (`shorten`) where a recipe reads fewer words.
    """
    texts = list(texts)
    rows, masks, lengths, pooled = [], [], [0], []
    for start in range(0, len(texts), BATCH):
        part = texts[start : start + BATCH]
        found = tower.encode(part)
        for i in range(len(part)):
            # The last row that means something: the end mark, or the last position of a tower that pools there.
            length = int(found.mask[i].nonzero().max()) + 1
            rows.append(found.tokens[i, :length].numpy().astype(np.float16))
            masks.append(found.mask[i, :length].numpy())
            lengths.append(length)
            pooled.append(int(found.pooled[i]))
        if progress is not None:
            progress.advance(len(part))
    return TokenStore(
        np.concatenate(rows) if rows else np.empty((0, tower.width), np.float16),
        np.concatenate(masks) if masks else np.empty(0, np.bool_),
        np.cumsum(lengths).astype(np.int64),
        np.asarray(pooled, np.int64),
    )


def in_its_words(split: Split, preset: Preset, scorer: Path, words: int | None = None) -> Split:
    """The split as this scorer reads it: through its own text tower where the file holds one.

    `words`: tokens a text may have, as the split was encoded. Raises `BadModelFile`, `ModelsMissing`.
    """
    if not read_info(scorer).own_text:
        return split
    tower = open_text_tower(preset, scorer=scorer)
    if words is not None:
        shorten(tower, words)
    return replace(split, tokens=pack_texts(tower, split.texts))


def shorten(tower: TextTower, words: int) -> None:
    """Let a causal tower read at most `words` tokens a text (T' of the recipe); one that may not be cut stays."""
    if tower.causal:
        tower.tokenizer.context_length = min(words, tower.tokenizer.context_length)
