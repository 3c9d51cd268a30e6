"""What the paper's recipe says per data set and backbone, as presets of the settings (M2HF, section 4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from m2hf_core.errors import UsageError
from m2hf_core.training.settings import TrainSettings

_SENTENCES: Mapping[str, Any] = {"frames": 12, "words": 32, "batch": 128}
_PARAGRAPHS: Mapping[str, Any] = {"frames": 64, "words": 64, "batch": 32}
_LARGE: Mapping[str, Any] = {"frames": 32, "words": 32, "batch": 32}
_LARGE_PARAGRAPHS: Mapping[str, Any] = {"frames": 64, "words": 32, "batch": 16}

RECIPES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        **{f"{name}-b16": _SENTENCES for name in ("msrvtt", "msvd", "lsmdc")},
        **{f"{name}-b16": _PARAGRAPHS for name in ("didemo", "activitynet")},
        **{f"{name}-l14": _LARGE for name in ("msrvtt", "msvd", "lsmdc")},
        **{f"{name}-l14": _LARGE_PARAGRAPHS for name in ("didemo", "activitynet")},
        # An own library or manifest: as for sentences, with fewer clips to hold out.
        "own": {**_SENTENCES, "held_out": 50, "patience": 2},
        # Chosen on the synthetic world's val clips (see the README); its clips last four seconds.
        "synthetic": {
            "frames": 4,
            "lr": 5e-3,
            "balance": "mean",
            "motion_fusion": "mfb",
            "select": "rrf",
        },
    }
)
"""Recipe -> what it changes in the defaults of `TrainSettings`."""

_WIDE = 768
"""Joint width from which a backbone counts as large (ViT-L/14)."""


def recipe_for(data_set: str, width: int) -> str:
    """The recipe of a data set (by the beginning of its name) for a joint space of this width."""
    size = "l14" if width == _WIDE else "b16"
    for name in RECIPES:
        family, _, made_for = name.partition("-")
        if made_for == size and data_set.lower().replace("-", "").startswith(family):
            return name
    return "synthetic" if data_set.startswith("synthetic") else "own"


def settings_of(recipe: str, changes: Mapping[str, Any]) -> TrainSettings:
    """The recipe's settings with `changes` on top. `UsageError` for an unknown recipe or setting."""
    if recipe not in RECIPES:
        raise UsageError(f"There is no recipe called {recipe!r}.", f"Recipes: {', '.join(RECIPES)}.")
    return TrainSettings().changed({**RECIPES[recipe], **changes})
