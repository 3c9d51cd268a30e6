"""Frames into the joint space: the image half of a preset's contrastive model, kept without its text half."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from PIL import Image

from m2hf_core.features.contracts import Float32, UInt8
from m2hf_core.features.placed import Announce, Placed
from m2hf_core.hub.manifest import Preset
from m2hf_core.text.openclip import LoadedClip, build_open_clip


class ImageTower:
    """The visual branch's extractor (M2HF, section 3.2): one un-normalised vector per frame."""

    def __init__(
        self,
        loaded: LoadedClip,
        device: str = "cpu",
        batch_size: int = 32,
        announce: Announce | None = None,
    ) -> None:
        """Keeps only the image modules of `loaded`: drop your own reference and its text half is freed."""
        # Both of open_clip's classes call `visual` for encode_image and add nothing but a normalisation.
        visual = loaded.model.get_submodule("visual").requires_grad_(False).eval()
        self._placed = Placed(visual, device, batch_size, announce)
        self._preprocess = loaded.preprocess
        self.fingerprint, self.width = loaded.fingerprint, loaded.width

    def preprocess(self, image: UInt8) -> torch.Tensor:
        """uint8 RGB [H, W, 3] -> float32 [3, h, w], as these weights were trained to see it."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"uint8 [H, W, 3] is wanted, not {image.dtype} {image.shape}")
        return self._preprocess(Image.fromarray(image))

    def prepare(self, image: UInt8) -> Float32:
        """`preprocess` as an array [3, h, w]: a tenth of a full HD frame, and videos of all sizes share a batch."""
        return self.preprocess(image).numpy()

    def encode(self, images: UInt8) -> Float32:
        """uint8 RGB [n, H, W, 3] -> float32 [n, d], projected and not normalised."""
        step = self._placed.batch_size
        pieces = [images[at : at + step] for at in range(0, len(images), step)]
        rows = [self.encode_prepared(np.stack([self.prepare(image) for image in piece])) for piece in pieces]
        return np.concatenate(rows) if rows else np.empty((0, self.width), np.float32)

    @torch.inference_mode()
    def encode_prepared(self, prepared: Float32) -> Float32:
        """float32 [n, 3, h, w], as `prepare` gives it -> float32 [n, d]."""
        tensors = torch.from_numpy(np.ascontiguousarray(prepared))

        def encode(start: int, stop: int) -> torch.Tensor:
            with self._half_precision():
                rows: torch.Tensor = self._placed.network(tensors[start:stop].to(self._placed.device))
            return rows

        return self._placed.encode(encode, len(prepared), self.width)

    def _half_precision(self) -> AbstractContextManager[object]:
        """Half the work on a graphics card; a CPU keeps float32, where half formats are emulated."""
        if self._placed.device.type != "cuda":
            return nullcontext()
        dtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        return torch.autocast("cuda", dtype)


def open_image_tower(preset: Preset, device: str = "cpu", announce: Announce | None = None) -> ImageTower:
    """The image half of a preset. Raises `ModelsMissing` or `BadModelFile`."""
    return ImageTower(build_open_clip(preset), device, announce=announce)
