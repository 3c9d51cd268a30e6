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
from m2hf_core.synthetic import draw_specs
from m2hf_core.synthetic.files import render_file
from m2hf_core.text.openclip import build_from, build_open_clip, read_description
from m2hf_core.training.contrast import Contrast
from m2hf_core.training.data.dataset import ClipInfo, PairedData
from m2hf_core.training.data.prepared import open_prepared
from m2hf_core.training.endtoend import TowerModel
from m2hf_core.training.modelling import config_for, fresh_scorer
from m2hf_core.training.pictures import DrawnPictures, frame_times, load_pictures, source_for
from m2hf_core.training.recipes import settings_of
from m2hf_core.training.run import train
from m2hf_core.training.settings import describe
from m2hf_core.training.stepping import backward

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


def test_other_weights_than_the_datas_are_refused(data: PairedData, tmp_path: Path) -> None:
    chosen = settings_of("synthetic", {**QUICK, "tune": "text"})
    with pytest.raises(KnownError, match="prepared with other weights of demo"):
        train(replace(data, backbone="clip:demo:another:1"), tmp_path / "run", chosen)


@pytest.fixture(scope="module")
def model(data: PairedData) -> TowerModel:
    chosen = settings_of("synthetic", {**QUICK, "tune": "all", "checkpointing": True})
    config = config_for(data, chosen, ("visual", "audio", "motion"))
    scorer = fresh_scorer(config, data, data["train"], chosen)
    return TowerModel(scorer, build_open_clip(get_preset("demo")), chosen, "cpu")


def test_towers_see_what_was_stored(data: PairedData, model: TowerModel) -> None:
    """Decoded on the fly and tokenised here, clips and captions are those of the prepared folder."""
    split = data["val"]
    fresh = model.encoded(split)
    np.testing.assert_allclose(fresh.clips.frames, split.clips.frames, atol=2e-2)
    np.testing.assert_array_equal(fresh.tokens.starts, split.tokens.starts)
    np.testing.assert_array_equal(fresh.tokens.mask, split.tokens.mask)
    np.testing.assert_array_equal(fresh.tokens.pooled, split.tokens.pooled)
    rows = fresh.tokens.mask
    np.testing.assert_allclose(fresh.tokens.rows[rows], split.tokens.rows[rows], atol=2e-2)


def test_recomputing_the_vision_tower_changes_no_gradient(data: PairedData, model: TowerModel) -> None:
    batch, found = model.batch(data["train"], np.arange(0, 6)), []
    model.train()
    for checkpointing in (True, False):
        model._towers.checkpointing = checkpointing
        for _, parameter in (*model.parameters()[0], *model.parameters()[1]):
            parameter.grad = None
        torch.manual_seed(0)
        backward(model.encoder, batch, Contrast(0.5, "mean", 1e-3), 0, "cpu", bf16=False)
        found.append([p.grad.clone() for _, p in model.parameters()[1] if p.grad is not None])
    assert len(found[0]) == len(found[1]) > 20
    for kept, recomputed in zip(*found, strict=True):
        torch.testing.assert_close(recomputed, kept, rtol=1e-4, atol=1e-7)


def test_frame_times_are_the_middles_of_the_seconds() -> None:
    assert frame_times(ClipInfo("a", "", 0.0, 4.0), 12) == [0.5, 1.5, 2.5, 3.5]
    assert frame_times(ClipInfo("a", "", 12.0, 15.0), 12) == [12.5, 13.5, 14.5]
    assert frame_times(ClipInfo("a", "", 0.0, 10.0), 3) == [0.5, 4.5, 9.5]
    assert frame_times(ClipInfo("a", "", 3.6, 3.9), 12) == [3.75]


def test_frames_of_files_come_from_the_decoder(tmp_path: Path) -> None:
    spec = draw_specs("train", 1, 3)[0]
    path = tmp_path / "clip.mp4"
    render_file(spec, path)
    info = ClipInfo("train-3-0", str(path), 0.0, 4.0)
    drawn = DrawnPictures([info])(info, [0.5, 2.5])
    found = source_for([info])(info, [0.5, 2.5])
    assert found.shape == drawn.shape
    assert np.abs(found.astype(int) - drawn.astype(int)).mean() < 6
    pictures, mask = load_pictures(
        source_for([info]), [info], 2, build_open_clip(get_preset("demo")).preprocess
    )
    assert pictures.shape[:2] == mask.shape == (1, 2)


def test_without_a_decoder_the_sentence_says_what_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "m2hf_core.media", None)
    info = ClipInfo("a", "/videos/a.mp4", 0.0, 4.0)
    with pytest.raises(KnownError, match="needs PyAV"):
        source_for([info])(info, [0.5])
