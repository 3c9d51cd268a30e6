"""Pairs of clips and captions as training and evaluation read them: arrays in memory or mapped from prepared files.

A clip's features are packed to F frames and float16; its captions keep their texts, so that a run may train the text
tower too. Nothing here needs a database, a decoder or a window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from m2hf_core.model.inputs import TextFeatures, VideoFeatures

Half = npt.NDArray[np.float16]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

SPLITS: tuple[str, ...] = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """What is known of one clip besides its features."""

    clip_id: str
    path: str
    """The video file, for decoding on the fly; empty where there is none (synthetic clips)."""
    start_s: float
    end_s: float
    spoken: tuple[tuple[str, str | None], ...] = ()
    """(text, language) of every line heard within the clip."""


@dataclass(frozen=True, slots=True, eq=False)
class ClipBlock:
    """N clips side by side, F rows each; rows under a False mask are zero. The arrays may be memory maps."""

    frames: Half
    """[N, F, d] un-normalised"""
    frame_mask: Bools
    """[N, F]; each clip has at least one frame."""
    audio: Half
    """[N, F, d_a] aligned to the frames, not standardised"""
    has_audio: Bools
    """[N, F]"""
    motion: Half
    """[N, F, d_m]"""
    has_motion: Bools
    """[N, F]"""
    times_s: npt.NDArray[np.float64]
    """[N, F] the moment of the video that each frame shows; NaN under a False mask."""

    def __len__(self) -> int:
        return len(self.frames)

    def batch(self, rows: Ints | slice) -> VideoFeatures:
        """float32 on the CPU, in the order of `rows`."""
        return VideoFeatures(
            torch.from_numpy(np.asarray(self.frames[rows], np.float32)),
            torch.from_numpy(np.array(self.frame_mask[rows])),
            torch.from_numpy(np.asarray(self.audio[rows], np.float32)),
            torch.from_numpy(np.array(self.has_audio[rows])),
            torch.from_numpy(np.asarray(self.motion[rows], np.float32)),
            torch.from_numpy(np.array(self.has_motion[rows])),
        )

    def select(self, rows: Ints) -> ClipBlock:
        """A copy of these clips in memory."""
        return ClipBlock(
            self.frames[rows],
            self.frame_mask[rows],
            self.audio[rows],
            self.has_audio[rows],
            self.motion[rows],
            self.has_motion[rows],
            self.times_s[rows],
        )

    def statistics(self, sense: str) -> tuple[torch.Tensor, torch.Tensor]:
        """(mean, std) [d] float32 over the present rows of "audio" or "motion": what `Completion` standardises by.

        Zeros and ones where no clip has that sense.
        """
        rows, present = (self.audio, self.has_audio) if sense == "audio" else (self.motion, self.has_motion)
        width = rows.shape[-1]
        count, total, squares = 0, np.zeros(width), np.zeros(width)
        for start in range(0, len(rows), _CLIPS_AT_ONCE):
            part = slice(start, start + _CLIPS_AT_ONCE)
            real = np.asarray(rows[part][present[part]], np.float64)
            count, total, squares = count + len(real), total + real.sum(0), squares + (real**2).sum(0)
        if not count:
            return torch.zeros(width), torch.ones(width)
        mean = total / count
        std = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
        return torch.from_numpy(mean.astype(np.float32)), torch.from_numpy(std.astype(np.float32))


_CLIPS_AT_ONCE = 512


@dataclass(frozen=True, slots=True, eq=False)
class TokenStore:
    """Every caption after the frozen text tower, one after the other without padding."""

    rows: Half
    """[sum of lengths, d] projected, not normalised; the start mark's row is there where the tower has one."""
    mask: Bools
    """[sum of lengths] True for the text's own tokens, its end mark and the pooled position."""
    starts: Ints
    """[n + 1] where each caption begins in `rows`."""
    pooled: Ints
    """[n] the pooled position within each caption."""

    def __len__(self) -> int:
        return len(self.pooled)

    def batch(self, texts: Ints | Sequence[int]) -> TextFeatures:
        """float32 on the CPU, padded to the longest of these texts."""
        texts = np.asarray(texts, np.int64)
        lengths = self.starts[texts + 1] - self.starts[texts]
        longest = int(lengths.max())
        tokens = np.zeros((len(texts), longest, self.rows.shape[1]), np.float32)
        mask = np.zeros((len(texts), longest), np.bool_)
        for i, (start, length) in enumerate(zip(self.starts[texts], lengths, strict=True)):
            tokens[i, :length] = self.rows[start : start + length]
            mask[i, :length] = self.mask[start : start + length]
        pooled = torch.from_numpy(np.array(self.pooled[texts]))
        return TextFeatures(torch.from_numpy(tokens), torch.from_numpy(mask), pooled)

    def select(self, texts: Ints) -> TokenStore:
        """A copy of these texts in memory."""
        lengths = self.starts[texts + 1] - self.starts[texts]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        taken = [np.arange(self.starts[i], self.starts[i + 1]) for i in texts]
        rows = np.concatenate(taken) if taken else np.empty(0, np.int64)
        return TokenStore(self.rows[rows], self.mask[rows], starts, np.array(self.pooled[texts]))


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One split: N clips, n captions, which belongs to which. A clip without captions is a candidate only."""

    name: str
    infos: tuple[ClipInfo, ...]
    """[N]"""
    clips: ClipBlock
    """[N]"""
    spoken: tuple[frozenset[str], ...]
    """[N] nouns heard in each clip: the speech branch's side (M2HF, Eq. 11)."""
    texts: tuple[str, ...]
    """[n]"""
    tokens: TokenStore
    """[n]"""
    text_nouns: tuple[frozenset[str], ...]
    """[n] nouns of each caption, by the same function as `spoken`."""
    clip_of_text: Ints
    """[n] the row of each caption's clip."""
    senses: tuple[frozenset[str], ...] = ()
    """[n] the branches that a caption appeals to, where the data set knows it (the synthetic world); else empty."""

    def __len__(self) -> int:
        return len(self.clips)

    def texts_of_clips(self) -> list[Ints]:
        """[N] the captions of each clip, for drawing one per clip and epoch."""
        order = np.argsort(self.clip_of_text, kind="stable")
        counts = np.bincount(self.clip_of_text, minlength=len(self))
        return np.split(order, np.cumsum(counts)[:-1])

    def select(self, rows: Sequence[int] | Ints, name: str | None = None) -> Split:
        """These clips with their captions, in memory: to hold out part of train, or to overfit a few clips."""
        rows = np.asarray(rows, np.int64)
        place = np.full(len(self), -1, np.int64)
        place[rows] = np.arange(len(rows))
        texts = np.flatnonzero(place[self.clip_of_text] >= 0)
        return replace(
            self,
            name=self.name if name is None else name,
            infos=tuple(self.infos[i] for i in rows),
            clips=self.clips.select(rows),
            spoken=tuple(self.spoken[i] for i in rows),
            texts=tuple(self.texts[i] for i in texts),
            tokens=self.tokens.select(texts),
            text_nouns=tuple(self.text_nouns[i] for i in texts),
            clip_of_text=place[self.clip_of_text[texts]],
            senses=tuple(self.senses[i] for i in texts) if self.senses else (),
        )


@dataclass(frozen=True, slots=True, eq=False)
class PairedData:
    """A prepared data set under one preset."""

    name: str
    """msrvtt-9k, msvd, synthetic, ..."""
    preset: str
    backbone: str
    """Fingerprint of the CLIP model: what a scorer trained on this writes down."""
    logit_scale: float
    """CLIP's learned logit scale (already exponentiated), where training begins."""
    has_start: bool
    """Whether position 0 of every text is a start mark (`M2HFConfig.start_token`)."""
    words_version: str
    """Fingerprint of how nouns were found."""
    width: int
    audio_width: int
    motion_width: int
    splits: Mapping[str, Split]

    def __getitem__(self, split: str) -> Split:
        return self.splits[split]


def held_out(split: Split, count: int, seed: int) -> tuple[Split, Split]:
    """(the rest, `count` clips drawn by `seed`): the best epoch is chosen on part of train, never on test.

    ValueError when nothing would be left to train on.
    """
    if not 0 < count < len(split):
        raise ValueError(f"{count} of {len(split)} clips cannot be held out")
    drawn = np.random.default_rng(seed).permutation(len(split))
    return split.select(np.sort(drawn[count:])), split.select(np.sort(drawn[:count]), "val")


def batches(rows: Ints, size: int) -> Iterator[Ints]:
    """`rows` in runs of `size`, the last one shorter."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
