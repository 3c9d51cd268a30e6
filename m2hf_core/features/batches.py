"""Runs a network over many inputs and survives a full memory: the batch is halved, the work goes on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

Float32 = npt.NDArray[np.float32]


def is_out_of_memory(error: RuntimeError) -> bool:
    """CUDA has a type for it; torch's CPU allocator only says so in words."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def encode_in_batches(
    encode: Callable[[int, int], torch.Tensor], count: int, width: int, batch_size: int
) -> tuple[Float32, int]:
    """Call `encode(start, stop)` -> [stop - start, width] until all `count` rows are there.

    Returns float32 [count, width] and the batch size that fitted, to begin with next time. A single item that
    does not fit raises what torch raised: the machine is too small for this network.
    """
    rows = np.empty((count, width), np.float32)
    start = 0
    while start < count:
        stop = min(start + batch_size, count)
        try:
            rows[start:stop] = encode(start, stop).detach().to("cpu", torch.float32).numpy()
        except RuntimeError as error:
            if batch_size == 1 or not is_out_of_memory(error):
                raise
            batch_size = max(1, min(batch_size, stop - start) // 2)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        start = stop
    return rows, batch_size
