"""From a waveform through the front end into an audio network, the same for large and small ones."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from m2hf_core.features import logmel
from m2hf_core.features.batches import encode_in_batches
from m2hf_core.features.contracts import Float32
from m2hf_core.records import Feature


@torch.inference_mode()
def encode_waveform(
    network: nn.Module, waveform: Float32, start_s: float, width: int, device: str, batch_size: int
) -> Feature:
    """float32 [n] at 16 kHz -> one row of `width` numbers per whole 0.96 s, with its span.

    `network` maps [m, 96, 64] to [m, width]. Less than 15,600 samples give a feature without rows.
    """
    pieces = [np.empty((0, width), np.float32)]
    for batch in logmel.examples(waveform, batch_size):
        tensor = torch.from_numpy(batch)

        def encode(start: int, stop: int, tensor: torch.Tensor = tensor) -> torch.Tensor:
            rows: torch.Tensor = network(tensor[start:stop].to(device))
            return rows

        rows, batch_size = encode_in_batches(encode, len(tensor), width, batch_size)
        pieces.append(rows)
    values = np.concatenate(pieces)
    begin, end = logmel.example_spans(len(values), start_s)
    return Feature(values, begin, end)
