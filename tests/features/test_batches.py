"""A full memory halves the batch and loses nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from m2hf_core.features.batches import encode_in_batches
from m2hf_core.features.clip import open_image_tower
from m2hf_core.features.placed import Placed
from m2hf_core.hub.manifest import get_preset


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


class Card(torch.nn.Module):
    """A network whose card has no room: it notes where it was sent."""

    def __init__(self, refuse_the_move: bool = False) -> None:
        super().__init__()
        self.sent: list[str] = []
        self.refuse_the_move = refuse_the_move

    def to(self, device: torch.device) -> Card:  # type: ignore[override]
        self.sent.append(device.type)
        if self.refuse_the_move and device.type != "cpu":
            raise CUDA
        return self


@pytest.mark.parametrize("refuse_the_move", [False, True])
def test_a_card_without_room_gives_way_to_the_processor_and_says_so(refuse_the_move: bool) -> None:
    said: list[str] = []
    card = Card(refuse_the_move)
    placed = Placed(card, "cuda:1", 8, said.append)

    def encode(start: int, stop: int) -> torch.Tensor:
        if placed.device.type == "cuda":
            raise CUDA
        return torch.arange(start, stop)[:, None]

    np.testing.assert_array_equal(placed.encode(encode, 5, 1)[:, 0], np.arange(5))
    assert (card.sent[0], set(card.sent[1:])) == ("cuda", {"cpu"})
    (sentence,) = said
    assert "Card runs on the processor" in sentence
    assert "cuda:1 has no room" in sentence
    placed.encode(encode, 5, 1)
    assert len(said) == 1, "said once, and it stays there"


def test_without_anybody_to_tell_a_full_card_raises() -> None:
    placed = Placed(Card(), "cuda:0", 8)
    with pytest.raises(torch.OutOfMemoryError):
        placed.encode(SmallMemory(0, CUDA), 3, 2)


def test_a_real_tower_halves_when_its_forward_pass_is_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    tower = open_image_tower(get_preset("demo"))
    images = np.random.default_rng(0).integers(0, 256, (7, 40, 60, 3), dtype=np.uint8)
    expected = tower.encode(images)
    network, sizes = tower._placed.network, []

    class Narrow(torch.nn.Module):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            sizes.append(len(batch))
            if len(batch) > 2:
                raise CUDA
            rows: torch.Tensor = network(batch)
            return rows

    monkeypatch.setattr(tower._placed, "network", Narrow())
    np.testing.assert_allclose(tower.encode(images), expected, rtol=1e-4, atol=1e-5)
    assert sizes[:2] == [7, 3]
    assert tower._placed.batch_size <= 2
