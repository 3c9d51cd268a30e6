"""What training minimises: dual softmax per branch, then the balance over branches (M2HF, Eq. 12 and 14).

`scores[i, j]` is text i with clip j, the truth on the diagonal; `logit = eta * scores`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

Balance = Literal["min", "max", "mean", "sum"]

PRIOR_TEMPERATURE = 1e-3
"""The paper's lambda."""


def dsl_directions(
    scores: Tensor, eta: Tensor | float, temperature: float = PRIOR_TEMPERATURE
) -> tuple[Tensor, Tensor]:
    """Dual softmax (Eq. 12): (L_t2v, L_v2t), each [B] and at most 0.

    Each direction is re-weighted by the softmax of the other one. Departure: the prior is multiplied by B, without
    which all logits would shrink B-fold; with lambda 0 the prior is 1 and the sum is that of the two cross-entropies.
    """
    logit = eta * (scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores)
    size = len(logit)
    prior_texts = size * torch.softmax(temperature * logit, dim=0)
    prior_videos = size * torch.softmax(temperature * logit, dim=1)
    t2v = torch.log_softmax(logit * prior_texts, dim=1).diagonal()
    v2t = torch.log_softmax(logit * prior_videos, dim=0).diagonal()
    return t2v, v2t


def dsl_terms(scores: Tensor, eta: Tensor | float, temperature: float = PRIOR_TEMPERATURE) -> Tensor:
    """L = L_t2v + L_v2t [B], at most 0: how well one branch tells each pair from the rest of the batch."""
    t2v, v2t = dsl_directions(scores, eta, temperature)
    return t2v + v2t


def branch_terms(
    scores: Mapping[str, Tensor], eta: Tensor | float, temperature: float = PRIOR_TEMPERATURE
) -> dict[str, Tensor]:
    """`dsl_terms` of every branch."""
    return {name: dsl_terms(matrix, eta, temperature) for name, matrix in scores.items()}


def mmbl(terms: Mapping[str, Tensor], balance: Balance = "min") -> Tensor:
    """Multi-modal balance loss (Eq. 14): one number. All terms are at most 0, so `min` trains the worst branch.

    `amin` and `amax` share the gradient among branches that tie, as they all do at the start; `min(dim)` would
    give all of it to one. `max`, `mean` and `sum` are the rows of Table 14.
    """
    stack = torch.stack(list(terms.values()))
    if balance == "min":
        balanced = stack.amin(dim=0)
    elif balance == "max":
        balanced = stack.amax(dim=0)
    elif balance == "mean":
        balanced = stack.mean(dim=0)
    else:
        balanced = stack.sum(dim=0)
    return -balanced.mean()


def ensemble_losses(terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The loss of each branch on its own: the Ensemble trains one model per branch and fuses their ranks."""
    return {name: -values.mean() for name, values in terms.items()}
