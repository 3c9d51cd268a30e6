"""Where a run's batches come from: features that were stored beforehand, with nothing but the heads to learn."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from m2hf_core.model.inputs import TextFeatures, VideoFeatures
from m2hf_core.training.data.dataset import Ints, Split
from m2hf_core.training.sides import Sides


@dataclass(frozen=True, slots=True, eq=False)
class StoredBatch:
    """b pairs as stored, on the run's device."""

    text: TextFeatures
    video: VideoFeatures

    def __len__(self) -> int:
        return len(self.text)

    def encode(self, encoder: nn.Module, part: slice) -> Sides:
        sides: Sides = encoder(self.text.select(part), self.video.select(part))
        return sides


def stored_batch(split: Split, texts: Ints, device: str) -> StoredBatch:
    """These captions with their own clips."""
    clips = split.clips.batch(split.clip_of_text[texts])
    return StoredBatch(split.tokens.batch(texts).to(device), clips.to(device))
