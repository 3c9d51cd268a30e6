"""The training loop on a few made-up clips: gradients in parts and over processes, resuming, stopping, refusing."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.parallel import DistributedDataParallel

from m2hf_core.errors import DiskFull, Interrupted, KnownError, UsageError
from m2hf_core.model.checkpoint import load_scorer
from m2hf_core.model.config import Scorer
from m2hf_core.progress import Progress
from m2hf_core.training import fit as fit_module
from m2hf_core.training import runfolder
from m2hf_core.training.batchsource import stored_batch
from m2hf_core.training.contrast import Contrast
from m2hf_core.training.data.dataset import ClipBlock, ClipInfo, PairedData, Split, TokenStore
from m2hf_core.training.metrics import read_metrics
from m2hf_core.training.modelling import config_for, fresh_scorer
from m2hf_core.training.order import epoch_batches, own_part
from m2hf_core.training.recipes import RECIPES, recipe_for, settings_of
from m2hf_core.training.run import train
from m2hf_core.training.runfolder import RunFolder
from m2hf_core.training.schedule import make_optimiser, rate_at
from m2hf_core.training.settings import TrainSettings, describe
from m2hf_core.training.sides import PairEncoder
from m2hf_core.training.stepping import backward

WIDTH = 16
QUICK = {"epochs": 2, "batch": 8, "lr": 1e-3, "device": "cpu", "held_out": 6, "save_every": 1, "frames": 3}


def made_split(name: str, clips: int, captions: int, seed: int, width: int = WIDTH) -> Split:
    """Clips and captions that have nothing to do with each other."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 6, clips * captions)
    total = int(lengths.sum())
    mask = rng.random((clips, 3)) < 0.7
    mask[:, 0] = True
    heard = mask & (rng.random((clips, 3)) < 0.8)
    block = ClipBlock(
        rng.standard_normal((clips, 3, width)).astype(np.float16),
        mask,
        rng.standard_normal((clips, 3, 5)).astype(np.float16),
        heard,
        rng.standard_normal((clips, 3, 7)).astype(np.float16),
        mask,
        np.where(mask, [0.5, 1.5, 2.5], np.nan),
    )
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    tokens = TokenStore(
        rng.standard_normal((total, width)).astype(np.float16),
        np.ones(total, np.bool_),
        starts,
        (lengths - 1).astype(np.int64),
    )
    words = [frozenset({f"noun{i % 5}"}) for i in range(clips)]
    owner = np.repeat(np.arange(clips), captions)
    return Split(
        name,
        tuple(ClipInfo(f"{name}-{i}", "", 0.0, 3.0) for i in range(clips)),
        block,
        tuple(words),
        tuple(f"caption {i}" for i in range(clips * captions)),
        tokens,
        tuple(words[i] for i in owner),
        owner,
    )


@pytest.fixture(scope="module")
def data() -> PairedData:
    return made_data()


def made_data() -> PairedData:
    """34 clips with two captions each, no val split."""
    splits = {"train": made_split("train", 34, 2, 0)}
    return PairedData("made-up", "demo", "clip-demo-x", 20.0, True, "words-1", WIDTH, 5, 7, splits)


@pytest.fixture
def quick() -> Callable[..., TrainSettings]:
    return lambda **changes: TrainSettings().changed({**QUICK, **changes})


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in read_metrics(folder) if row["event"] == "train"]


@pytest.fixture(autouse=True)
def every_step_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_module, "LOG_EVERY", 1)


# ---- settings and recipes


def test_defaults_are_the_papers_recipe() -> None:
    plain = TrainSettings()
    assert (plain.lr, plain.clip_lr, plain.batch, plain.frames, plain.words) == (1e-4, 1e-7, 128, 12, 32)
    assert (plain.weight_decay, plain.beta2, plain.eps, plain.warmup, plain.epochs) == (
        0.2,
        0.98,
        1e-6,
        0.1,
        5,
    )
    assert (plain.clip_norm, plain.balance, plain.prior_temperature, plain.rho) == (1.0, "min", 1e-3, 0.5)


@pytest.mark.parametrize(
    ("data_set", "width", "recipe", "sizes"),
    [
        ("msrvtt-9k", 512, "msrvtt-b16", (12, 32, 128)),
        ("msvd", 768, "msvd-l14", (32, 32, 32)),
        ("didemo", 512, "didemo-b16", (64, 64, 32)),
        ("activitynet", 768, "activitynet-l14", (64, 32, 16)),
        ("library", 1024, "own", (12, 32, 128)),
    ],
)
def test_recipes(data_set: str, width: int, recipe: str, sizes: tuple[int, int, int]) -> None:
    assert recipe_for(data_set, width) == recipe
    chosen = settings_of(recipe, {})
    assert (chosen.frames, chosen.words, chosen.batch) == sizes


def test_every_setting_is_declared_with_words_and_every_number_with_a_range() -> None:
    for row in describe():
        assert row["help"].endswith("."), row["id"]
        if row["type"] in ("int", "float"):
            assert row["low"] <= row["default"] <= row["high"]
    for recipe in RECIPES:
        settings_of(recipe, {})


@pytest.mark.parametrize(
    "change",
    [
        {"lr": "-1"},
        {"epochs": "1.5"},
        {"balance": "best"},
        {"no_such": "1"},
        {"branches": "audio,visual"},
        {"branches": ""},
        {"completion": "perhaps"},
        {"batch": True},
        {"rho": float("nan")},
    ],
)
def test_nonsense_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        TrainSettings().changed(change)


# ---- order of the batches


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(1, 4), st.integers(2, 16), st.integers(0, 3))
def test_no_clip_is_its_own_negative(clips: int, captions: int, batch: int, epoch: int) -> None:
    split = made_split("train", clips, captions, 1)
    found = epoch_batches(split, epoch, 5, batch)
    for texts in found:
        owners = split.clip_of_text[texts]
        assert len(set(owners.tolist())) == len(owners) == min(batch, clips)
    every = np.concatenate(found)
    assert len(set(every.tolist())) == len(every)
    again = epoch_batches(split, epoch, 5, batch)
    assert all((a == b).all() for a, b in zip(found, again, strict=True))
    if clips >= 8:
        other = epoch_batches(split, epoch + 1, 5, batch)
        assert len(other) == len(found)
        assert any((a != b).any() for a, b in zip(found, other, strict=True))


def test_captions_per_clip_bounds_an_epoch() -> None:
    split = made_split("train", 16, 4, 1)
    assert len(epoch_batches(split, 0, 0, 8)) == 8
    assert len(epoch_batches(split, 0, 0, 8, captions_per_clip=1)) == 2


def test_processes_share_a_batch() -> None:
    texts = np.arange(7)
    assert own_part(texts, 0, 2).tolist() == [0, 1, 2]
    assert own_part(texts, 1, 2).tolist() == [3, 4, 5]


def test_rate_rises_then_falls() -> None:
    rates = [rate_at(step, 100, 0.1) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert rates[-1] < 0.001


def test_biases_and_norms_do_not_decay(data: PairedData) -> None:
    plain = TrainSettings()
    scorer = fresh_scorer(config_for(data, plain, ("visual", "audio", "motion")), data, data["train"], plain)
    optimiser = make_optimiser(scorer.named_parameters(), [], plain)
    decayed, free = optimiser.param_groups
    assert decayed["weight_decay"] == 0.2
    assert free["weight_decay"] == 0.0
    assert all(parameter.ndim >= 2 for parameter in decayed["params"])
    assert all(parameter.ndim < 2 for parameter in free["params"])
    assert len(decayed["params"]) + len(free["params"]) == len(list(scorer.parameters()))


# ---- one step, in one go, in parts, over processes


def moved_scorer(data: PairedData, dropout: float) -> Scorer:
    """Off its start, where gates and weights are all alike."""
    chosen = TrainSettings().changed({"dropout": dropout})
    scorer = fresh_scorer(
        config_for(data, chosen, ("visual", "audio", "motion")), data, data["train"], chosen
    )
    with torch.no_grad():
        for parameter in scorer.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3))
    return scorer.train()


def gradients(data: PairedData, micro_batch: int, dropout: float = 0.1) -> dict[str, torch.Tensor]:
    scorer = moved_scorer(data, dropout)
    encoder = PairEncoder(scorer)
    batch = stored_batch(data["train"], np.arange(0, 24, 2), "cpu")
    torch.manual_seed(1)
    result = backward(encoder, batch, Contrast(0.5, "min", 1e-3), micro_batch, "cpu", bf16=False)
    assert math.isfinite(result.loss)
    return {name: value.grad for name, value in scorer.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("micro_batch", [1, 5, 12])
def test_parts_keep_the_whole_contrast(data: PairedData, micro_batch: int) -> None:
    """Without dropout the gradient in micro-batches is the gradient of the whole batch at once."""
    whole, parts = gradients(data, 0, dropout=0.0), gradients(data, micro_batch, dropout=0.0)
    assert whole.keys() == parts.keys()
    for name, grad in whole.items():
        torch.testing.assert_close(parts[name], grad, rtol=1e-4, atol=1e-6, msg=name)


def test_parts_replay_their_dropout(data: PairedData) -> None:
    """Two parts draw other masks than one whole, but both their encodings draw the same: the step repeats exactly."""
    first, second = gradients(data, 5), gradients(data, 5)
    for name, grad in first.items():
        torch.testing.assert_close(second[name], grad, rtol=0, atol=0)
    without = gradients(data, 5, dropout=0.0)
    assert any(not torch.equal(without[name], grad) for name, grad in first.items())


def half_of_the_gradient(rank: int, folder: Path) -> None:
    """One of two processes: half of the pairs, encoded at once and in micro-batches of four."""
    torch.set_num_threads(1)  # a forked process has no threads to compute with
    warnings.simplefilter("ignore")
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meet'}", rank=rank, world_size=2)
    data, found = made_data(), {}
    for micro_batch in (0, 4):
        scorer = moved_scorer(data, dropout=0.0)
        encoder = DistributedDataParallel(PairEncoder(scorer))
        batch = stored_batch(data["train"], own_part(np.arange(0, 24, 2), rank, 2), "cpu")
        backward(encoder, batch, Contrast(0.5, "min", 1e-3), micro_batch, "cpu", bf16=False)
        found[str(micro_batch)] = {
            name: value.grad for name, value in scorer.named_parameters() if value.grad is not None
        }
    torch.save(found, folder / f"rank{rank}")
    dist.destroy_process_group()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_two_processes_give_the_gradient_of_the_joined_batch(data: PairedData, tmp_path: Path) -> None:
    """Forked, so that neither has to import torch again."""
    context = multiprocessing.get_context("fork")
    started = [context.Process(target=half_of_the_gradient, args=(rank, tmp_path)) for rank in range(2)]
    for process in started:
        process.start()
    for process in started:
        process.join(200)
    assert [process.exitcode for process in started] == [0, 0]
    whole = gradients(data, 0, dropout=0.0)
    for rank in range(2):
        for found in torch.load(tmp_path / f"rank{rank}", weights_only=True).values():
            assert found.keys() == whole.keys()
            for name, grad in whole.items():
                torch.testing.assert_close(found[name], grad, rtol=1e-4, atol=1e-6, msg=name)


# ---- whole runs


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
from test_loop import QUICK, made_data
from m2hf_core.training import fit
from m2hf_core.training.run import train
from m2hf_core.training.settings import TrainSettings
fit.LOG_EVERY = 1
train(made_data(), Path(sys.argv[1]), TrainSettings().changed({{**QUICK, "epochs": 200, "save_every": 3}}))
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


def test_sixty_four_clips_are_learnt_by_heart(tmp_path: Path) -> None:
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
    chosen = TrainSettings().changed(
        {**QUICK, **by_heart, "balance": "mean", "motion_fusion": "mfb", "save_every": 0}
    )
    assert train(data, tmp_path / "run", chosen).r1 == 100.0
    last = [row for row in read_metrics(tmp_path / "run") if row["event"] == "validation"][-1]
    assert last["branches"]["audio"] == last["branches"]["motion"] == 100.0
