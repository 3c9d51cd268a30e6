"""WTI: against the reference, blind to padding, true to permutations, the same in tiles and for one query."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from m2hf_core.model.heads import WeightedTokenInteraction, pooled_offset, unit_rows
from m2hf_core.model.inputs import EncodedVideo, Side, TextFeatures
from m2hf_core.model.wti import tile_sizes, wti_matrix, wti_query

SEEDS = st.integers(0, 10_000)


def spoil(rows, mask, value):
    """The same rows, with garbage where the mask is False."""
    garbage = torch.full_like(rows, value) if value is not None else torch.randn_like(rows) * 100
    return torch.where(mask.unsqueeze(-1), rows, garbage)


@given(SEEDS, st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.booleans())
@settings(max_examples=15, deadline=None)
def test_matches_the_reference(reference, texts, clips, scorer, expected, close, seed, rho, start_token):
    model, config = scorer(branches=("visual",), start_token=start_token)
    model.open_tokens(rho)
    text, video = texts(seed=seed), clips(seed=seed + 1)
    with torch.no_grad():
        close(model(text, video), expected(model, config.opened(rho), text, video))


@given(SEEDS, st.sampled_from([0.0, 1e4, float("nan"), float("inf"), None]))
@settings(max_examples=15, deadline=None)
def test_rows_under_a_false_mask_change_nothing(texts, clips, scorer, seed, value):
    model, _ = scorer()
    text, video = texts(seed=seed), clips(seed=seed + 1)
    spoiled_text = TextFeatures(spoil(text.tokens, text.mask, value), text.mask, text.pooled)
    mask = video.frame_mask
    spoiled = type(video)(
        spoil(video.frames, mask, value),
        mask,
        spoil(video.audio, mask & video.has_audio, value),
        video.has_audio,
        spoil(video.motion, mask & video.has_motion, value),
        video.has_motion,
    )
    with torch.no_grad():
        wanted, found = model(text, video), model(spoiled_text, spoiled)
    for name in wanted:
        assert torch.equal(wanted[name], found[name])


@given(SEEDS, st.integers(1, 4))
@settings(max_examples=10, deadline=None)
def test_appended_padding_changes_nothing(texts, clips, scorer, seed, extra):
    model, _ = scorer()
    text, video = texts(seed=seed), clips(seed=seed + 1)

    def longer(tensor):
        tail = torch.randn(len(tensor), extra, *tensor.shape[2:]) * 50 if tensor.is_floating_point() else None
        return torch.cat(
            [tensor, torch.zeros(len(tensor), extra, dtype=torch.bool) if tail is None else tail], dim=1
        )

    padded_text = TextFeatures(longer(text.tokens), longer(text.mask), text.pooled)
    columns = (video.frames, video.frame_mask, video.audio, video.has_audio, video.motion, video.has_motion)
    with torch.no_grad():
        wanted, found = model(text, video), model(padded_text, type(video)(*map(longer, columns)))
    for name in wanted:
        torch.testing.assert_close(wanted[name], found[name], atol=2e-6, rtol=0)


def test_padding_cannot_raise_a_negative_score():
    """A pair that scores -0.97 keeps -0.97 beside padding, where a multiplied mask would make it 0."""
    head = WeightedTokenInteraction(2)
    direction = torch.tensor([1.0, 0.0])
    against = torch.tensor([-0.97, (1 - 0.97**2) ** 0.5])
    tokens, frames = torch.zeros(1, 6, 2), torch.zeros(1, 4, 2)
    tokens[0, 0], frames[0, 0] = direction, against
    text = Side(unit_rows(tokens), torch.eye(6)[:1], torch.eye(6)[:1].bool())
    filled = head.video_side(frames, torch.tensor([[True, False, False, False]]))
    only = Side(text.unit[:, :1], text.weight[:, :1], text.mask[:, :1])
    assert wti_matrix(only, filled, 0.5).item() == pytest.approx(-0.97, abs=1e-6)


@given(SEEDS, st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None)
def test_permuting_candidates_permutes_scores(texts, clips, scorer, seed, random):
    model, _ = scorer()
    text, encoded = texts(seed=seed), model.encode_video(clips(6, seed=seed + 1))
    order = torch.tensor(random.sample(range(6), 6))
    with torch.no_grad():
        wanted, found = model.score(text, encoded), model.score(text, encoded.select(order))
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name][:, order], atol=1e-6, rtol=0)


@pytest.mark.parametrize("tile_bytes", [1, 2_000, 9_999, 1 << 20])
def test_tiles_do_not_change_scores_and_keep_their_size(texts, clips, scorer, tile_bytes):
    model, _ = scorer(branches=("visual",))
    with torch.no_grad():
        text, video = model.encode_text(texts(9))["visual"], model.encode_video(clips(11)).branches["visual"]
        torch.testing.assert_close(
            wti_matrix(text, video, 0.5, tile_bytes), wti_matrix(text, video, 0.5), atol=1e-6, rtol=0
        )
    pair = text.unit.shape[1] * video.unit.shape[1] * 4
    a, b = tile_sizes(text, video, tile_bytes)
    assert 1 <= a <= 9
    assert 1 <= b <= 11
    assert a * b * pair <= max(tile_bytes, pair)


def test_every_tile_stays_within_the_stated_bytes(texts, clips, scorer):
    model, _ = scorer(branches=("visual",))
    seen = []

    def watch(cosines, frame_weight, token_weight, rho):
        seen.append(cosines.nbytes)
        return cosines.new_zeros(cosines.shape[0], cosines.shape[3])

    with torch.no_grad():
        text, video = model.encode_text(texts(20))["visual"], model.encode_video(clips(30)).branches["visual"]
        wti_matrix(text, video, 0.5, 20_000, watch)
    assert len(seen) > 1
    assert max(seen) <= 20_000


def test_one_query_equals_its_row(texts, clips, scorer):
    model, _ = scorer()
    text, encoded = texts(5), model.encode_video(clips(8))
    with torch.no_grad():
        whole = model.score(text, encoded)
        for i in range(5):
            alone = model.score(text.select(slice(i, i + 1)), encoded)
            for name in whole:
                torch.testing.assert_close(alone[name][0], whole[name][i], atol=1e-6, rtol=0)
            side = model.encode_text(text.select(slice(i, i + 1)))["visual"]
            torch.testing.assert_close(
                wti_query(side, encoded.branches["visual"], 0.5), whole["visual"][i], atol=1e-6, rtol=0
            )


def test_the_start_token_takes_no_part(texts, clips, scorer):
    with_start, _ = scorer(branches=("visual",))
    without, _ = scorer(branches=("visual",), start_token=False)
    text, video = texts(6), clips()
    other = TextFeatures(text.tokens.clone(), text.mask, text.pooled)
    other.tokens[:, 0] = 40.0
    with torch.no_grad():
        assert torch.equal(with_start(text, video)["visual"], with_start(other, video)["visual"])
        assert not torch.equal(without(text, video)["visual"], without(other, video)["visual"])


def test_a_pooled_token_in_the_padding_counts(clips, scorer):
    """SigLIP pools the last position, which is padding for all but the longest texts."""
    model, _ = scorer(branches=("visual",), start_token=False)
    tokens = torch.randn(1, 6, 16)
    text = TextFeatures(tokens, torch.tensor([[True, True, False, False, False, False]]), torch.tensor([5]))
    moved = TextFeatures(tokens.clone(), text.mask, text.pooled)
    moved.tokens[0, 5] *= -1
    with torch.no_grad():
        assert not torch.allclose(model(text, clips())["visual"], model(moved, clips())["visual"])


@pytest.mark.parametrize("count", [1, 2, 3, 8, 32, 77])
def test_the_pooled_token_opens_with_nine_tenths(count):
    eligible = torch.arange(80) < count
    logits = torch.zeros(1, 80) + pooled_offset(eligible.unsqueeze(0), torch.tensor([count - 1]))
    weight = torch.softmax(logits.masked_fill(~eligible, -torch.inf), dim=1)[0, count - 1].item()
    assert weight == pytest.approx(0.9 if count > 1 else 1.0, abs=1e-6)


def test_alignment_names_the_frame_that_each_word_won(texts, clips, scorer):
    model, _ = scorer()
    text, video = texts(3, seed=5), clips(6, seed=6)
    with torch.no_grad():
        encoded = model.encode_video(video)
        features = model.features(video)
        scores = model.score(text, encoded)
        for i in range(3):
            receipts = model.align(text.select(slice(i, i + 1)), encoded)
            at = [p for p in range(1, 7) if text.mask[i, p]]
            for name, receipt in receipts.items():
                assert receipt.position.tolist() == at
                assert receipt.weight.sum().item() == pytest.approx(1.0, abs=1e-6)
                for k in range(6):
                    real = int(video.frame_mask[k].sum())
                    a = text.tokens[i, at].double().numpy()
                    b = features[name][k, :real].double().numpy()
                    cos = a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
                    assert receipt.frame[k].tolist() == cos.argmax(1).tolist()
                    np.testing.assert_allclose(receipt.cosine[k].numpy(), cos.max(1), atol=1e-5)
                    whole = receipt.weight.double().numpy() @ cos
                    assert receipt.best_frame[k].item() == whole.argmax()
                t2v = (receipt.cosine * receipt.weight).sum(1)
                side = encoded.branches[name]
                v2t = (scores[name][i] - 0.5 * t2v) / 0.5
                assert ((v2t <= 1 + 1e-5) & (v2t >= -1 - 1e-5)).all()
                assert side.mask.equal(video.frame_mask)


def test_alignment_never_points_into_the_padding(texts, scorer, clips):
    model, _ = scorer(branches=("visual",))
    video = clips(5, seed=8)
    shifted = type(video)(
        video.frames,
        torch.tensor([[False, True, False, True, False]] * 5),
        video.audio,
        video.has_audio,
        video.motion,
        video.has_motion,
    )
    with torch.no_grad():
        receipt = model.align(texts(1), model.encode_video(shifted))["visual"]
    assert set(receipt.frame.flatten().tolist()) <= {1, 3}
    assert set(receipt.best_frame.tolist()) <= {1, 3}


def test_a_stored_clip_scores_as_a_fresh_one(texts, clips, scorer):
    """float16 in the store, any device, joined from batches."""
    model, _ = scorer()
    text = texts(1)
    with torch.no_grad():
        first, second = model.encode_video(clips(3, seed=1)), model.encode_video(clips(4, seed=2))
        stored = EncodedVideo.concatenate([first.to("cpu", torch.float16), second.to("cpu", torch.float16)])
        found = model.score(text, stored)
        for name in found:
            wanted = torch.cat([model.score(text, part)[name] for part in (first, second)], dim=1)
            torch.testing.assert_close(found[name], wanted, atol=2e-3, rtol=0)
    assert len(stored) == 7
