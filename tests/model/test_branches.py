"""Every part of the guided branches, and the whole scorer, against float64 NumPy."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from m2hf_core.model.config import M2HFConfig
from m2hf_core.model.gate import SqueezeExcitationGate
from m2hf_core.model.guided import Completion
from m2hf_core.model.mfb import MultimodalFactorizedBilinear, signed_root
from m2hf_core.model.transformer import DualModalTransformer

VARIANTS = [
    *(
        {"audio_fusion": a, "motion_fusion": m}
        for a in ("mfb", "dual", "none")
        for m in ("mfb", "dual", "none")
    ),
    *(
        {"block_form": form, "squeeze": squeeze}
        for form in ("post_ln", "paper")
        for squeeze in ("none", "mean")
    ),
    *({"one_branch": how} for how in ("multiply", "average", "add")),
    {"completion": False},
    {"mfb_relu": True, "factor": 3},
    {"branches": ("audio", "motion")},
    {"branches": ("visual", "audio")},
    {"branches": ("motion",)},
    {"start_token": False},
]


@pytest.mark.parametrize("fields", VARIANTS, ids=lambda f: "-".join(map(str, f.values())))
def test_the_whole_scorer_matches_the_reference(fields, texts, clips, scorer, expected, close):
    model, config = scorer(**fields)
    text, video = texts(5), clips(6)
    wanted = expected(model, config, text, video)
    with torch.no_grad():
        close(model(text, video), wanted)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(text, video)
    close(half, wanted, tolerance=2e-2)


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 6))
@settings(max_examples=15, deadline=None)
def test_any_sizes_match_the_reference(texts, clips, scorer, expected, close, seed, count, frames):
    model, config = scorer(seed=seed)
    text, video = texts(count, length=3 + frames, seed=seed), clips(count, frames, seed)
    with torch.no_grad():
        close(model(text, video), expected(model, config, text, video))


@given(st.integers(0, 10_000), st.permutations(range(5)), st.sampled_from(["post_ln", "paper"]))
@settings(max_examples=20, deadline=None)
def test_the_dual_transformer_is_equivariant_in_time(seed, order, form):
    torch.manual_seed(seed)
    dual = DualModalTransformer(16, form=form).eval()
    guide, visual, mask = torch.randn(2, 5, 16), torch.randn(2, 5, 16), torch.rand(2, 5) < 0.7
    mask[:, order[0]] = True
    with torch.no_grad():
        wanted = dual(guide, visual, mask)[:, order]
        found = dual(guide[:, order], visual[:, order], mask[:, order])
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_bilinear_pooling_ends_in_unit_rows_and_drops_only_when_training():
    torch.manual_seed(0)
    mfb = MultimodalFactorizedBilinear(6, 16, 16, dropout=0.5)
    a, b = torch.randn(2, 3, 6), torch.randn(2, 3, 16)
    torch.testing.assert_close(mfb(a, b).norm(dim=-1), torch.ones(2, 3))
    assert not torch.equal(mfb(a, b), mfb(a, b))
    mfb.eval()
    assert torch.equal(mfb(a, b), mfb(a, b))


def test_the_dropout_comes_before_the_pooling():
    """Half the factors dropped leaves hardly a pooled channel at zero; half the channels dropped would."""
    torch.manual_seed(0)
    mfb = MultimodalFactorizedBilinear(6, 16, 64, factor=5, dropout=0.5)
    pooled = mfb(torch.randn(50, 6), torch.randn(50, 16))
    assert (pooled == 0).float().mean() == pytest.approx(0.5**5, abs=0.02)


def test_the_signed_root_is_odd_and_has_a_slope_everywhere():
    x = torch.tensor([-4.0, -1e-9, 0.0, 1e-9, 4.0], requires_grad=True)
    y = signed_root(x)
    torch.testing.assert_close(y, -signed_root(-x))
    assert y[2] == 0
    y.sum().backward()
    assert x.grad.isfinite().all()


def test_a_new_gate_is_open_by_half_everywhere():
    gate = SqueezeExcitationGate(16)
    assert torch.equal(gate(torch.randn(2, 3, 16), torch.ones(2, 3).bool()), torch.full((2, 3, 16), 0.5))


def test_a_squeezed_gate_is_one_for_the_clip_and_blind_to_padding():
    gate = SqueezeExcitationGate(16, "mean")
    torch.nn.init.normal_(gate.grow.weight)
    fused, mask = torch.randn(1, 4, 16), torch.tensor([[True, True, False, False]])
    found = gate(fused, mask)
    assert found.shape == (1, 1, 16)
    fused[:, 2:] = 9.0
    torch.testing.assert_close(gate(fused, mask), found)


def test_completion_fills_after_standardising():
    completion = Completion(3)
    completion.set_statistics(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 0.0, 4.0]))
    rows = torch.tensor([[[3.0, 5.0, 7.0], [float("nan")] * 3]])
    present = torch.tensor([[True, False]])
    assert completion(rows, present).tolist() == [[[1.0, 3.0, 1.0], [1.0, 1.0, 1.0]]]
    without = Completion(3, ones=False)
    assert without(rows, present)[0, 1].tolist() == [0.0, 0.0, 0.0]


def test_what_was_replaced_by_its_completion_no_longer_matters(texts, clips, scorer):
    model, _ = scorer()
    text, video = texts(), clips()
    other = type(video)(
        video.frames, video.frame_mask, video.audio * 7, video.has_audio, video.motion, video.has_motion
    )
    with torch.no_grad():
        loud, silent = model(text, video), model(text, video.without_audio())
        still = model(text, video.without_motion())
        assert torch.equal(silent["audio"], model(text, other.without_audio())["audio"])
        assert not torch.equal(loud["audio"], silent["audio"])
        assert torch.equal(loud["audio"][:, 0], silent["audio"][:, 0])  # the first clip has no sound anyway
        assert torch.equal(loud["motion"], silent["motion"])
        assert not torch.equal(loud["motion"], still["motion"])


def test_presence_says_who_has_sound(clips, scorer):
    model, _ = scorer()
    video = clips(6)
    encoded = model.encode_video(video)
    assert encoded.present["audio"].tolist() == [
        any(h and m for h, m in zip(*rows, strict=True))
        for rows in zip(video.has_audio.tolist(), video.frame_mask.tolist(), strict=True)
    ]
    assert not encoded.present["audio"][0]
    assert encoded.present["visual"].all()


def test_a_clip_without_frames_is_refused(clips, scorer):
    model, _ = scorer()
    video = clips(2)
    video.frame_mask[1] = False
    with pytest.raises(ValueError, match="without a real frame"):
        model.encode_video(video)


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 0},
        {"width": 18},
        {"audio_fusion": "sum"},
        {"branches": ()},
        {"branches": ("motion", "audio")},
        {"branches": ("visual", "speech")},
        {"rho": 0.5},
        {"tokens": "all", "rho": 1.5},
        {"dropout": 1.0},
        {"completion": 1},
        {"heads": 2.0},
    ],
    ids=str,
)
def test_a_senseless_configuration_is_refused(wrong):
    with pytest.raises(ValueError):
        M2HFConfig(**{"width": 16, **wrong})
