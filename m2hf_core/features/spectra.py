"""From a waveform through the front end into an audio network, the same for large and small ones."""

from __future__ import annotations

import numpy as np
import torch

from m2hf_core.features import logmel
from m2hf_core.features.contracts import Float32
from m2hf_core.features.placed import Placed
from m2hf_core.records import Feature


@torch.inference_mode()
def encode_waveform(placed: Placed, waveform: Float32, start_s: float, width: int) -> Feature:
    """float32 [n] at 16 kHz -> one row of `width` numbers per whole 0.96 s, with its span.

    The network maps [m, 96, 64] to [m, width]. Less than 15,600 samples give a feature without rows.
    """
    pieces = [np.empty((0, width), np.float32)]
    for batch in logmel.examples(waveform, placed.batch_size):
        tensor = torch.from_numpy(batch)

        def encode(start: int, stop: int, tensor: torch.Tensor = tensor) -> torch.Tensor:
            rows: torch.Tensor = placed.network(tensor[start:stop].to(placed.device))
            return rows

        pieces.append(placed.encode(encode, len(tensor), width))
    values = np.concatenate(pieces)
    begin, end = logmel.example_spans(len(values), start_s)
    return Feature(values, begin, end)
