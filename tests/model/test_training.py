"""Every variant of tables 11 to 15 and both baselines learn on the CPU: a few steps, and the loss falls."""

import pytest
import torch

from m2hf_core.model.losses import branch_terms, ensemble_losses, mmbl
from m2hf_core.model.m2hf import M2HF

STEPS = 8
MODELS = [
    *(
        {"audio_fusion": a, "motion_fusion": m}
        for a in ("mfb", "dual", "none")
        for m in ("mfb", "dual", "none")
    ),
    *({"one_branch": how} for how in ("multiply", "average", "add")),
    {"completion": False},
    {"block_form": "paper"},
    {"squeeze": "mean"},
    {"mfb_relu": True},
    *({"branches": (name,)} for name in ("visual", "audio", "motion")),
    *({"branches": names} for names in (("audio", "motion"), ("visual", "motion"), ("visual", "audio"))),
    {"kind": "concat-transformer", "layers": 2},
]


def train(model, text, video, loss_of):
    model.train()
    torch.manual_seed(0)
    losses = []
    for _ in range(STEPS):
        loss = loss_of(branch_terms(model(text, video), model.logit_scale()))
        model.zero_grad()
        loss.backward()
        with torch.no_grad():  # Adam's first steps are this: every parameter goes a fixed way down
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter -= 0.01 * parameter.grad.sign()
        model.logit_scale.limit()
        losses.append(loss.item())
    return losses


def fell(losses):
    return losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("fields", MODELS, ids=lambda f: "-".join(map(str, f.values())))
def test_every_variant_learns(texts, clips, scorer, fields):
    model, _ = scorer(filled=False, **fields)
    assert fell(train(model, texts(8), clips(8), mmbl))


@pytest.mark.parametrize("balance", ["min", "max", "mean", "sum"])
def test_every_balance_learns(texts, clips, scorer, balance):
    model, _ = scorer(filled=False)
    assert fell(train(model, texts(8), clips(8), lambda terms: mmbl(terms, balance)))


@pytest.mark.parametrize("name", ["visual", "audio", "motion"])
def test_a_branch_of_the_ensemble_learns_alone(texts, clips, scorer, name):
    model, _ = scorer(filled=False, branches=(name,))
    assert fell(train(model, texts(8), clips(8), lambda terms: ensemble_losses(terms)[name]))


def test_the_mean_pooled_baseline_learns_through_its_inputs(texts, clips, scorer):
    """It has no parameters but the logit scale; end to end, CLIP behind the features learns."""
    model, _ = scorer(kind="mean-pooled", opened=False)
    text, video = texts(8), clips(8)
    frames = video.frames.requires_grad_()
    before = mmbl(branch_terms(model(text, video), model.logit_scale()))
    before.backward()
    with torch.no_grad():
        frames -= 0.1 * frames.grad
        assert mmbl(branch_terms(model(text, video), model.logit_scale())) < before


def test_all_parameters_of_the_full_model_are_reached(texts, clips, scorer):
    """After the first step has moved the zero layers, nothing is left without a gradient."""
    model, _ = scorer(filled=False)
    assert isinstance(model, M2HF)
    train(model, texts(8), clips(8), lambda terms: mmbl(terms, "sum"))
    loss = mmbl(branch_terms(model(texts(8), clips(8)), model.logit_scale()), "sum")
    model.zero_grad()
    loss.backward()
    dead = [
        name
        for name, parameter in model.named_parameters()
        if (parameter.grad is None or not parameter.grad.any()) and not name.endswith("head.out.bias")
    ]
    # The softmax over words or frames does not see a constant, so the last biases of the heads have none by nature.
    assert dead == []


def test_training_separates_the_branches(texts, clips, scorer):
    model, _ = scorer(filled=False)
    text, video = texts(8), clips(8)
    train(model, text, video, mmbl)
    model.eval()
    with torch.no_grad():
        scores = model(text, video)
    assert not torch.allclose(scores["visual"], scores["audio"], atol=1e-4)
    assert not torch.allclose(scores["visual"], scores["motion"], atol=1e-4)
