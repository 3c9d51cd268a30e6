"""The loss of one batch: every text of every process against every clip of every process (M2HF, Eq. 12 and 14)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from m2hf_core.model.losses import Balance, branch_terms, mmbl
from m2hf_core.model.wti import Reduction, reduce_tile
from m2hf_core.training.gather import gather_rows, gather_side
from m2hf_core.training.sides import Sides, score_sides


@dataclass(frozen=True, slots=True)
class Contrast:
    """What turns sides into a loss."""

    rho: float
    balance: Balance
    temperature: float
    reduction: Reduction = reduce_tile

    def __call__(self, sides: Sides) -> tuple[Tensor, dict[str, Tensor]]:
        """(loss, per branch its own mean loss, detached). The batch is that of all processes together.

        A process scores its own texts with all clips; the rows of S are then joined, so no text travels.
        """
        video = {name: gather_side(side) for name, side in sides.video.items()}
        scores = {
            name: gather_rows(rows)
            for name, rows in score_sides(sides.text, video, self.rho, self.reduction).items()
        }
        terms = branch_terms(scores, sides.eta, self.temperature)
        with torch.no_grad():
            apart = {name: -values.mean() for name, values in terms.items()}
        return mmbl(terms, self.balance), apart
