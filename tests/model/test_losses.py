"""The losses against their formulas, their symmetries, and the traps that they are written to avoid."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from m2hf_core.model.losses import branch_terms, dsl_directions, dsl_terms, ensemble_losses, mmbl
from m2hf_core.model.scale import LogitScale

SEEDS = st.integers(0, 10_000)


def matrix(seed, size):
    return torch.rand(size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@given(SEEDS, st.integers(1, 9), st.sampled_from([1.0, 20.0, 100.0]), st.sampled_from([0.0, 1e-3, 0.1]))
@settings(max_examples=50, deadline=None)
def test_dual_softmax_matches_the_reference(reference, seed, size, eta, temperature):
    scores = matrix(seed, size).double()
    for found, wanted in zip(
        dsl_directions(scores, eta, temperature), reference.dsl(scores.numpy(), eta, temperature), strict=True
    ):
        np.testing.assert_allclose(found.numpy(), wanted, atol=1e-9)
        assert (found <= 0).all()


@given(SEEDS, st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_transposing_swaps_the_directions(seed, size):
    scores = matrix(seed, size).double()
    t2v, v2t = dsl_directions(scores, 50.0, 0.05)
    swapped = dsl_directions(scores.T, 50.0, 0.05)
    torch.testing.assert_close(swapped[0], v2t)
    torch.testing.assert_close(swapped[1], t2v)


@given(SEEDS, st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_without_prior_it_is_the_sum_of_the_two_cross_entropies(seed, size):
    scores, truth = matrix(seed, size).double(), torch.arange(size)
    wanted = cross_entropy(30 * scores, truth) + cross_entropy(30 * scores.T, truth)
    torch.testing.assert_close(-dsl_terms(scores, 30.0, temperature=0.0).mean(), wanted)


@pytest.mark.parametrize("size", [2, 8, 64])
def test_a_constant_matrix_does_not_fool_it(size):
    """Equal scores are worth chance, log(1/B) in each direction, whatever the constant; the prior without its factor
    would leave them there too, but would also flatten a good matrix, which is the second half."""
    for constant in (-1.0, 0.0, 0.7):
        terms = dsl_terms(torch.full((size, size), constant), 100.0)
        torch.testing.assert_close(terms, torch.full((size,), -2 * math.log(size)), atol=1e-4, rtol=0)
    good = torch.eye(size) * 0.2
    assert -dsl_terms(good, 100.0).mean() < 1e-4


def test_the_worst_branch_is_trained_and_ties_share():
    a = torch.tensor([-1.0, -5.0, -2.0], requires_grad=True)
    b = torch.tensor([-3.0, -1.0, -2.0], requires_grad=True)
    loss = mmbl({"a": a, "b": b})
    assert loss.item() == pytest.approx((3 + 5 + 2) / 3)
    loss.backward()
    torch.testing.assert_close(a.grad, torch.tensor([0.0, -1 / 3, -1 / 6]))
    torch.testing.assert_close(b.grad, torch.tensor([-1 / 3, 0.0, -1 / 6]))


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_the_balances_are_what_they_are_called(seed):
    terms = {name: dsl_terms(matrix(seed + i, 6), 10.0) for i, name in enumerate("vam")}
    table = np.stack([t.numpy() for t in terms.values()])
    for balance, how in (("min", table.min), ("max", table.max), ("mean", table.mean), ("sum", table.sum)):
        assert mmbl(terms, balance).item() == pytest.approx(-how(axis=0).mean(), abs=1e-5)


def test_the_ensemble_trains_each_branch_on_its_own_scores():
    scores = {name: matrix(i, 5).requires_grad_() for i, name in enumerate(("visual", "audio"))}
    losses = ensemble_losses(branch_terms(scores, 10.0))
    assert losses.keys() == scores.keys()
    losses["audio"].backward()
    assert scores["audio"].grad is not None
    assert scores["visual"].grad is None


def test_the_logit_scale_starts_at_its_limit_and_can_still_fall():
    scale = LogitScale()
    assert scale().item() == pytest.approx(100, rel=1e-5)
    scale().backward()
    assert scale.log.grad.item() > 0
    with torch.no_grad():
        scale.log.add_(1.0)
    scale.limit()
    assert scale().item() == pytest.approx(100, rel=1e-5)
