"""A full memory halves the batch and loses nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from m2hf_core.features.batches import encode_in_batches


class SmallMemory:
    """Encodes numbers to pairs; refuses more than `room` at once, as the two allocators do."""

    def __init__(self, room: int, error: RuntimeError) -> None:
        self.room, self.error, self.calls = room, error, []

    def __call__(self, start: int, stop: int) -> torch.Tensor:
        self.calls.append((start, stop))
        if stop - start > self.room:
            raise self.error
        values = torch.arange(start, stop, dtype=torch.float64)
        return torch.stack([values, -values], dim=1)


CUDA = torch.OutOfMemoryError("CUDA out of memory")
CPU = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")


@pytest.mark.parametrize("error", [CUDA, CPU], ids=["cuda", "cpu"])
@pytest.mark.parametrize("count", [0, 1, 5, 23])
def test_halving_keeps_every_row_in_order(error: RuntimeError, count: int) -> None:
    memory = SmallMemory(3, error)
    rows, fitted = encode_in_batches(memory, count, 2, 16)
    np.testing.assert_array_equal(rows, np.stack([np.arange(count), -np.arange(count)], axis=1))
    assert rows.dtype == np.float32
    if count > 3:
        assert fitted <= 3
        assert encode_in_batches(memory, count, 2, fitted)[1] == fitted


def test_one_item_too_large_raises() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        encode_in_batches(SmallMemory(0, CUDA), 4, 2, 8)


def test_other_errors_are_not_swallowed() -> None:
    memory = SmallMemory(1, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes"):
        encode_in_batches(memory, 4, 2, 4)
    assert len(memory.calls) == 1
