"""The demo preset's ears and sense of movement: the interfaces of VGGish and S3D in a few hundred kilobytes.

They are trained by `m2hf_core.training.demo_models` on the synthetic world and know nothing else.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from m2hf_core.features import logmel
from m2hf_core.features.contracts import Float32, UInt8
from m2hf_core.features.placed import Announce, Placed
from m2hf_core.features.s3d import FRAMES_PER_CLIP, repeat_last
from m2hf_core.features.spectra import encode_waveform
from m2hf_core.features.weights import fill
from m2hf_core.hub.files import digest_of, extractor_fingerprint
from m2hf_core.records import Feature

VERSION = 1
"""Raised when the same weights would give other numbers."""
AUDIO_WIDTH = 64
MOTION_WIDTH = 64
MOTION_PIXELS = 48


def conv2d_block(inputs: int, outputs: int) -> nn.Sequential:
    """Halves height and width."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))


class TinyAudio(nn.Module):
    """[n, 96, 64] log-mel examples -> [n, 64], the pre-activation of the last layer, as VGGish gives it.

    Bands keep their place to the end (pitch is what tells the sounds apart); time keeps three steps (rhythm).
    """

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            conv2d_block(1, 16), conv2d_block(16, 32), conv2d_block(32, 32), conv2d_block(32, 32)
        )
        self.head = nn.Linear(32 * 3 * 4, AUDIO_WIDTH)

    def forward(self, examples: torch.Tensor) -> torch.Tensor:
        # About zero mean and unit deviation over the range log(0.01) .. log(100).
        maps = self.blocks((examples.unsqueeze(1) + 1.5) / 2.0)
        flat = F.avg_pool2d(maps, kernel_size=(2, 1)).flatten(1)
        feature: torch.Tensor = self.head(flat)
        return feature


class TinyMotion(nn.Module):
    """uint8 [n, 16, H, W, 3] -> [n, 64] from what differs from the run's mean picture, at 48 x 48 pixels.

    The strongest answer anywhere in the picture counts, so a place is nothing and a direction everything; four
    steps of time are kept, which tells an orbit from a straight line.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 16, (4, 5, 5), stride=2, padding=(1, 2, 2))
        self.middle = nn.Conv3d(16, 32, 3, stride=(1, 2, 2), padding=1)
        self.last = nn.Conv3d(32, 64, 3, stride=2, padding=1)
        self.head = nn.Linear(64 * 4, MOTION_WIDTH)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        maps = F.relu(self.middle(F.relu(self.stem(self.see(clips)))))
        strongest = F.relu(self.last(maps)).amax(dim=(3, 4))
        feature: torch.Tensor = self.head(strongest.flatten(1))
        return feature

    @staticmethod
    def see(clips: torch.Tensor) -> torch.Tensor:
        """uint8 [n, t, H, W, 3] -> float [n, 3, t, 48, 48]: the background is gone, whatever stands still with it."""
        n, t = clips.shape[:2]
        flat = clips.flatten(0, 1).permute(0, 3, 1, 2).float() / 64.0
        small = F.adaptive_avg_pool2d(flat, MOTION_PIXELS)
        small = small.reshape(n, t, 3, MOTION_PIXELS, MOTION_PIXELS).transpose(1, 2)
        return small - small.mean(dim=2, keepdim=True)


class TinyAudioExtractor:
    """An `AudioExtractor` for the demo preset."""

    rate = logmel.RATE
    width = AUDIO_WIDTH

    def __init__(
        self, weights: Path, device: str = "cpu", batch_size: int = 64, announce: Announce | None = None
    ) -> None:
        """Raises `BadModelFile` when the file is not the demo's audio network."""
        network = TinyAudio()
        fill(network, weights)
        self._placed = Placed(network, device, batch_size, announce)
        self.fingerprint = extractor_fingerprint("audio", "tiny", digest_of(weights), VERSION)

    def __call__(self, waveform: Float32, start_s: float = 0.0) -> Feature:
        return encode_waveform(self._placed, waveform, start_s, self.width)


class TinyMotionExtractor:
    """A `MotionExtractor` for the demo preset."""

    fps = 15.0
    frames_per_clip = FRAMES_PER_CLIP
    step_s = 1.0
    width = MOTION_WIDTH

    def __init__(
        self, weights: Path, device: str = "cpu", batch_size: int = 8, announce: Announce | None = None
    ) -> None:
        """Raises `BadModelFile` when the file is not the demo's motion network."""
        network = TinyMotion()
        fill(network, weights)
        self._placed = Placed(network, device, batch_size, announce)
        self.fingerprint = extractor_fingerprint("motion", "tiny", digest_of(weights), VERSION)

    @torch.inference_mode()
    def encode(self, clips: UInt8) -> Float32:
        """uint8 RGB [n, t <= 16, H, W, 3] -> float32 [n, 64]."""
        clips = repeat_last(clips, FRAMES_PER_CLIP)

        def encode(start: int, stop: int) -> torch.Tensor:
            rows: torch.Tensor = self._placed.network(
                torch.from_numpy(clips[start:stop].copy()).to(self._placed.device)
            )
            return rows

        return self._placed.encode(encode, len(clips), self.width)
