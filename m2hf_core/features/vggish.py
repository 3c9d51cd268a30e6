"""VGGish: the published audio network; its 128 numbers per 0.96 s feed the audio branch (M2HF, 3.3)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from m2hf_core.features import logmel
from m2hf_core.features.contracts import Float32
from m2hf_core.features.placed import Announce, Placed
from m2hf_core.features.spectra import encode_waveform
from m2hf_core.features.weights import fill
from m2hf_core.hub.files import digest_of, extractor_fingerprint
from m2hf_core.records import Feature

VERSION = 1
"""Raised when the same weights would give other numbers."""
WIDTH = 128


class VGGish(nn.Module):
    """[n, 96, 64] log-mel examples -> [n, 128], the last layer's pre-activation.

    The keys are those of the published torch file: `features.N` and `embeddings.N`. The published module ends
    in a ReLU, which M2HF's feature does without (it has no weights, so the file does not tell).
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for step in (64, "M", 128, "M", 256, 256, "M", 512, 512, "M"):
            if isinstance(step, int):
                layers += [nn.Conv2d(channels, step, kernel_size=3, padding=1), nn.ReLU()]
                channels = step
            else:
                layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(512 * 6 * 4, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, WIDTH)
        )

    def forward(self, examples: torch.Tensor) -> torch.Tensor:
        maps = self.features(examples.unsqueeze(1))
        # The weights come from TensorFlow, where a map is flattened height, width, channel.
        flat = maps.permute(0, 2, 3, 1).flatten(1)
        embedding: torch.Tensor = self.embeddings(flat)
        return embedding


class VGGishExtractor:
    """An `AudioExtractor` over the published weights."""

    rate = logmel.RATE
    width = WIDTH

    def __init__(
        self, weights: Path, device: str = "cpu", batch_size: int = 32, announce: Announce | None = None
    ) -> None:
        """Raises `BadModelFile` when the file is not VGGish in the published layout."""
        with torch.device("meta"):
            network = VGGish()
        fill(network, weights)
        self._placed = Placed(network, device, batch_size, announce)
        self.fingerprint = extractor_fingerprint("audio", "vggish", digest_of(weights), VERSION)

    def __call__(self, waveform: Float32, start_s: float = 0.0) -> Feature:
        return encode_waveform(self._placed, waveform, start_s, self.width)
