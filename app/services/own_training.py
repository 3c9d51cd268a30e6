"""Training on the library's own captions, as commands that a process of its own runs; here is what is in its folder.

Nothing here trains: the window starts the commands one after the other, looks at the figures as they are written, and
takes the scorer in when they are done. The same commands work by hand.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.services.itself import own_command
from m2hf_core.errors import KnownError
from m2hf_core.store import captions, pins

if TYPE_CHECKING:
    from app.services.library import Library

log = logging.getLogger(__name__)
FOLDER = "training"
HELD_OUT_SHARE = 10
"""One clip in so many chooses the best epoch where no video fell into the part for that."""
REPORT = "report.md"
"""What a run writes last, and what a person may read afterwards."""


class NothingToLearnFrom(KnownError):  # noqa: N818 - the person's situation, not a fault
    """No caption belongs to a moment; whoever shows this can say which key changes that."""

    def __init__(self) -> None:
        super().__init__(
            "There is nothing to learn from yet: no caption belongs to a moment.",
            "Write captions of some moments, or say of found captions that they are right.",
        )


@dataclass(frozen=True, slots=True)
class OwnRun:
    """The folder of one training: the library's captions with their features, and the run itself."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def metrics(self) -> Path:
        return self.run / "metrics.jsonl"


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run has told so far; steps count from its beginning."""

    loss: tuple[tuple[int, float], ...] = ()
    branches: Mapping[str, tuple[tuple[int, float], ...]] = field(default_factory=dict)
    """Branch -> its part of the loss."""
    found: tuple[tuple[int, float], ...] = ()
    """R@1 in percent on the clips held out, after each epoch."""


def new_run(data_folder: Path) -> OwnRun:
    """A fresh place for a training; nothing is written yet."""
    return OwnRun(data_folder / FOLDER / time.strftime("own-%Y%m%d-%H%M%S"))


def require_captions(library: Library) -> None:
    """Raises `NothingToLearnFrom`."""
    with library.store.library.reading() as session:
        if not (captions.has_tied(session) or pins.has_pin(session, "right")):
            raise NothingToLearnFrom


def write_data_command(run: OwnRun, data_folder: Path, preset: str) -> list[str]:
    """First: the captions and pins of the library, with the features of their moments."""
    where = ("--data-dir", str(data_folder), "--preset", preset)
    return own_command("library", "export-training", str(run.data), "--json", *where)


def train_command(run: OwnRun, data_folder: Path, written: Mapping[str, Any]) -> list[str]:
    """Then: training on them. `written` is what the first command answered.

    Raises `KnownError` when there are too few captioned moments to learn from and hold some out.
    """
    clips = written["clips"]
    changes = {"threads": str(max(1, (os.cpu_count() or 2) - 1))}  # so that the window stays quick
    if "val" not in clips:
        held_out = max(1, clips.get("train", 0) // HELD_OUT_SHARE)
        if clips.get("train", 0) - held_out < 2:
            raise KnownError(
                "There are too few captioned moments to train on.",
                "Add captions to some dozens of moments first; a few hundred make a difference.",
            )
        changes["held_out"] = str(held_out)
    settings = [word for name, value in changes.items() for word in ("--set", f"{name}={value}")]
    where = ("--data", str(run.data), "--out", str(run.run), "--data-dir", str(data_folder))
    return own_command("train", *where, "--json", *settings)


def read_figures(run: OwnRun) -> Figures:
    """Everything that is whole in the run's metrics; empty before the first line."""
    try:
        lines = run.metrics.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return Figures()
    loss: list[tuple[int, float]] = []
    branches: dict[str, list[tuple[int, float]]] = {}
    found: list[tuple[int, float]] = []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            break  # still being written
        step = int(row["step"])
        if row["event"] == "validation":
            found.append((step, float(row.get("rrf", row["honest"]))))
        else:
            loss.append((step, float(row["loss"])))
            for name, value in row["branches"].items():
                branches.setdefault(name, []).append((step, float(value)))
    return Figures(tuple(loss), {name: tuple(curve) for name, curve in branches.items()}, tuple(found))


def tidy(run: OwnRun, *, keep_report: bool) -> None:
    """Of a run whose scorer the library has, keep what tells how it went; of one that was given up, nothing.

    What resists is told to the log.
    """
    if keep_report:
        from m2hf_core.training.runfolder import BEST, LAST, LOCK  # not above, since it brings torch

        _remove_parts(run, LAST, BEST, LOCK)
    else:
        _remove(run.folder)


def sweep(data_folder: Path) -> None:
    """Tidy after earlier trainings that could not do it: killed ones, and ones whose files were held then.

    A finished scorer stays, and the log says where: nobody may have taken it in. One that is still being trained, by a
    process that has outlived its window, is left alone.
    """
    from m2hf_core.training.runfolder import BEST, LAST, LOCK, in_use

    for folder in (data_folder / FOLDER).glob("own-*"):
        run = OwnRun(folder)
        if in_use(run.run):
            continue
        if (run.run / REPORT).is_file():
            _remove_parts(run, LAST, LOCK)
            if (best := run.run / BEST).is_file():
                log.info("a trained scorer is kept; m2hf-app scorer import %s takes it in", best)
        else:
            _remove(run.folder)


def _remove_parts(run: OwnRun, *names: str) -> None:
    _remove(run.data)
    for name in names:
        _remove(run.run / name)


def _remove(path: Path) -> None:
    try:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        pass
    except OSError as error:
        log.warning("%s could not be deleted: %s", path, error)
