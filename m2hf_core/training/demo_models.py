"""One command makes every model that ships with the program: `python -m m2hf_core.training.demo_models --out FOLDER`.

The synthetic world draws the clips, nothing is read from outside, and the same seed on the same machine gives the same
files. They are trained on its train combinations, judged on its val combinations, and never see its test combinations.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import platform
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch

from m2hf_core.training import demo_readme
from m2hf_core.training.demo_clip import CONFIG_NAME, MERGES_NAME, WEIGHTS_NAME, ClipRecipe, train_clip
from m2hf_core.training.demo_report import audio_report, clip_report, motion_report
from m2hf_core.training.demo_senses import AUDIO_NAME, MOTION_NAME, SenseRecipe, train_audio, train_motion
from m2hf_core.training.demo_vocabulary import learn_merges, world_words, write_merges

log = logging.getLogger(__name__)

MODEL_NAMES = (MERGES_NAME, CONFIG_NAME, WEIGHTS_NAME, AUDIO_NAME, MOTION_NAME)
SUMS_NAME, REPORT_NAME, README_NAME = "SHA256SUMS", "report.json", "README.md"


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that one run does; the defaults make the shipped files."""

    clip: ClipRecipe = field(default_factory=ClipRecipe)
    audio: SenseRecipe = field(default_factory=SenseRecipe)
    motion: SenseRecipe = field(
        default_factory=lambda: SenseRecipe(clips=1_500, steps=500, learning_rate=2e-3)
    )
    galleries: int = 10
    probe_clips: int = 400


def make_demo_models(folder: Path, recipe: Recipe, seed: int) -> dict[str, Any]:
    """Write merges, models, digests, figures and a README into `folder`. Returns the figures."""
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    log.info("byte pairs")
    write_merges(learn_merges(world_words()), folder / MERGES_NAME)
    log.info("sound")
    losses = {"audio": train_audio(folder, recipe.audio, seed)}
    log.info("movement")
    losses["motion"] = train_motion(folder, recipe.motion, seed)
    log.info("sight")
    losses["clip"] = train_clip(folder, recipe.clip, seed)
    trained = time.monotonic() - began
    log.info("looking at val clips")
    figures = {
        "clip": clip_report(folder, "val", recipe.galleries, seed),
        "audio": audio_report(folder, recipe.probe_clips, seed),
        "motion": motion_report(folder, recipe.probe_clips, seed),
    }
    report = {
        "seed": seed,
        "recipe": asdict(recipe),
        "training_seconds": round(trained),
        "loss_by_tenth": {name: [round(loss, 4) for loss in tenths] for name, tenths in losses.items()},
        "val": figures,
        "bytes": {name: (folder / name).stat().st_size for name in MODEL_NAMES},
        "versions": versions(),
    }
    (folder / REPORT_NAME).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (folder / README_NAME).write_text(demo_readme.render(report), encoding="utf-8")
    write_sums(folder)
    return report


def versions() -> dict[str, str]:
    """What the numbers depend on besides the seed."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "open_clip": open_clip.__version__,
        "numpy": np.__version__,
    }


def write_sums(folder: Path) -> None:
    """SHA-256 of every model file, in the format of `sha256sum`."""
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in MODEL_NAMES]
    (folder / SUMS_NAME).write_text("".join(lines), encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m m2hf_core.training.demo_models", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the models, made if missing")
    parser.add_argument("--seed", type=int, default=0, help="seed of clips and training (default: 0)")
    parser.add_argument("--threads", type=int, default=2, help="threads that torch may use (default: 2)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    report = make_demo_models(options.out, Recipe(), options.seed)
    log.info("val figures: %s", report["val"])


if __name__ == "__main__":
    main()
