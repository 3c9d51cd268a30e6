"""What is drawn for a step and what a step does: order, rates, gradients in parts and over processes."""

from __future__ import annotations

import math
import multiprocessing
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.parallel import DistributedDataParallel

from m2hf_core.model.config import Scorer
from m2hf_core.training.batchsource import stored_batch
from m2hf_core.training.contrast import Contrast
from m2hf_core.training.data.dataset import PairedData, Split
from m2hf_core.training.modelling import config_for, fresh_scorer
from m2hf_core.training.order import epoch_batches, own_part
from m2hf_core.training.schedule import make_optimiser, rate_at
from m2hf_core.training.settings import TrainSettings
from m2hf_core.training.sides import PairEncoder
from m2hf_core.training.stepping import backward


@pytest.fixture(scope="module")
def data(made_up_data: Callable[[], PairedData]) -> PairedData:
    return made_up_data()


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(1, 4), st.integers(2, 16), st.integers(0, 3))
def test_no_clip_is_its_own_negative(
    made_split: Callable[..., Split], clips: int, captions: int, batch: int, epoch: int
) -> None:
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


def test_captions_per_clip_bounds_an_epoch(made_split: Callable[..., Split]) -> None:
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


def half_of_the_gradient(rank: int, folder: Path, data: PairedData) -> None:
    """One of two processes: half of the pairs, encoded at once and in micro-batches of four."""
    torch.set_num_threads(1)  # a forked process has no threads to compute with
    warnings.simplefilter("ignore")
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meet'}", rank=rank, world_size=2)
    found = {}
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
    started = [context.Process(target=half_of_the_gradient, args=(rank, tmp_path, data)) for rank in range(2)]
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
