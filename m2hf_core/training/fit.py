"""Trains one model from its first step or from a checkpoint: batches, steps, validation, early stop.

What is random is drawn from (seed, epoch) or (seed, step), never from a stream that a kill could cut, so a resumed
run makes the steps that the killed one would have made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from m2hf_core.errors import KnownError
from m2hf_core.features.batches import is_out_of_memory
from m2hf_core.model.config import Scorer
from m2hf_core.progress import Progress
from m2hf_core.training.contrast import Contrast
from m2hf_core.training.data.dataset import Ints, Split
from m2hf_core.training.distributed import agreed
from m2hf_core.training.gather import rank, world_size
from m2hf_core.training.memory import out_of_memory
from m2hf_core.training.order import epoch_batches, own_part
from m2hf_core.training.schedule import make_optimiser, make_schedule
from m2hf_core.training.settings import TrainSettings
from m2hf_core.training.stepping import Batch, StepResult, backward

LOG_EVERY = 10
"""Steps between two lines of metrics; each line holds the mean since the last."""


class Model(Protocol):
    """What is being trained: a scorer on stored features, or with CLIP's towers behind it."""

    encoder: nn.Module
    """Possibly wrapped by DistributedDataParallel."""
    scorer: Scorer

    def parameters(self) -> tuple[list[tuple[str, nn.Parameter]], list[tuple[str, nn.Parameter]]]:
        """(of the heads, of CLIP's towers), all that learn."""

    def batch(self, split: Split, texts: Ints) -> Batch: ...

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that learns."""

    def load(self, state: Mapping[str, torch.Tensor]) -> None: ...

    def train(self) -> None: ...

    def validate(self, split: Split) -> dict[str, Any]:
        """`validation.summary`, with the model in evaluation mode."""


@dataclass(slots=True)
class Position:
    """Where a run stands; part of every checkpoint."""

    epoch: int = 0
    batch: int = 0
    """Batches done in this epoch."""
    step: int = 0
    best: float = -1.0
    best_epoch: int = -1
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the loop tells to whoever keeps the run: only the first process of several does anything with it."""

    line: Callable[[dict[str, Any]], None]
    """A row of metrics."""
    save: Callable[[dict[str, Any]], None]
    """A checkpoint to go on from."""
    best: Callable[[], None]
    """The model as it is now is the best so far."""
    progress: Progress = field(default_factory=Progress)


@dataclass(frozen=True, slots=True)
class Goal:
    """What makes one validation better than another."""

    figure: Callable[[dict[str, Any]], float]
    """From `validation.summary` to the R@1 that counts."""


def fit(
    model: Model,
    train: Split,
    held: Split,
    settings: TrainSettings,
    device: str,
    contrast: Contrast,
    goal: Goal,
    hooks: Hooks,
    resumed: Mapping[str, Any] | None = None,
) -> Position:
    """Train to the last epoch or until patience ends. Raises `KnownError` for a NaN loss or too little memory."""
    first = epoch_batches(train, 0, settings.seed, settings.batch, settings.captions_per_clip)
    steps = len(first) * settings.epochs  # every epoch has as many
    if steps == 0:
        raise KnownError("There is nothing to train on: fewer than two clips have captions.")
    optimiser = make_optimiser(*model.parameters(), settings)
    schedule = make_schedule(optimiser, steps, settings.warmup)
    position = Position()
    if resumed is not None:
        model.load(resumed["model"])
        optimiser.load_state_dict(deepcopy(resumed["optimiser"]))
        schedule.load_state_dict(dict(resumed["schedule"]))
        position = Position(**resumed["position"])

    def checkpoint() -> None:
        hooks.save(
            {
                "model": model.state(),
                "optimiser": optimiser.state_dict(),
                "schedule": schedule.state_dict(),
                "position": asdict(position),
            }
        )

    hooks.progress.start("train", steps, "steps")
    hooks.progress.update(position.step, steps)
    since: list[StepResult] = []
    began = time.perf_counter()
    bf16 = wants_bf16(settings.precision, device)
    while not position.finished:
        order = epoch_batches(
            train, position.epoch, settings.seed, settings.batch, settings.captions_per_clip
        )
        for texts in order[position.batch :]:
            model.train()
            torch.manual_seed(_step_seed(settings.seed, position.step))
            optimiser.zero_grad()
            try:
                batch = model.batch(train, own_part(texts, rank(), world_size()))
                result = backward(model.encoder, batch, contrast, settings.micro_batch, device, bf16)
                norm = _clipped(model, settings.clip_norm)
                _stop_at_nonsense(result, norm, position)
                optimiser.step()
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                raise out_of_memory(settings, len(texts) // world_size(), device, error) from error
            schedule.step()
            model.scorer.logit_scale.limit()
            position.step += 1
            position.batch += 1
            since.append(result)
            if position.step % LOG_EVERY == 0 or position.batch == len(order):
                now = time.perf_counter()
                rate = len(since) * len(texts) / max(now - began, 1e-9)
                hooks.line(_row(since, position, optimiser, float(norm), model.scorer, rate))
                since, began = [], now
            if settings.save_every and position.step % settings.save_every == 0:
                checkpoint()
            hooks.progress.advance()
        _end_epoch(model, held, goal, position, settings, hooks, device)
        checkpoint()
        since, began = [], time.perf_counter()
    return position


def _end_epoch(
    model: Model,
    held: Split,
    goal: Goal,
    position: Position,
    settings: TrainSettings,
    hooks: Hooks,
    device: str,
) -> None:
    """Validate, keep the best, and decide whether this was the last."""
    found = model.validate(held)
    figure = agreed(goal.figure(found), device)  # or one process might stop and the others wait for it
    hooks.line({"step": position.step, "event": "validation", "epoch": position.epoch, **found})
    if figure > position.best:
        position.best, position.best_epoch = figure, position.epoch
        hooks.best()
    waited = position.epoch - position.best_epoch
    position.epoch, position.batch = position.epoch + 1, 0
    position.finished = position.epoch >= settings.epochs or bool(
        settings.patience and waited >= settings.patience
    )


def wants_bf16(precision: str, device: str) -> bool:
    return precision == "bf16" or (precision == "auto" and device.startswith("cuda"))


def _step_seed(seed: int, step: int) -> int:
    """Every process draws its own dropout, and the same one again when the step is repeated."""
    return int(np.random.SeedSequence((seed, step, rank())).generate_state(1)[0])


def _clipped(model: Model, largest: float) -> torch.Tensor:
    """The norm of all gradients before they were scaled down to `largest`."""
    heads, towers = model.parameters()
    learning = [parameter for _, parameter in (*heads, *towers)]
    return nn.utils.clip_grad_norm_(learning, largest or torch.inf)


def _stop_at_nonsense(result: StepResult, norm: torch.Tensor, position: Position) -> None:
    if np.isfinite(result.loss) and bool(torch.isfinite(norm)):
        return
    raise KnownError(
        f"The loss is no longer a number at step {position.step + 1} (epoch {position.epoch + 1}).",
        "The last good checkpoint was kept. Begin a new run with a lower lr, or with precision=float32.",
        f"loss {result.loss}, branches {result.branches}, gradient norm {float(norm)}",
    )


def _row(
    results: list[StepResult],
    position: Position,
    optimiser: torch.optim.Optimizer,
    norm: float,
    scorer: Scorer,
    rate: float,
) -> dict[str, Any]:
    names = results[0].branches
    return {
        "step": position.step,
        "event": "train",
        "epoch": position.epoch,
        "loss": float(np.mean([one.loss for one in results])),
        "branches": {name: float(np.mean([one.branches[name] for one in results])) for name in names},
        "lr": optimiser.param_groups[0]["lr"],
        "gradient_norm": norm,
        "logit_scale": float(scorer.logit_scale().detach()),
        "pairs_per_s": round(rate, 2),
    }
