"""S3D: the published motion network; its 1024 numbers per second feed the motion branch (M2HF, 3.4)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torchvision.models.video import S3D_Weights, s3d

from m2hf_core.features.contracts import Float32, UInt8
from m2hf_core.features.placed import Announce, Placed
from m2hf_core.features.weights import fill
from m2hf_core.hub.files import digest_of, extractor_fingerprint

VERSION = 1
"""Raised when the same weights would give other numbers."""
FRAMES_PER_CLIP = 16


def repeat_last(clips: UInt8, frames: int) -> UInt8:
    """[n, t, H, W, 3] -> [n, frames, H, W, 3]: the end of a video is held, as a player holds it.

    Raises `ValueError` for no frame at all and for more than `frames`: the caller cut the runs wrongly.
    """
    if clips.ndim != 5 or clips.shape[-1] != 3 or clips.dtype != np.uint8:
        raise ValueError(f"uint8 [n, t, H, W, 3] is wanted, not {clips.dtype} {clips.shape}")
    if not 1 <= clips.shape[1] <= frames:
        raise ValueError(f"a run has 1 to {frames} frames, not {clips.shape[1]}")
    missing = frames - clips.shape[1]
    return np.concatenate([clips, np.repeat(clips[:, -1:], missing, axis=1)], axis=1) if missing else clips


class S3DExtractor:
    """A `MotionExtractor` over the published Kinetics-400 weights."""

    fps = 15.0
    frames_per_clip = FRAMES_PER_CLIP
    step_s = 1.0
    width = 1024

    def __init__(
        self, weights: Path, device: str = "cpu", batch_size: int = 4, announce: Announce | None = None
    ) -> None:
        """Raises `BadModelFile` when the file is not torchvision's S3D."""
        with torch.device("meta"):
            network = s3d(weights=None)
        fill(network, weights)
        self._network = network  # moves with `_placed`: modules move in place
        self._placed = Placed(network, device, batch_size, announce)
        # Resize to 256 x 256, centre crop 224 x 224, mean and deviation as the weights were trained with.
        self._prepare = S3D_Weights.KINETICS400_V1.transforms()
        self.fingerprint = extractor_fingerprint("motion", "s3d", digest_of(weights), VERSION)

    @torch.inference_mode()
    def encode(self, clips: UInt8) -> Float32:
        """uint8 RGB [n, t <= 16, H, W, 3] -> float32 [n, 1024], the mean over time and place."""
        clips = repeat_last(clips, FRAMES_PER_CLIP)

        def encode(start: int, stop: int) -> torch.Tensor:
            frames = (
                torch.from_numpy(clips[start:stop].copy())
                .to(self._placed.device)
                .permute(0, 1, 4, 2, 3)
                .contiguous()
            )
            maps = self._network.avgpool(self._network.features(self._prepare(frames)))
            mean: torch.Tensor = maps.mean(dim=(2, 3, 4))
            return mean

        return self._placed.encode(encode, len(clips), self.width)
