"""What tests of training share: a small prepared piece of the synthetic world, and clips made of random numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from m2hf_core.training.data.dataset import ClipBlock, ClipInfo, PairedData, Split, TokenStore
from m2hf_core.training.settings import TrainSettings

WIDTH = 16
QUICK = {"epochs": 2, "batch": 8, "lr": 1e-3, "device": "cpu", "held_out": 6, "save_every": 1, "frames": 3}


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder: 12 train, 2 val and 6 test clips of the synthetic world under the demo preset."""
    from m2hf_core.training.data.synthetic import Sizes, prepare_synthetic

    folder = tmp_path_factory.mktemp("prepared")
    prepare_synthetic(folder, Sizes(12, 2, 6, captions=2), seed=7)
    return folder


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


def made_up_data() -> PairedData:
    """34 clips with two captions each, no val split."""
    splits = {"train": made_split("train", 34, 2, 0)}
    return PairedData("made-up", "demo", "clip-demo-x", 20.0, True, "words-1", WIDTH, 5, 7, splits)


@pytest.fixture(scope="session", name="made_split")
def _made_split() -> Callable[..., Split]:
    return made_split


@pytest.fixture(scope="session", name="made_up_data")
def _made_up_data() -> Callable[[], PairedData]:
    return made_up_data


@pytest.fixture
def quick() -> Callable[..., TrainSettings]:
    return lambda **changes: TrainSettings().changed({**QUICK, **changes})
