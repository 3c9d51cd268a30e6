"""Before any training the scorer is mean-pooled CLIP, exactly, and its branches agree."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from m2hf_core.model.baselines import MeanPooled
from m2hf_core.model.heads import eligible_tokens

SEEDS = st.integers(0, 10_000)


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_it_is_mean_pooled_clip(texts, clips, scorer, seed):
    model, _ = scorer(filled=False, opened=False)
    text, video = texts(6, seed=seed), clips(40, seed=seed + 1)
    with torch.no_grad():
        found = model(text, video)["visual"].numpy()
        baseline = MeanPooled(renormalise=False)(text, video)["visual"].numpy()
        encoded = model.encode_video(video)
        one_vector = (model.query_vectors(text)["visual"] @ encoded.vectors()["visual"].T).numpy()
    frames, mask = video.frames.double().numpy(), video.frame_mask.numpy()
    eot = text.tokens.double().numpy()[np.arange(6), text.pooled.numpy()]
    eot /= np.linalg.norm(eot, axis=1, keepdims=True)
    means = np.stack(
        [
            (f[m] / np.linalg.norm(f[m], axis=1, keepdims=True)).mean(0)
            for f, m in zip(frames, mask, strict=True)
        ]
    )
    exact = eot @ means.T
    for scores in (found, baseline, one_vector):
        np.testing.assert_allclose(scores, exact, atol=1e-6)
        assert (scores.argsort(axis=1) == exact.argsort(axis=1)).all()


@given(SEEDS)
@settings(max_examples=15, deadline=None)
def test_the_published_baseline_divides_the_mean_by_its_length(texts, clips, seed):
    text, video = texts(3, seed=seed), clips(5, seed=seed)
    with torch.no_grad():
        plain, published = MeanPooled(renormalise=False), MeanPooled()
        lengths = plain.clip_vectors(video).norm(dim=1)
        torch.testing.assert_close(
            published(text, video)["visual"] * lengths, plain(text, video)["visual"], atol=1e-6, rtol=0
        )


@given(SEEDS, st.booleans())
@settings(max_examples=8, deadline=None)
def test_new_gates_make_all_branches_equal(texts, clips, scorer, seed, opened):
    model, _ = scorer(seed=seed, filled=False, opened=opened)
    text, video = texts(seed=seed), clips(seed=seed)
    with torch.no_grad():
        scores = model(text, video)
    assert torch.equal(scores["visual"], scores["audio"])
    assert torch.equal(scores["visual"], scores["motion"])


@given(SEEDS)
@settings(max_examples=8, deadline=None)
def test_opening_leaves_the_pooled_token_nine_tenths(texts, scorer, seed):
    model, _ = scorer(seed=seed, filled=False, opened=False)
    text = texts(6, seed=seed)
    closed = model.encode_text(text)["audio"]
    assert closed.weight.tolist() == [[1.0]] * 6
    model.open_tokens()
    assert model.rho == 0.5
    weight = model.encode_text(text)["audio"].weight
    eligible = eligible_tokens(text.mask, text.pooled, start_token=True)
    for row, real, pooled in zip(weight, eligible, text.pooled, strict=True):
        alone = int(real.sum()) == 1
        assert abs(row[pooled].item() - (1.0 if alone else 0.9)) < 1e-6
        others = row[real & (torch.arange(len(row)) != pooled)]
        assert torch.allclose(others, torch.full_like(others, 0.1 / max(1, len(others))), atol=1e-6)
        assert (row[~real] == 0).all()


def test_an_untrained_receipt_has_the_whole_query_as_its_one_word(texts, clips, scorer):
    model, _ = scorer(filled=False, opened=False)
    text, video = texts(1), clips(4)
    with torch.no_grad():
        receipt = model.align(text, model.encode_video(video))["visual"]
    assert receipt.position.tolist() == text.pooled.tolist()
    assert receipt.weight.tolist() == [1.0]
    assert receipt.frame[:, 0].equal(receipt.best_frame)


def test_clips_that_are_all_alike_all_score_alike(texts, clips, scorer):
    """Nothing in a score depends on the clip's place: a constant library yields constant rows, not a diagonal."""
    model, _ = scorer()
    text, video = texts(5), clips(1).select(torch.zeros(5, dtype=torch.long))
    with torch.no_grad():
        for scores in model(text, video).values():
            torch.testing.assert_close(scores, scores[:, :1].expand_as(scores), atol=1e-6, rtol=0)
