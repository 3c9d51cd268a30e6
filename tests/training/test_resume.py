"""A run that is killed anywhere goes on as if nothing had happened."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from m2hf_core.errors import DiskFull, Interrupted, KnownError
from m2hf_core.model.checkpoint import load_scorer
from m2hf_core.progress import Progress
from m2hf_core.training import fit as fit_module
from m2hf_core.training import runfolder
from m2hf_core.training.data.dataset import PairedData
from m2hf_core.training.metrics import read_metrics
from m2hf_core.training.run import train
from m2hf_core.training.runfolder import RunFolder
from m2hf_core.training.settings import TrainSettings


@pytest.fixture(scope="module")
def data(made_up_data: Callable[[], PairedData]) -> PairedData:
    return made_up_data()


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in read_metrics(folder) if row["event"] == "train"]


@pytest.fixture(autouse=True)
def every_step_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_module, "LOG_EVERY", 1)


class _KilledError(Exception):
    pass


@pytest.mark.parametrize("strategy", ["e2e", "ensemble"])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    data: PairedData,
    tmp_path: Path,
    quick: Callable[..., TrainSettings],
    monkeypatch: pytest.MonkeyPatch,
    strategy: str,
) -> None:
    """The process ends after any step; the losses of both halves together are those of a run left alone."""
    chosen = quick(strategy=strategy, save_every=2)
    train(data, tmp_path / "whole", chosen)
    real, steps = fit_module.backward, 0

    def dies(*args: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 5:
            raise _KilledError
        return real(*args)

    monkeypatch.setattr(fit_module, "backward", dies)
    with pytest.raises(_KilledError):
        train(data, tmp_path / "cut", chosen)
    monkeypatch.setattr(fit_module, "backward", real)
    with (tmp_path / "cut" / "metrics.jsonl").open("a") as file:
        file.write('{"phase": "e2e", "step": 9')  # cut short in the middle of a line
    train(data, tmp_path / "cut", chosen)
    whole, cut = losses(tmp_path / "whole"), losses(tmp_path / "cut")
    assert len(whole) == len(cut) > 5
    np.testing.assert_allclose(cut, whole, rtol=0, atol=1e-6)
    first, second = (load_scorer(tmp_path / name / "best.safetensors")[0] for name in ("whole", "cut"))
    for name, value in first.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], value, rtol=0, atol=1e-6)


_VICTIM = """
import sys, torch
from pathlib import Path
sys.path.insert(0, {folder!r})
torch.set_num_threads({threads})
from conftest import QUICK, made_up_data
from m2hf_core.training import fit
from m2hf_core.training.run import train
from m2hf_core.training.settings import TrainSettings
fit.LOG_EVERY = 1
train(made_up_data(), Path(sys.argv[1]), TrainSettings().changed({{**QUICK, "epochs": 200, "save_every": 3}}))
"""


@pytest.mark.faults
def test_kill_minus_nine_in_the_middle_changes_no_loss(
    data: PairedData, tmp_path: Path, quick: Callable[..., TrainSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real process, killed wherever it stands after its seventh line; what goes on is what would have been."""
    script = tmp_path / "victim.py"
    script.write_text(
        _VICTIM.format(folder=str(Path(__file__).parent), threads=torch.get_num_threads()), "utf-8"
    )
    command = [sys.executable, "-W", "ignore", str(script), str(tmp_path / "cut")]
    victim = subprocess.Popen(command)
    while len(losses(tmp_path / "cut")) < 7:
        assert victim.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    victim.kill()
    victim.wait()
    state = RunFolder(tmp_path / "cut").load_last()
    assert state is not None
    assert 3 <= state["fit"]["position"]["step"] < 200 * 6
    real, steps = fit_module.backward, 0

    def counts(*args: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 20:
            raise _KilledError
        return real(*args)

    monkeypatch.setattr(fit_module, "backward", counts)
    chosen = quick(epochs=200, save_every=3)
    with pytest.raises(_KilledError):
        train(data, tmp_path / "cut", chosen)
    went_on = losses(tmp_path / "cut")
    steps = 20 - len(went_on) - 1  # so that the run left alone makes as many
    with pytest.raises(_KilledError):
        train(data, tmp_path / "whole", chosen)
    whole = losses(tmp_path / "whole")
    assert len(went_on) == len(whole) > 20
    np.testing.assert_allclose(went_on, whole, rtol=0, atol=1e-6)


def test_an_interrupted_run_says_so_and_keeps_its_checkpoint(
    data: PairedData, tmp_path: Path, quick: Callable[..., TrainSettings]
) -> None:
    progress = Progress()
    progress.cancel()
    with pytest.raises(Interrupted):
        train(data, tmp_path / "run", quick(), progress=progress)
    train(data, tmp_path / "run", quick())


def test_a_full_disk_keeps_the_last_checkpoint(
    data: PairedData, tmp_path: Path, quick: Callable[..., TrainSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, written = runfolder.write_aside, 0

    def fills(path: Path, fill: Callable[[Any], object]) -> None:
        nonlocal written
        written += path.name == "last.pt"
        if written == 3:
            raise OSError(28, "No space left on device")
        real(path, fill)

    monkeypatch.setattr(runfolder, "write_aside", fills)
    with pytest.raises(DiskFull, match=r"no room left for .*last\.pt"):
        train(data, tmp_path / "run", quick())
    state = RunFolder(tmp_path / "run").load_last()
    assert state is not None
    assert state["fit"]["position"]["step"] == 2


def test_a_damaged_checkpoint_is_a_sentence(
    data: PairedData, tmp_path: Path, quick: Callable[..., TrainSettings]
) -> None:
    train(data, tmp_path / "run", quick(epochs=1))
    (tmp_path / "run" / "last.pt").write_bytes(b"PK\x03\x04 no checkpoint")
    with pytest.raises(KnownError, match="damaged"):
        train(data, tmp_path / "run", quick(epochs=1))
