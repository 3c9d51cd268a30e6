"""Whole runs: what they leave behind, when they stop, and what they refuse."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from m2hf_core.errors import KnownError, UsageError
from m2hf_core.model.checkpoint import load_scorer
from m2hf_core.training import fit as fit_module
from m2hf_core.training.batchsource import stored_batch
from m2hf_core.training.data.dataset import PairedData, Split
from m2hf_core.training.metrics import read_metrics
from m2hf_core.training.order import epoch_batches
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


def test_a_run_leaves_everything_behind(
    data: PairedData, tmp_path: Path, quick: Callable[..., TrainSettings]
) -> None:
    outcome = train(data, tmp_path / "run", quick())
    names = {path.name for path in (tmp_path / "run").iterdir()}
    wanted = {"config.json", "environment.json", "metrics.jsonl", "last.pt", "best.safetensors"}
    assert wanted | {"report.md", "report.html"} <= names
    scorer, info = load_scorer(outcome.scorer, backbone="clip-demo-x")
    assert info.trained
    assert info.words_version == "words-1"
    assert scorer.tokens == "all"
    assert outcome.steps == 2 * len(epoch_batches(data["train"].select(np.arange(28)), 0, 0, 8))
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["data"]["held_out"] == {"clips": 6, "captions": 12}
    report = (tmp_path / "run" / "report.md").read_text()
    for lane in ("visual alone", "audio alone", "motion alone", "speech alone", "mmbf, honest", "rrf"):
        assert f"| {lane} |" in report
    assert (tmp_path / "run" / "report.html").read_text().count("<svg") >= 3


def test_the_statistics_of_sound_and_movement_come_from_train_alone(
    data: PairedData, tmp_path: Path, quick: Callable[..., TrainSettings]
) -> None:
    train(data, tmp_path / "run", quick(epochs=1, patience=0))
    scorer, _ = load_scorer(tmp_path / "run" / "best.safetensors")
    from m2hf_core.training.data.dataset import held_out

    rest, _ = held_out(data["train"], 6, 0)
    rows = rest.clips.audio[rest.clips.has_audio].astype(np.float64)
    np.testing.assert_allclose(scorer.guided["audio"].completion.mean.numpy(), rows.mean(0), atol=1e-5)
    np.testing.assert_allclose(scorer.guided["audio"].completion.std.numpy(), rows.std(0), atol=1e-5)


def test_an_ensemble_is_its_branches_in_one_file(
    data: PairedData, tmp_path: Path, quick: Callable[..., TrainSettings]
) -> None:
    train(data, tmp_path / "run", quick(strategy="ensemble", epochs=1))
    whole, _ = load_scorer(tmp_path / "run" / "best.safetensors")
    batch = stored_batch(data["train"], np.arange(6), "cpu")
    with torch.inference_mode():
        together = whole(batch.text, batch.video)
        for name in ("visual", "audio", "motion"):
            alone, _ = load_scorer(tmp_path / "run" / f"best-{name}.safetensors")
            torch.testing.assert_close(together[name], alone(batch.text, batch.video)[name])


def test_patience_ends_a_run(
    data: PairedData, tmp_path: Path, quick: Callable[..., TrainSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    from m2hf_core.training import run as run_module

    figures = iter([5.0, 9.0, 8.0, 9.0])
    monkeypatch.setattr(run_module, "figure_of", lambda *args: next(figures))
    outcome = train(data, tmp_path / "run", quick(epochs=20, patience=2))
    assert outcome.best_epoch == 1
    assert outcome.r1 == 9.0
    validations = [row for row in read_metrics(tmp_path / "run") if row["event"] == "validation"]
    assert [row["epoch"] for row in validations] == [0, 1, 2, 3]


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good(
    data: PairedData, tmp_path: Path, quick: Callable[..., TrainSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, steps = fit_module.backward, 0

    def breaks(encoder: torch.nn.Module, *args: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 4:
            with torch.no_grad():
                next(encoder.parameters()).fill_(float("nan"))
        return real(encoder, *args)

    monkeypatch.setattr(fit_module, "backward", breaks)
    with pytest.raises(KnownError, match="no longer a number at step 4") as caught:
        train(data, tmp_path / "run", quick())
    assert "lr" in caught.value.hint
    state = RunFolder(tmp_path / "run").load_last()
    assert state is not None
    assert state["fit"]["position"]["step"] == 3
    assert all(torch.isfinite(value).all() for value in state["fit"]["model"].values())


def test_too_little_memory_names_the_setting_to_lower(
    data: PairedData, tmp_path: Path, quick: Callable[..., TrainSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(fit_module, "backward", full)
    with pytest.raises(KnownError, match="too small for 8 pairs") as caught:
        train(data, tmp_path / "run", quick())
    assert "micro_batch=2" in caught.value.hint


def test_another_failure_is_not_called_memory(
    data: PairedData, tmp_path: Path, quick: Callable[..., TrainSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> Any:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(fit_module, "backward", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        train(data, tmp_path / "run", quick())


def test_no_card_is_said_before_anything_is_written(
    data: PairedData, tmp_path: Path, quick: Callable[..., TrainSettings]
) -> None:
    with pytest.raises(KnownError, match="no CUDA device"):
        train(data, tmp_path / "run", quick(device="cuda:63"))
    assert not (tmp_path / "run").exists()


def test_a_folder_in_use_is_refused(
    data: PairedData, tmp_path: Path, quick: Callable[..., TrainSettings]
) -> None:
    with RunFolder(tmp_path / "run"), pytest.raises(KnownError, match=f"process \\({os.getpid()}\\)"):
        train(data, tmp_path / "run", quick())
    train(data, tmp_path / "run", quick(epochs=1))


def test_what_a_killed_run_left_aside_is_removed_by_the_next_one(tmp_path: Path) -> None:
    (tmp_path / ".last.pt.4711.part").write_bytes(b"half a checkpoint")
    (tmp_path / "last.pt").write_bytes(b"the former one")
    with RunFolder(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["last.pt", "run.lock"]


def test_a_folder_of_another_run_is_refused(
    data: PairedData, tmp_path: Path, quick: Callable[..., TrainSettings]
) -> None:
    train(data, tmp_path / "run", quick(epochs=1))
    with pytest.raises(UsageError, match=r"another settings\.lr"):
        train(data, tmp_path / "run", quick(epochs=1, lr=2e-3))


def test_a_finished_run_is_not_trained_again(
    data: PairedData, tmp_path: Path, quick: Callable[..., TrainSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train(data, tmp_path / "run", quick(epochs=1))
    monkeypatch.setattr(fit_module, "backward", None)
    assert train(data, tmp_path / "run", quick(epochs=1)) == first


def test_curves_for_tensorboard(
    data: PairedData, tmp_path: Path, quick: Callable[..., TrainSettings]
) -> None:
    """Every loss of metrics.jsonl is an event as well."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(data, tmp_path / "run", quick(epochs=1))
    events = reader.EventAccumulator(str(tmp_path / "run" / "events"))
    events.Reload()
    found = [event.value for event in events.Scalars("e2e/train/loss")]
    np.testing.assert_allclose(found, losses(tmp_path / "run"), rtol=1e-6)


def test_too_few_clips_to_hold_out(
    data: PairedData, tmp_path: Path, quick: Callable[..., TrainSettings]
) -> None:
    with pytest.raises(UsageError, match="34 of 34 clips cannot be held out"):
        train(data, tmp_path / "run", quick(held_out=34))


def test_an_ensemble_cannot_teach_clip(
    data: PairedData, tmp_path: Path, quick: Callable[..., TrainSettings]
) -> None:
    with pytest.raises(UsageError, match="CLIP cannot learn with it"):
        train(data, tmp_path / "run", quick(strategy="ensemble", tune="text"))


def test_baselines_train_too(data: PairedData, tmp_path: Path, quick: Callable[..., TrainSettings]) -> None:
    for kind in ("mean-pooled", "concat-transformer"):
        outcome = train(data, tmp_path / kind, quick(kind=kind, epochs=1, branches="visual"))
        assert load_scorer(outcome.scorer)[1].config.kind == kind


def test_sixty_four_clips_are_learnt_by_heart(
    tmp_path: Path, quick: Callable[..., TrainSettings], made_split: Callable[..., Split]
) -> None:
    """Pairs without any sense, so that only memory helps; the gates have it, the frames alone have none."""
    split = made_split("train", 64, 1, 0, width=64)
    silent = replace(split, spoken=(frozenset(),) * 64, text_nouns=(frozenset(),) * 64)
    data = PairedData("by-heart", "demo", "x", 20.0, True, "w", 64, 5, 7, {"train": silent, "val": silent})
    by_heart = {
        "lr": 3e-2,
        "epochs": 50,
        "batch": 64,
        "dropout": 0.0,
        "weight_decay": 0.0,
        "select": "honest",
    }
    chosen = quick(**by_heart, balance="mean", motion_fusion="mfb", save_every=0)
    assert train(data, tmp_path / "run", chosen).r1 == 100.0
    last = [row for row in read_metrics(tmp_path / "run") if row["event"] == "validation"][-1]
    assert last["branches"]["audio"] == last["branches"]["motion"] == 100.0
