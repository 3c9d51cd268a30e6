"""Small random batches, and the NumPy reference as a module."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from m2hf_core.model.config import M2HFConfig, build_scorer
from m2hf_core.model.inputs import TextFeatures, VideoFeatures
from m2hf_core.model.m2hf import M2HF

WIDTH, AUDIO, MOTION = 16, 6, 10


@pytest.fixture(scope="session")
def reference():
    spec = importlib.util.spec_from_file_location("m2hf_reference", Path(__file__).with_name("reference.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def texts():
    """A maker of texts with different lengths: start token first, pooled token last, then garbage."""

    def make(count=4, length=7, seed=0, width=WIDTH):
        g = torch.Generator().manual_seed(seed)
        tokens = torch.randn(count, length, width, generator=g) * 3
        lengths = torch.randint(2, length + 1, (count,), generator=g)
        mask = torch.arange(length) < lengths.unsqueeze(1)
        return TextFeatures(tokens, mask, lengths - 1)

    return make


@pytest.fixture(scope="session")
def clips():
    """A maker of clips with different lengths, some rows and some whole clips without sound or motion."""

    def make(count=4, frames=5, seed=1, width=WIDTH, audio=AUDIO, motion=MOTION):
        g = torch.Generator().manual_seed(seed)
        lengths = torch.randint(1, frames + 1, (count,), generator=g)
        mask = torch.arange(frames) < lengths.unsqueeze(1)
        has_audio = torch.rand(count, frames, generator=g) < 0.7
        has_audio[0] = False
        has_motion = torch.rand(count, frames, generator=g) < 0.8
        return VideoFeatures(
            torch.randn(count, frames, width, generator=g) * 5,
            mask,
            torch.randn(count, frames, audio, generator=g),
            has_audio,
            torch.randn(count, frames, motion, generator=g),
            has_motion,
        )

    return make


@pytest.fixture(scope="session")
def scorer():
    """A maker of M2HF scorers whose zero layers are filled, so that every part of them has a say."""

    def make(seed=2, filled=True, opened=True, **fields):
        torch.manual_seed(seed)
        config = M2HFConfig(WIDTH, audio_width=AUDIO, motion_width=MOTION, **fields)
        config = config.opened() if opened else config
        model = build_scorer(config)
        if filled and isinstance(model, M2HF):
            for parameter in model.parameters():
                if parameter.dim() > 0 and not parameter.any():
                    torch.nn.init.normal_(parameter, std=0.5)
            for module in model.guided.values():
                width = len(module.completion.mean)
                module.completion.set_statistics(torch.randn(width), torch.rand(width) + 0.5)
        return model.eval(), config

    return make


@pytest.fixture(scope="session")
def expected(reference):
    """The reference's scores for a scorer, its texts and its clips."""

    def compute(model, config, text, video):
        p = {name: value.double().numpy() for name, value in model.state_dict().items()}
        items = [
            (t.double().numpy(), m.numpy(), int(i))
            for t, m, i in zip(text.tokens, text.mask, text.pooled, strict=True)
        ]
        columns = (
            video.frames,
            video.frame_mask,
            video.audio,
            video.has_audio,
            video.motion,
            video.has_motion,
        )
        arrays = [c.numpy() if c.dtype == torch.bool else c.double().numpy() for c in columns]
        return reference.m2hf(p, items, [tuple(a[j] for a in arrays) for j in range(len(video))], config)

    return compute


@pytest.fixture(scope="session")
def close():
    def check(found, wanted, tolerance=1e-5):
        assert found.keys() == wanted.keys()
        for name in wanted:
            np.testing.assert_allclose(
                found[name].detach().float().numpy(), wanted[name], atol=tolerance, rtol=0
            )

    return check
