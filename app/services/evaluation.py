"""`eval`: any scorer, baseline or untrained backbone on any prepared data set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from m2hf_core.aside import write_file
from m2hf_core.config.paths import expanded
from m2hf_core.errors import KnownError, UsageError
from m2hf_core.features.device import resolve_device
from m2hf_core.hub.manifest import get_preset
from m2hf_core.model.baselines import MeanPooled
from m2hf_core.model.checkpoint import load_scorer
from m2hf_core.model.config import Scorer
from m2hf_core.model.m2hf import M2HF
from m2hf_core.model.metrics import Protocol
from m2hf_core.progress import Progress
from m2hf_core.records import Branch
from m2hf_core.training.data.dataset import PairedData
from m2hf_core.training.data.packing import in_its_words
from m2hf_core.training.data.prepared import open_prepared, read_about
from m2hf_core.training.evaluate import Document, Post, Scored, comparison, report, score_split
from m2hf_core.training.runfolder import BEST

ZERO_SHOT, MEAN_POOLED = "zero-shot", "mean-pooled"


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """Something that can be evaluated."""

    name: str
    scorer: Scorer
    branches: tuple[str, ...]
    """The dense branches that take part."""
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What `eval` was asked."""

    data: Path
    system: str
    against: str | None = None
    split: str = "test"
    frames: int = 12
    v2t: Protocol = "group"
    post: Post | None = None
    subsets: bool = False
    device: str = "auto"


def evaluate(question: Question, data_dir: Path | None, progress: Progress) -> Document:
    """Raises `KnownError` for data that is not prepared, a scorer of another backbone, an unknown name."""
    data = open_prepared(question.data, question.frames, [question.split], progress)
    device, words = resolve_device(question.device), read_about(question.data).words
    names = [question.system] if question.against is None else [question.system, question.against]
    progress.start("score", len(names), "systems")
    scored = []
    for name in names:
        scored.append(score_system(open_system(name, data, data_dir), data, question.split, words, device))
        progress.advance()
    document = report(scored[0], v2t=question.v2t, post=question.post, subsets=question.subsets)
    if question.against is not None:
        document["comparison"] = comparison(scored[1], scored[0])
    return document


def score_system(system: System, data: PairedData, split: str, words: int, device: str) -> Scored:
    """`words`: tokens a caption may have, as the data was prepared."""
    asked = data[split]
    if system.file is not None:
        asked = in_its_words(asked, get_preset(data.preset), system.file, words)
    return score_split(
        system.name,
        system.scorer.to(device),
        asked,
        dataset=data.name,
        branches=system.branches,
        device=device,
    )


def open_system(name: str, data: PairedData, data_dir: Path | None) -> System:
    """`zero-shot`, `mean-pooled`, a scorer file, a run's folder, or the id of a scorer in the library."""
    if name == ZERO_SHOT:
        scorer = M2HF(data.width, branches=(Branch.VISUAL,), start_token=data.has_start).eval()
        return System(name, scorer, (Branch.VISUAL,))
    if name == MEAN_POOLED:
        return System(name, MeanPooled().eval(), MeanPooled.branches)
    path = _file(name, data, data_dir)
    trained, info = load_scorer(path, data.backbone)
    trained_on = (info.config.audio_width, info.config.motion_width)
    here = (data.audio_width, data.motion_width)
    if trained_on != here and info.config.kind != "mean-pooled":
        raise KnownError(
            f"{path.name} reads sound and movement of {trained_on} numbers; this data has {here}.",
            "Prepare the data with the networks that the scorer was trained on.",
        )
    return System(f"{name} ({info.state})", trained, info.active_branches(trained), path)


def _file(name: str, data: PairedData, data_dir: Path | None) -> Path:
    path = expanded(Path(name))
    if path.is_dir():
        best = path / BEST
        if best.is_file():
            return best
        raise KnownError(f"The folder {path} holds no finished training run.", f"{best.name} is not there.")
    if path.is_file():
        return path
    from app.services.library import open_library
    from app.services.scorers import file_of

    if "/" in name or name.endswith(".safetensors"):
        raise KnownError(f"There is no scorer at {path}.", "Check the spelling.")
    with open_library(data_dir, preset=data.preset) as library:
        return file_of(library, name)


def run_ablation_of(
    data: Path,
    out: Path,
    tables: str,
    split: str,
    recipe: str | None,
    changes: Sequence[str],
    progress: Progress,
) -> tuple[Document, list[str]]:
    """Train and evaluate the variants; the document, and its tables in Markdown, both also written to `out`.

    Raises what training raises, `UsageError` for a table or setting that there is not.
    """
    from m2hf_core.training.ablation import markdown, run_ablation
    from m2hf_core.training.recipes import recipe_for, settings_of

    if not all(number.strip().isdecimal() for number in tables.split(",")):
        raise UsageError(f"--tables takes numbers, not {tables!r}.", "For example: --tables 11,14")
    about = read_about(data)
    pairs = dict(_pair(change) for change in changes)
    settings = settings_of(recipe or recipe_for(about.name, about.widths["frames"]), pairs)
    opened = open_prepared(data, settings.frames, progress=progress)
    numbers = [int(number) for number in tables.split(",")]
    device = resolve_device(settings.device)
    document = run_ablation(
        opened, out, settings, split=split, tables=numbers, device=device, progress=progress
    )
    lines = list(markdown(document))
    write_file(out / "ablation.json", json.dumps(document, indent=1).encode())
    write_file(out / "ablation.md", "\n".join([*lines, ""]).encode())
    return document, lines


def _pair(change: str) -> tuple[str, str]:
    name, equals, value = change.partition("=")
    if not equals:
        raise UsageError(f"--set takes NAME=VALUE, not {change!r}.", "For example: --set epochs=10")
    return name.strip(), value.strip()
