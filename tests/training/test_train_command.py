"""`m2hf-app train` on prepared clips of the synthetic world: headless, teaching CLIP too, overfitting, refusing."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from app.cli.main import main
from app.services import training
from m2hf_core.config.paths import resources_dir
from m2hf_core.errors import KnownError
from m2hf_core.hub.manifest import get_preset
from m2hf_core.model.checkpoint import load_scorer
from m2hf_core.progress import Progress
from m2hf_core.text.descriptions import read_description
from m2hf_core.text.half import LoadedText, build_text_from
from m2hf_core.text.openclip import build_from, build_open_clip
from m2hf_core.text.tower import TextTower, open_text_tower
from m2hf_core.training.data.dataset import PairedData, Split
from m2hf_core.training.data.packing import in_its_words
from m2hf_core.training.data.prepared import open_prepared
from m2hf_core.training.recipes import settings_of
from m2hf_core.training.run import train
from m2hf_core.training.settings import describe

QUICK = {"epochs": 1, "batch": 6, "lr": 1e-3, "device": "cpu", "frames": 4}


@pytest.fixture(scope="module")
def data(prepared: Path) -> PairedData:
    return open_prepared(prepared, 4, ("train", "val"))


_HEADLESS = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"PySide6", "sqlalchemy", "hnswlib", "av", "faster_whisper"}:
            raise ImportError(f"{name} is not on this machine")

sys.meta_path.insert(0, Blocked())
from app.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_the_command_trains_without_window_database_and_decoder(prepared: Path, tmp_path: Path) -> None:
    """On a workstation image with torch and nothing else of ours; the second call finds the run finished."""
    command = [
        sys.executable,
        "-c",
        _HEADLESS,
        "train",
        "--data",
        str(prepared),
        "--out",
        str(tmp_path / "run"),
    ]
    chosen = ["--recipe", "synthetic", "--device", "cpu", "--json", "--set", "epochs=1", "--set", "batch=6"]
    done = subprocess.run([*command, *chosen], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    _, info = load_scorer(Path(document["scorer"]))
    assert info.trained
    assert document["steps"] == 4
    assert Path(document["report"]).read_text().startswith("# Training on synthetic")


def test_the_synthetic_world_is_prepared_when_it_is_first_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SYNTHETIC_CLIPS", (6, 3))
    changes = {**QUICK, "batch": 4}
    outcome = training.run_training(
        "synthetic", tmp_path / "run", tmp_path / "cache", None, None, changes, Progress()
    )
    assert load_scorer(outcome.scorer)[1].state.startswith("trained:synthetic-e2e-")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["recipe"] == "synthetic"
    assert config["data"]["train"] == {"clips": 6, "captions": 24}
    assert config["data"]["held_out"] == {"clips": 3, "captions": 3}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "needs --data and --out"),
        (["--set", "lr"], "NAME=VALUE"),
        (["--set", "lr=quick"], "'quick' is no value for lr"),
        (["--set", "no_such=1"], "no setting called 'no_such'"),
        (["--recipe", "dinner"], "no recipe called 'dinner'"),
        (["--preset", "fast"], "prepared with the preset 'demo'"),
        (["--device", "cuda:63"], "no CUDA device 'cuda:63'"),
        (["--data", "/no/such/folder"], "holds no prepared data"),
        (["--strategy", "ensemble", "--tune", "all"], "CLIP cannot learn with it"),
    ],
)
def test_what_is_wrong_is_a_sentence(
    prepared: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    sentence: str,
) -> None:
    given = ["--data", str(prepared), "--out", str(tmp_path / "run")] if options else []
    code = main(["train", *given, *options])
    shown = capsys.readouterr().err
    assert code in (1, 2)
    assert sentence in shown
    assert "Traceback" not in shown
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_every_setting_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--list-settings"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "balance=min  [min, max, mean, sum]  How branches share the loss (M2HF, Table 14)." in lines
    assert len(lines) == len(describe())


@pytest.mark.parametrize("tune", ["text", "all"])
def test_clip_learns_too(data: PairedData, tmp_path: Path, tune: str) -> None:
    """The text alone leaves the vision tower as it was, to the bit; both towers are a new backbone."""
    chosen = settings_of("synthetic", {**QUICK, "tune": tune, "clip_lr": 1e-3, "micro_batch": 4})
    outcome = train(data, tmp_path / "run", chosen)
    _, info = load_scorer(outcome.scorer)
    path = tmp_path / "run" / "best-clip.safetensors"
    description = read_description(resources_dir() / "demo" / "clip.json")
    taught = build_from(description, path, name="demo").model.state_dict()
    before = build_open_clip(get_preset("demo")).model.state_dict()
    changed = {name for name in before if not torch.equal(taught[name], before[name])}
    assert "token_embedding.weight" in changed
    assert any(name.startswith("visual.") for name in changed) == (tune == "all")
    assert not any("running_" in name for name in changed)
    assert (info.backbone == data.backbone) == (tune == "text")
    assert info.own_text == (tune == "text")
    if tune == "text":
        words = build_text_from(description["model_cfg"], path, name="demo")
        _reads_by_its_own_words(data["val"], outcome.scorer, words)


def _reads_by_its_own_words(split: Split, scorer: Path, taught: LoadedText) -> None:
    """The text tower in the scorer's file is the one that learnt, and an evaluation reads captions through it."""
    tower = open_text_tower(get_preset("demo"), scorer=scorer)
    wanted = TextTower(taught).encode(split.texts)
    torch.testing.assert_close(tower.encode(split.texts).tokens, wanted.tokens)
    fresh = in_its_words(split, get_preset("demo"), scorer).tokens
    assert not np.allclose(fresh.rows, split.tokens.rows, atol=1e-2)
    first = fresh.batch([0]).tokens[0]
    torch.testing.assert_close(first, wanted.tokens[0, : len(first)], rtol=0, atol=2e-3)


def test_other_weights_than_the_datas_are_refused(data: PairedData, tmp_path: Path) -> None:
    chosen = settings_of("synthetic", {**QUICK, "tune": "text"})
    with pytest.raises(KnownError, match="prepared with other weights of demo"):
        train(replace(data, backbone="clip:demo:another:1"), tmp_path / "run", chosen)
