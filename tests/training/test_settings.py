"""Settings and recipes: the paper's own values, ranges, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from m2hf_core.errors import UsageError
from m2hf_core.training.recipes import RECIPES, recipe_for, settings_of
from m2hf_core.training.settings import TrainSettings, describe


def test_defaults_are_the_papers_recipe() -> None:
    plain = TrainSettings()
    assert (plain.lr, plain.clip_lr, plain.batch, plain.frames, plain.words) == (1e-4, 1e-7, 128, 12, 32)
    assert (plain.weight_decay, plain.beta2, plain.eps, plain.warmup, plain.epochs) == (
        0.2,
        0.98,
        1e-6,
        0.1,
        5,
    )
    assert (plain.clip_norm, plain.balance, plain.prior_temperature, plain.rho) == (1.0, "min", 1e-3, 0.5)


@pytest.mark.parametrize(
    ("data_set", "width", "recipe", "sizes"),
    [
        ("msrvtt-9k", 512, "msrvtt-b16", (12, 32, 128)),
        ("msvd", 768, "msvd-l14", (32, 32, 32)),
        ("didemo", 512, "didemo-b16", (64, 64, 32)),
        ("activitynet", 768, "activitynet-l14", (64, 32, 16)),
        ("library", 1024, "own", (12, 32, 128)),
    ],
)
def test_recipes(data_set: str, width: int, recipe: str, sizes: tuple[int, int, int]) -> None:
    assert recipe_for(data_set, width) == recipe
    chosen = settings_of(recipe, {})
    assert (chosen.frames, chosen.words, chosen.batch) == sizes


def test_every_setting_is_declared_with_words_and_every_number_with_a_range() -> None:
    for row in describe():
        assert row["help"].endswith("."), row["id"]
        if row["type"] in ("int", "float"):
            assert row["low"] <= row["default"] <= row["high"]
    for recipe in RECIPES:
        settings_of(recipe, {})


@pytest.mark.parametrize(
    "change",
    [
        {"lr": "-1"},
        {"epochs": "1.5"},
        {"balance": "best"},
        {"no_such": "1"},
        {"branches": "audio,visual"},
        {"branches": ""},
        {"completion": "perhaps"},
        {"batch": True},
        {"rho": float("nan")},
    ],
)
def test_nonsense_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        TrainSettings().changed(change)
