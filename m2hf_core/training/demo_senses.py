"""Trains the demo's ears and its sense of movement to name synthetic sounds and movements; the names are then cut off.

What stays is the vector before the classifier, which is what VGGish and S3D give as well.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from m2hf_core.features import logmel
from m2hf_core.features.tiny import AUDIO_WIDTH, MOTION_PIXELS, MOTION_WIDTH, TinyAudio, TinyMotion
from m2hf_core.synthetic.specs import DURATION_S, draw_specs
from m2hf_core.training.demo_clip import save_half
from m2hf_core.training.demo_data import (
    MOTION_CLASSES,
    MOTION_FPS,
    MOTION_FRAMES,
    SOUND_CLASSES,
    Int,
    class_numbers,
    heard_samples,
    moved_runs,
)
from m2hf_core.training.demo_gates import warm_cosine

log = logging.getLogger(__name__)

_MIRROR = {"left": "right", "right": "left"}
_REVERSE = {**_MIRROR, "up": "down", "down": "up", "grow": "shrink", "shrink": "grow"}
MIRRORED, REVERSED = (
    np.array([MOTION_CLASSES.index(other.get(name, name)) for name in MOTION_CLASSES], np.int64)
    for other in (_MIRROR, _REVERSE)
)
"""What a movement is called in a mirror, and when its film runs backwards."""

AUDIO_NAME, MOTION_NAME = "audio.safetensors", "motion.safetensors"


@dataclass(frozen=True, slots=True)
class SenseRecipe:
    """Sizes of one classifier's training; the defaults are those of the shipped ears."""

    clips: int = 800
    batch: int = 64
    steps: int = 300
    learning_rate: float = 3e-3
    weight_decay: float = 0.05


def train_audio(folder: Path, recipe: SenseRecipe, seed: int) -> list[float]:
    """Every 0.96 s of a clip names the clip's sound. Returns the mean loss of each tenth of the training."""
    specs = draw_specs("train", recipe.clips, seed)
    heard = [batch for spec in specs for batch in logmel.examples(heard_samples(spec))]
    examples = torch.from_numpy(np.concatenate(heard))
    labels = torch.from_numpy(class_numbers(specs, "sound").repeat(len(examples) // len(specs)))

    def draw(rows: Int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        # Louder, softer, and with a floor of noise, as after a lossy codec.
        level = torch.from_numpy(rng.uniform(-0.5, 0.5, (len(rows), 1, 1)).astype(np.float32))
        noise = torch.from_numpy(rng.standard_normal(examples[rows].shape, dtype=np.float32))
        return torch.clamp_min(examples[rows] + level + 0.1 * noise, float(np.log(0.01))), labels[rows]

    torch.manual_seed(seed)
    network = TinyAudio()
    losses = fit_classifier(network, AUDIO_WIDTH, len(SOUND_CLASSES), draw, len(labels), recipe, seed)
    save_half(network, folder / AUDIO_NAME)
    return losses


def train_motion(folder: Path, recipe: SenseRecipe, seed: int) -> list[float]:
    """Every run of 16 frames names the clip's movement. Returns the mean loss of each tenth of the training."""
    specs = draw_specs("train", recipe.clips, seed)
    rng = np.random.default_rng(seed)
    last = DURATION_S - MOTION_FRAMES / MOTION_FPS
    runs = np.concatenate(
        [moved_runs(spec, rng.uniform(0, last, 2).tolist(), MOTION_PIXELS) for spec in specs]
    )
    labels = class_numbers(specs, "motion").repeat(2)

    def draw(rows: Int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        batch, names = runs[rows].astype(np.float32), labels[rows]
        if rng.random() < 0.5:
            batch, names = batch[:, :, :, ::-1], MIRRORED[names]
        if rng.random() < 0.5:
            batch, names = batch[:, ::-1], REVERSED[names]
        # Colours mean nothing to a movement.
        noisy = batch[..., rng.permutation(3)] + 3 * rng.standard_normal(batch.shape, dtype=np.float32)
        return torch.from_numpy(np.clip(noisy, 0, 255).astype(np.uint8)), torch.from_numpy(names)

    torch.manual_seed(seed)
    network = TinyMotion()
    losses = fit_classifier(network, MOTION_WIDTH, len(MOTION_CLASSES), draw, len(labels), recipe, seed)
    save_half(network, folder / MOTION_NAME)
    return losses


def fit_classifier(
    network: nn.Module,
    width: int,
    classes: int,
    draw: Callable[[Int, np.random.Generator], tuple[torch.Tensor, torch.Tensor]],
    count: int,
    recipe: SenseRecipe,
    seed: int,
) -> list[float]:
    """Cross-entropy of a linear layer on the feature; `draw` gives some of `count` inputs, roughened, with labels."""
    rng = np.random.default_rng(seed)
    head = nn.Linear(width, classes)
    parameters = [*network.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: warm_cosine(step, recipe.steps))
    network.train()
    losses: list[float] = []
    for step in range(recipe.steps):
        inputs, labels = draw(rng.integers(count, size=recipe.batch), rng)
        loss = F.cross_entropy(head(network(inputs)), labels)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if step % 50 == 0:
            log.info("step %d of %d: loss %.3f", step, recipe.steps, np.mean(losses[-50:]))
    network.eval()
    return [float(np.mean(part)) for part in np.array_split(losses, min(10, len(losses)))]
