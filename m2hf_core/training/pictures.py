"""Frames for training end to end, decoded from files or drawn by the synthetic world: those that were stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from m2hf_core.errors import KnownError
from m2hf_core.features.contracts import UInt8
from m2hf_core.synthetic import draw_specs, frames
from m2hf_core.training.data.dataset import ClipInfo

DECODERS = 8

Preprocess = Callable[[Image.Image], Tensor]


class PictureSource(Protocol):
    def __call__(self, info: ClipInfo, times_s: Sequence[float]) -> UInt8:
        """uint8 RGB [n, H, W, 3] of one clip at these times. Raises `KnownError`."""
        ...


def load_pictures(
    source: PictureSource,
    infos: Sequence[ClipInfo],
    times_s: Sequence[Sequence[float]],
    preprocess: Preprocess,
) -> tuple[Tensor, Tensor]:
    """([b, F, 3, h, w] float32, mask [b, F]) with F the longest clip's; several files are decoded at once.

    `times_s` names the moments of each clip: those of its stored rows, so that row i of sound and movement still
    belongs to frame i.
    """

    def load(info: ClipInfo, moments: Sequence[float]) -> Tensor:
        return torch.stack([preprocess(Image.fromarray(image)) for image in source(info, moments)])

    with ThreadPoolExecutor(min(DECODERS, len(infos))) as pool:
        rows = list(pool.map(load, infos, times_s))
    longest = max(len(row) for row in rows)
    pictures = torch.zeros(len(rows), longest, *rows[0].shape[1:])
    mask = torch.zeros(len(rows), longest, dtype=torch.bool)
    for i, row in enumerate(rows):
        pictures[i, : len(row)], mask[i, : len(row)] = row, True
    return pictures, mask


def decoded(info: ClipInfo, times_s: Sequence[float]) -> UInt8:
    """Frames of a video file. `KnownError` without PyAV, `UnreadableMedia` for a file that cannot be decoded."""
    try:
        from m2hf_core.media import read_frames
    except ImportError as error:
        raise KnownError(
            "Training end to end decodes videos, which needs PyAV, and PyAV is not installed.",
            "Install it (pip install av), or train the heads on prepared features with --tune heads.",
        ) from error
    return np.stack([frame.image for frame in read_frames(Path(info.path), list(times_s))])


class DrawnPictures:
    """Frames of the synthetic world, drawn again from the clip's name (`SPLIT-SEED-INDEX`)."""

    def __init__(self, infos: Sequence[ClipInfo]) -> None:
        largest: dict[tuple[str, int], int] = {}
        for info in infos:
            split, seed, index = _parsed(info)
            largest[split, seed] = max(index, largest.get((split, seed), 0))
        self._specs = {
            key: draw_specs(key[0], index + 1, key[1])  # type: ignore[arg-type]
            for key, index in largest.items()
        }

    def __call__(self, info: ClipInfo, times_s: Sequence[float]) -> UInt8:
        split, seed, index = _parsed(info)
        return frames(self._specs[split, seed][index], times_s)


def _parsed(info: ClipInfo) -> tuple[str, int, int]:
    split, seed, index = info.clip_id.split("-")
    return split, int(seed), int(index)


def source_for(infos: Sequence[ClipInfo]) -> PictureSource:
    """Files where there are files, the synthetic world where there are none."""
    return decoded if all(info.path for info in infos) else DrawnPictures(infos)
