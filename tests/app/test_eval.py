"""`eval` and `eval ablation` from the command line, on a small prepared piece of the synthetic world."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from m2hf_core.model.checkpoint import ScorerInfo, save_scorer
from m2hf_core.model.config import M2HFConfig, build_scorer
from m2hf_core.model.m2hf import M2HF
from m2hf_core.training.data.prepared import open_prepared
from m2hf_core.training.data.synthetic import Sizes, prepare_synthetic

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 train, 4 val and 6 test clips under the demo preset."""
    folder = tmp_path_factory.mktemp("world") / "prepared"
    prepare_synthetic(folder, Sizes(12, 4, 6, captions=1), seed=9)
    return folder


def scorer_file(world: Path, path: Path, **changes: Any) -> Path:
    data = open_prepared(world, 4, ["test"])
    torch.manual_seed(1)
    config = M2HFConfig(**({"width": data.width, "audio_width": 64, "motion_width": 64} | changes))
    scorer = build_scorer(config)
    if isinstance(scorer, M2HF):
        scorer.open_tokens()
    save_scorer(path, scorer, ScorerInfo(config, data.backbone, "trained:random", data.words_version))
    return path


def test_two_systems_are_evaluated_and_compared(run: Run, world: Path, tmp_path: Path) -> None:
    file = scorer_file(world, tmp_path / "mine.safetensors")
    words = (
        "eval",
        "--data",
        world,
        "--scorer",
        file,
        "--against",
        "zero-shot",
        "--post",
        "dsl",
        "--subsets",
    )
    done = run(*words, "--frames", 4, "--json", "--device", "cpu")
    assert done.code == 0, done.err
    found = done.json
    assert (found["dataset"], found["split"], found["texts"], found["videos"]) == ("synthetic", "test", 6, 6)
    assert set(found["t2v"]["branches"]) == {"visual", "audio", "motion", "speech"}
    assert len(found["subsets"]) == 15
    assert found["comparison"]["first"] == "zero-shot"
    shown = run(*words, "--frames", 4, "--device", "cpu").out
    assert "| mmbf |" in shown
    assert "oracle (paper's reading)" in shown


def test_a_baseline_and_the_backbone_need_no_file(run: Run, world: Path) -> None:
    done = run(
        "eval", "--data", world, "--scorer", "mean-pooled", "--split", "val", "--v2t", "caption", "--json"
    )
    assert (done.code, done.json["protocol"]["v2t"], done.json["split"]) == (0, "caption", "val")
    assert set(done.json["t2v"]["branches"]) == {"visual", "speech"}


def test_what_cannot_be_evaluated_is_a_sentence(run: Run, world: Path, tmp_path: Path) -> None:
    narrow = scorer_file(world, tmp_path / "narrow.safetensors", audio_width=128)
    (tmp_path / "run").mkdir()
    cases: dict[tuple[Any, ...], str] = {
        ("--data", tmp_path): "holds no prepared data",
        ("--data", world, "--split", "dev"): "has no split called 'dev'",
        ("--data", world, "--scorer", tmp_path / "none.safetensors"): "There is no scorer at",
        ("--data", world, "--scorer", tmp_path / "run"): "holds no finished training run",
        ("--data", world, "--scorer", narrow): "reads sound and movement of (128, 64) numbers",
    }
    for words, sentence in cases.items():
        done = run("eval", *words)
        assert done.code == 1
        assert sentence in done.err
    assert run("eval").code == 2


def test_damaged_prepared_data_is_a_sentence(run: Run, world: Path, tmp_path: Path) -> None:
    shutil.copytree(world, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "packed", ignore_errors=True)
    shard = tmp_path / "copy" / "clips" / "test-00000.safetensors"
    shard.write_bytes(shard.read_bytes()[:500])
    done = run("eval", "--data", tmp_path / "copy")
    assert done.code == 1
    assert "is damaged or no file of prepared clips" in done.err
    (tmp_path / "copy" / "data.json").write_text('{"format": 99}')
    assert "newer version" in run("eval", "--data", tmp_path / "copy").err


def test_an_ablation_trains_its_variants_once(run: Run, world: Path, tmp_path: Path) -> None:
    words = [
        "eval",
        "ablation",
        "--data",
        world,
        "--out",
        tmp_path / "runs",
        "--tables",
        "14,15",
        "--recipe",
        "synthetic",
    ]
    for pair in ("epochs=1", "batch=6", "frames=2", "device=cpu", "branches=visual,audio", "balance=min"):
        words += ["--set", pair]
    done = run(*words, "--json")
    assert done.code == 0, done.err
    assert [one["table"] for one in done.json["tables"]] == [14, 15]
    assert [len(one["rows"]) for one in done.json["tables"]] == [4, 2]
    # `with` and the recipe's own balance share one run with the full model.
    runs = sorted(path.name for path in (tmp_path / "runs").iterdir() if path.is_dir())
    assert runs == ["M2HF", "balance=max", "balance=mean", "balance=sum", "completion=False"]
    assert done.json["tables"][1]["rows"][1]["mmbf"]["minus_full"] == [0.0, 0.0, 0.0]
    assert "**Table 14**" in (tmp_path / "runs" / "ablation.md").read_text()
    assert json.loads((tmp_path / "runs" / "ablation.json").read_text()) == done.json
