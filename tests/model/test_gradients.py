"""Gradients stay finite where the mathematics has corners: zeros, ties, silence, one frame, half precision."""

import pytest
import torch

from m2hf_core.model.inputs import TextFeatures, VideoFeatures
from m2hf_core.model.losses import branch_terms, mmbl

FUSIONS = [
    {"audio_fusion": "mfb", "motion_fusion": "dual"},
    {"audio_fusion": "dual", "motion_fusion": "mfb"},
    {"audio_fusion": "none", "block_form": "paper", "completion": False, "squeeze": "mean"},
    {"one_branch": "multiply"},
]


def zeros(text, video):
    return (
        TextFeatures(torch.zeros_like(text.tokens), text.mask, text.pooled),
        VideoFeatures(
            torch.zeros_like(video.frames),
            video.frame_mask,
            torch.zeros_like(video.audio),
            torch.ones_like(video.has_audio),
            torch.zeros_like(video.motion),
            torch.ones_like(video.has_motion),
        ),
    )


def ties(text, video):
    """Every word the same, every frame the same, every item the same."""
    return (
        TextFeatures(torch.ones_like(text.tokens), text.mask, text.pooled),
        VideoFeatures(
            torch.ones_like(video.frames),
            video.frame_mask,
            torch.ones_like(video.audio),
            video.has_audio,
            torch.ones_like(video.motion),
            video.has_motion,
        ),
    )


def silence(text, video):
    return text, video.without_audio().without_motion()


def one_frame(text, video):
    mask = torch.zeros_like(video.frame_mask)
    mask[:, 0] = True
    return text, VideoFeatures(
        video.frames, mask, video.audio, video.has_audio, video.motion, video.has_motion
    )


def one_column(text, video):
    return text, VideoFeatures(
        *(t[:, :1] for t in (video.frames, torch.ones_like(video.frame_mask))),
        *(t[:, :1] for t in (video.audio, video.has_audio, video.motion, video.has_motion)),
    )


def as_they_are(text, video):
    return text, video


@pytest.mark.parametrize("half", [False, True], ids=["float32", "bf16"])
@pytest.mark.parametrize("filled", [False, True], ids=["new", "filled"])
@pytest.mark.parametrize("case", [zeros, ties, silence, one_frame, one_column, as_they_are])
@pytest.mark.parametrize("fields", FUSIONS, ids=lambda f: "-".join(map(str, f.values())))
def test_gradients_are_finite(texts, clips, scorer, fields, case, filled, half):
    model, _ = scorer(filled=filled, **fields)
    model.train()
    text, video = case(texts(), clips())
    tokens, frames = text.tokens.clone().requires_grad_(), video.frames.clone().requires_grad_()
    text = TextFeatures(tokens, text.mask, text.pooled)
    video = VideoFeatures(
        frames, video.frame_mask, video.audio, video.has_audio, video.motion, video.has_motion
    )
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        scores = model(text, video)
    loss = mmbl(branch_terms(scores, model.logit_scale()))
    loss.backward()
    assert loss.isfinite()
    for tensor in (tokens, frames, *model.parameters()):
        if tensor.grad is not None:
            assert tensor.grad.isfinite().all()
            assert tensor.grad.abs().max() < 1e6
    assert frames.grad is not None or fields.get("audio_fusion") == "none"


def test_padding_gets_no_gradient(texts, clips, scorer):
    model, _ = scorer()
    text, video = texts(6), clips(6)
    tokens, frames = text.tokens.clone().requires_grad_(), video.frames.clone().requires_grad_()
    scores = model(
        TextFeatures(tokens, text.mask, text.pooled),
        VideoFeatures(frames, video.frame_mask, video.audio, video.has_audio, video.motion, video.has_motion),
    )
    sum(matrix.square().sum() for matrix in scores.values()).backward()
    assert (tokens.grad[~text.mask] == 0).all()
    assert (tokens.grad[:, 0] == 0).all() or (text.pooled == 0).any()
    assert (frames.grad[~video.frame_mask] == 0).all()
    assert (frames.grad[video.frame_mask].abs().sum(-1) > 0).all()


def test_gradients_equal_those_of_infinite_masks(texts, clips, scorer):
    """Padding by copies must train like padding excluded with -inf, written out here in plain terms."""
    model, _ = scorer(branches=("visual",))
    text, video = texts(4), clips(4)

    def plain(tokens, frames):
        head = model.wti["visual"]
        eligible = text.mask.clone()
        eligible[:, 0] = False
        fmask = video.frame_mask
        cos = torch.einsum(
            "btd,vfd->bvtf",
            torch.nn.functional.normalize(tokens, dim=-1),
            torch.nn.functional.normalize(frames, dim=-1),
        )
        n = eligible.sum(1, keepdim=True)
        offset = torch.zeros_like(tokens[..., 0]).scatter(
            1, text.pooled.unsqueeze(1), torch.where(n > 1, torch.log(9.0 * (n - 1)), torch.zeros(1))
        )
        tl = head.token_head.out(head.token_head.hidden(tokens).relu())[..., 0] + offset
        fl = head.frame_head.out(head.frame_head.hidden(frames).relu())[..., 0]
        tw = tl.masked_fill(~eligible, -torch.inf).softmax(-1)
        fw = fl.masked_fill(~fmask, -torch.inf).softmax(-1)
        t2v = cos.masked_fill(~fmask[None, :, None, :], -torch.inf).amax(-1)
        v2t = cos.masked_fill(~eligible[:, None, :, None], -torch.inf).amax(-2)
        return 0.5 * torch.einsum("bvt,bt->bv", t2v, tw) + 0.5 * torch.einsum("bvf,vf->bv", v2t, fw)

    grads = []
    for route in ("copies", "infinite"):
        tokens, frames = text.tokens.clone().requires_grad_(), video.frames.clone().requires_grad_()
        if route == "copies":
            scores = model(
                TextFeatures(tokens, text.mask, text.pooled),
                VideoFeatures(
                    frames, video.frame_mask, video.audio, video.has_audio, video.motion, video.has_motion
                ),
            )["visual"]
        else:
            scores = plain(tokens, frames)
        (scores * torch.arange(16.0).view(4, 4)).sum().backward()
        grads.append((tokens.grad, frames.grad))
    for found, wanted in zip(*grads, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
