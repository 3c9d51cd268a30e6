"""Training as the command line starts it: which data, which recipe, one run. Opens no library and needs no database."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m2hf_core.config.paths import expanded
from m2hf_core.errors import UsageError
from m2hf_core.hub.files import digest_of, require
from m2hf_core.hub.manifest import get_preset
from m2hf_core.progress import Progress

if TYPE_CHECKING:
    from m2hf_core.training.data.dataset import PairedData
    from m2hf_core.training.run import Outcome
    from m2hf_core.training.settings import TrainSettings

SYNTHETIC = "synthetic"
SYNTHETIC_PRESET = "demo"
SYNTHETIC_CLIPS = (4000, 500)
"""Train and val; no run looks at test."""


def run_training(
    data: str,
    out: Path,
    cache: Path,
    preset: str | None,
    recipe: str | None,
    changes: Mapping[str, Any],
    progress: Progress,
) -> Outcome:
    """Open the data, settle the recipe, train. `cache`: where the synthetic world is prepared.

    Raises `UsageError`, and what opening the data and training raise.
    """
    from m2hf_core.training.recipes import RECIPES, recipe_for, settings_of
    from m2hf_core.training.run import train

    name = recipe or _recipe(data, recipe_for)
    if name not in RECIPES:
        raise UsageError(f"There is no recipe called {name!r}.", f"Recipes: {', '.join(RECIPES)}.")
    settings = settings_of(name, changes)
    opened = open_training_data(data, cache, preset, settings, progress)
    return train(opened, out, settings, name, progress)


def open_training_data(
    data: str, cache: Path, preset: str | None, settings: TrainSettings, progress: Progress
) -> PairedData:
    """A prepared folder, or the synthetic world (prepared below `cache` when first asked for)."""
    from m2hf_core.training.data.prepared import open_prepared, read_about

    if data == SYNTHETIC:
        return _open_synthetic(cache, preset or SYNTHETIC_PRESET, settings, progress)
    folder = expanded(Path(data)).absolute()
    about = read_about(folder)
    if preset is not None and preset != about.preset:
        raise UsageError(
            f"{folder} was prepared with the preset {about.preset!r}, not {preset!r}.",
            "Prepare it again with that preset, or leave --preset out.",
        )
    splits = [split for split in about.shards if split != "test"]
    return open_prepared(folder, settings.frames, splits, progress)


def _open_synthetic(cache: Path, preset: str, settings: TrainSettings, progress: Progress) -> PairedData:
    from m2hf_core.training.data.prepared import open_prepared
    from m2hf_core.training.data.synthetic import Sizes, prepare_synthetic

    chosen = get_preset(preset)
    # Another backbone's features are of no use: each has a folder of its own.
    folder = cache / f"{SYNTHETIC}-{preset}-{digest_of(require(chosen.clip, chosen))[:8]}"
    sizes = Sizes(*SYNTHETIC_CLIPS, test=0)
    prepare_synthetic(folder, sizes, preset=preset, words=settings.words, progress=progress)
    return open_prepared(folder, settings.frames, progress=progress)


def _recipe(data: str, recipe_for: Any) -> str:
    """The recipe that fits this data and its backbone."""
    from m2hf_core.training.data.prepared import read_about

    if data == SYNTHETIC:
        return SYNTHETIC
    about = read_about(expanded(Path(data)).absolute())
    found: str = recipe_for(about.name, about.widths["frames"])
    return found
