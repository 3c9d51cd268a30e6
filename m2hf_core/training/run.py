"""One training run from settings to a scorer file: phases, checkpoints, the best epoch, the report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from m2hf_core.errors import KnownError, UsageError
from m2hf_core.hub.files import digest_of, extractor_fingerprint
from m2hf_core.hub.manifest import get_preset
from m2hf_core.model.checkpoint import ScorerInfo, load_scorer, save_scorer
from m2hf_core.model.config import M2HFConfig
from m2hf_core.model.wti import reduce_tile
from m2hf_core.progress import Progress
from m2hf_core.text.openclip import PREPROCESSING_VERSION, LoadedClip, build_open_clip
from m2hf_core.text.tower import text_state
from m2hf_core.training.contrast import Contrast
from m2hf_core.training.data.dataset import PairedData, Split, held_out
from m2hf_core.training.distributed import joined_processes
from m2hf_core.training.endtoend import TowerModel, save_clip
from m2hf_core.training.fit import Goal, Hooks, Position, fit
from m2hf_core.training.frozen import FrozenModel
from m2hf_core.training.gather import rank
from m2hf_core.training.metrics import MetricsLog
from m2hf_core.training.modelling import config_for, fresh_scorer, merged
from m2hf_core.training.report import write_report
from m2hf_core.training.runfolder import BEST, BEST_CLIP, RunFolder
from m2hf_core.training.settings import TrainSettings

WHOLE = "e2e"
"""The only phase of an end-to-end run; an ensemble has one per branch, called after it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished run leaves behind."""

    scorer: Path
    report: Path
    steps: int
    best_epoch: int
    """0-based, of the last phase."""
    r1: float
    """R@1 on the held-out clips by the figure that chose it, of the last phase."""


def train(
    data: PairedData,
    folder: Path,
    settings: TrainSettings,
    recipe: str = "",
    progress: Progress | None = None,
) -> Outcome:
    """Train, or go on where a killed or stopped run in `folder` was, and write scorer and report.

    Raises `UsageError` when the folder holds another run, `KnownError` for a folder in use, a device that is not there,
    too little memory, a loss that is no number; `DiskFull`; `Interrupted`.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    progress = progress or Progress()
    rest, held = parts_of(data, settings)
    with joined_processes(settings.device) as device, ExitStack() as stack:
        run = RunFolder(folder)
        if rank() == 0:
            stack.enter_context(run)
            run.begin(_about(data, rest, held, settings, recipe))
        former = run.load_last()
        phases = phases_of(settings)
        names = list(phases)
        at = names.index(former["phase"]) if former else 0
        position = Position()
        for name in names[at:]:
            resumed = former if former and former["phase"] == name else None
            position = _run_phase(
                _Phase(name, phases[name], run, data, rest, held, settings, device), resumed, progress
            )
        if rank() == 0:
            _finish(run, data, settings, phases)
            scorer = load_scorer(run.path / BEST)[0]
            write_report(run.path, data, _as_seen_now(held, data, settings, run), scorer)
        return Outcome(
            run.path / BEST, run.path / "report.md", position.step, position.best_epoch, position.best
        )


def phases_of(settings: TrainSettings) -> dict[str, tuple[str, ...]]:
    """Phase -> the branches that it trains together."""
    branches = settings.branch_names()
    if settings.strategy == "e2e":
        return {WHOLE: branches}
    if settings.kind != "m2hf" or settings.one_branch:
        raise UsageError("Only M2HF with its branches apart can be an ensemble.", "Use --strategy e2e.")
    if settings.tune != "heads":
        raise UsageError(
            "An ensemble shares stored features, so CLIP cannot learn with it: each branch would need its own.",
            "Use --strategy e2e, or --tune heads.",
        )
    return {name: (name,) for name in branches}


def parts_of(data: PairedData, settings: TrainSettings) -> tuple[Split, Split]:
    """(what trains, what chooses the epoch): the data set's val split, else clips held out from train, never test."""
    if "train" not in data.splits:
        raise KnownError("This data has no train split.", f"It has: {', '.join(data.splits)}.")
    train = data["train"]
    if "val" in data.splits:
        return train, data["val"]
    if not 0 < settings.held_out < len(train):
        raise UsageError(
            f"{settings.held_out} of {len(train)} clips cannot be held out.",
            "Set held_out to a tenth of the clips; the best epoch is chosen on them.",
        )
    return held_out(train, settings.held_out, settings.seed)


@dataclass(frozen=True, slots=True, eq=False)
class _Phase:
    name: str
    branches: tuple[str, ...]
    run: RunFolder
    data: PairedData
    train: Split
    held: Split
    settings: TrainSettings
    device: str

    @property
    def file(self) -> Path:
        return self.run.path / (BEST if self.name == WHOLE else f"best-{self.name}.safetensors")


def _run_phase(phase: _Phase, resumed: Mapping[str, Any] | None, progress: Progress) -> Position:
    settings = phase.settings
    config = config_for(phase.data, settings, phase.branches)
    scorer = fresh_scorer(config, phase.data, phase.train, settings)
    model: FrozenModel | TowerModel
    if settings.tune == "heads":
        model = FrozenModel(scorer, phase.device)
    else:
        model = TowerModel(scorer, _open_clip(phase.data), settings, phase.device)
    contrast = Contrast(
        rho=model.rho,
        balance=settings.balance,  # type: ignore[arg-type]
        temperature=settings.prior_temperature,
        reduction=torch.compile(reduce_tile) if settings.compiled else reduce_tile,
    )
    after = resumed["fit"]["position"]["step"] if resumed else 0
    with ExitStack() as stack:
        hooks = Hooks(lambda row: None, lambda state: None, lambda: None, progress)
        if rank() == 0:
            log = stack.enter_context(MetricsLog(phase.run.path, phase.name, after))
            hooks = Hooks(
                log.add,
                lambda state: phase.run.save_last({"phase": phase.name, "fit": state}),
                partial(_keep, phase, model, config),
                progress,
            )
        return fit(
            model,
            phase.train,
            phase.held,
            settings,
            phase.device,
            contrast,
            Goal(lambda found: figure_of(found, phase.branches, settings)),
            hooks,
            resumed["fit"] if resumed else None,
        )


def _as_seen_now(held: Split, data: PairedData, settings: TrainSettings, run: RunFolder) -> Split:
    """The held-out clips through the CLIP that this run has taught, for the report."""
    if settings.tune == "heads":
        return held
    scorer, loaded = load_scorer(run.path / BEST)[0], _open_clip(data)
    loaded.model.load_state_dict(load_file(run.path / BEST_CLIP))
    return TowerModel(scorer, loaded, settings, "cpu").encoded(held)


def figure_of(found: Mapping[str, Any], branches: tuple[str, ...], settings: TrainSettings) -> float:
    """The R@1 that chooses: of the fusion for several branches, of the branch itself when it trains alone."""
    if settings.strategy == "ensemble":
        return float(found["branches"][branches[0]])
    return float(found[settings.select])


def _keep(phase: _Phase, model: FrozenModel | TowerModel, config: M2HFConfig) -> None:
    """The scorer; CLIP beside it where CLIP has learnt, whose fingerprint the scorer then names.

    With the text tower alone the frames stay those that are stored, so their fingerprint stays too.
    """
    backbone = phase.data.backbone
    if isinstance(model, TowerModel):
        phase.run.write(BEST_CLIP, save_clip(model.clip))
        if phase.settings.tune == "all":
            digest = digest_of(phase.run.path / BEST_CLIP)
            backbone = extractor_fingerprint("clip", phase.data.preset, digest, PREPROCESSING_VERSION)
    taught = (
        text_state(model.clip) if phase.settings.tune == "text" and isinstance(model, TowerModel) else None
    )
    save_scorer(phase.file, model.scorer, _info(phase.data, phase.settings, config, backbone), taught)


def _open_clip(data: PairedData) -> LoadedClip:
    """The backbone of the data. `KnownError` when this machine has other weights under its preset."""
    loaded = build_open_clip(get_preset(data.preset))
    if loaded.fingerprint != data.backbone:
        raise KnownError(
            f"This data was prepared with other weights of {data.preset} than those on this machine.",
            "Bring the same weights, or prepare the data again.",
            f"{data.backbone} against {loaded.fingerprint}",
        )
    return loaded


def _finish(
    run: RunFolder, data: PairedData, settings: TrainSettings, phases: Mapping[str, tuple[str, ...]]
) -> None:
    """An ensemble's models become one scorer."""
    if WHOLE in phases:
        return
    parts = {name: load_scorer(run.path / f"best-{name}.safetensors")[0] for name in phases}
    config = config_for(data, settings, settings.branch_names())
    save_scorer(run.path / BEST, merged(parts, config), _info(data, settings, config, data.backbone))


def _info(data: PairedData, settings: TrainSettings, config: M2HFConfig, backbone: str) -> ScorerInfo:
    told = json.dumps([data.name, data.backbone, asdict(settings)], sort_keys=True)
    digest = hashlib.sha256(told.encode()).hexdigest()[:8]
    name = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in data.name)
    return ScorerInfo(config, backbone, f"trained:{name}-{settings.strategy}-{digest}", data.words_version)


def _about(
    data: PairedData, train: Split, held: Split, settings: TrainSettings, recipe: str
) -> dict[str, Any]:
    """`config.json`: the settings that decide the result, and what they were used on."""
    decisive = {name: value for name, value in asdict(settings).items() if name not in _INDIFFERENT}
    return {
        "recipe": recipe,
        "settings": decisive,
        "data": {
            "name": data.name,
            "preset": data.preset,
            "backbone": data.backbone,
            "words_version": data.words_version,
            "train": {"clips": len(train), "captions": len(train.texts)},
            "held_out": {"clips": len(held), "captions": len(held.texts)},
        },
    }


_INDIFFERENT = ("threads", "save_every")
"""Settings that a run may go on with in another value."""
