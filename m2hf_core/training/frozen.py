"""The model of a run on stored features: a scorer, and nothing of CLIP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from m2hf_core.model.config import Scorer
from m2hf_core.training.batchsource import StoredBatch, stored_batch
from m2hf_core.training.data.dataset import Ints, Split
from m2hf_core.training.distributed import wrapped
from m2hf_core.training.sides import PairEncoder
from m2hf_core.training.validation import dense_scores, read_split, summary


class FrozenModel:
    """A `Model` for `fit`."""

    def __init__(self, scorer: Scorer, device: str) -> None:
        self.scorer, self.device = scorer.to(device), device
        pairs = PairEncoder(scorer)
        self.rho = pairs.rho
        self.encoder: nn.Module = wrapped(pairs, device)

    def parameters(self) -> tuple[list[tuple[str, nn.Parameter]], list[tuple[str, nn.Parameter]]]:
        return list(self.scorer.named_parameters()), []

    def batch(self, split: Split, texts: Ints) -> StoredBatch:
        return stored_batch(split, texts, self.device)

    def state(self) -> dict[str, torch.Tensor]:
        return dict(self.scorer.state_dict())

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        self.scorer.load_state_dict(dict(state))

    def train(self) -> None:
        self.scorer.train()

    def validate(self, split: Split) -> dict[str, Any]:
        return summary(read_split(dense_scores(self.scorer, split, self.device), split))
