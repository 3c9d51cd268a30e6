"""A network and where it runs: a card on which not even one item fits gives way to the processor, and that is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import torch
from torch import nn

from m2hf_core.features.batches import encode_in_batches, is_out_of_memory
from m2hf_core.features.contracts import Float32

Announce: TypeAlias = Callable[[str], None]
Result = TypeVar("Result")


class Placed:
    """`network` on `device`, in batches of at most `batch_size`; all three change when memory is short."""

    def __init__(
        self, network: nn.Module, device: str, batch_size: int, announce: Announce | None = None
    ) -> None:
        """`announce` is told of a move to the processor; without it a full card raises, since nobody would know."""
        self.network, self.device, self.batch_size = network, torch.device(device), batch_size
        self._announce = announce
        self._with_room(lambda: self.network.to(self.device))

    def encode(self, encode: Callable[[int, int], torch.Tensor], count: int, width: int) -> Float32:
        """`encode_in_batches`; `encode` looks up `network` and `device` each time it is called."""

        def rows() -> Float32:
            values, self.batch_size = encode_in_batches(encode, count, width, self.batch_size)
            return values

        return self._with_room(rows)

    def _with_room(self, work: Callable[[], Result]) -> Result:
        try:
            return work()
        except RuntimeError as error:
            if self.device.type == "cpu" or self._announce is None or not is_out_of_memory(error):
                raise
            # Said before the move: should that fail too, the reason is known.
            self._announce(
                f"{type(self.network).__name__} runs on the processor from now on, which is slower: {self.device} "
                "has no room for it. Close what else uses the card, or choose a smaller preset."
            )
        self.device = torch.device("cpu")
        self.network.to(self.device)
        return work()
