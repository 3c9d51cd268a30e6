"""A small trained scorer with random weights, random clips for it, and queries that it reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from m2hf_core.index import Segment
from m2hf_core.model.config import M2HFConfig, build_scorer
from m2hf_core.model.inputs import TextFeatures
from m2hf_core.model.m2hf import M2HF
from m2hf_core.records import Feature
from m2hf_core.search.derive import RawClip, derive
from m2hf_core.search.encoded import EncodedClips
from m2hf_core.search.gallery import Gallery, GalleryClip, SpokenLine
from m2hf_core.search.lanes import EncodedQuery, unit_vector
from m2hf_core.search.meeting import read_query

WIDTH, AUDIO, MOTION = 8, 3, 5
WORDS = ("dog", "sea", "bread", "engine", "song")
BRANCHES = ("visual", "audio", "motion")


@pytest.fixture(scope="session")
def scorer() -> M2HF:
    """Opened as training leaves it, every weight random, gates and heads included."""
    state = torch.random.get_rng_state()
    torch.manual_seed(5)
    made = build_scorer(M2HFConfig(width=WIDTH, audio_width=AUDIO, motion_width=MOTION))
    assert isinstance(made, M2HF)
    with torch.no_grad():
        for value in made.parameters():
            if value.ndim > 1:
                value.normal_(0, 0.6)
    made.open_tokens()
    torch.random.set_rng_state(state)
    return made.eval()


@pytest.fixture(scope="session")
def raw_clips() -> Callable[[np.random.Generator, Sequence[int]], list[RawClip]]:
    """One to twelve frames each; some have no sound, some no movement, some sound for a part only."""

    def feature(rng: np.random.Generator, width: int, n: int, step: float) -> Feature:
        start = np.arange(n) * step
        return Feature(rng.normal(size=(n, width)).astype(np.float32), start, start + step)

    def make(rng: np.random.Generator, ids: Sequence[int]) -> list[RawClip]:
        return [
            RawClip(
                clip_id,
                int(rng.integers(1 << 60)),
                feature(rng, WIDTH, int(rng.integers(1, 13)), 1.0),
                feature(rng, AUDIO, int(rng.integers(1, 9)), 0.96) if rng.random() < 0.7 else None,
                feature(rng, MOTION, int(rng.integers(1, 9)), 1.0) if rng.random() < 0.8 else None,
            )
            for clip_id in ids
        ]

    return make


@pytest.fixture(scope="session")
def gallery_with(scorer: M2HF) -> Callable[..., Gallery]:
    """A gallery of these clips, in as many segments as wanted, with random words spoken and in names."""

    def make(
        rng: np.random.Generator, clips: Sequence[RawClip], parts: int = 1, null: TextFeatures | None = None
    ) -> Gallery:
        ids = np.sort(np.asarray([clip.clip_id for clip in clips], np.int64))
        said = {}
        for clip_id in ids.tolist():
            nouns = frozenset(rng.choice(WORDS, int(rng.integers(0, 3)), replace=False).tolist())
            named = frozenset(rng.choice(WORDS, int(rng.integers(0, 2)), replace=False).tolist())
            said[clip_id] = ((SpokenLine(0.0, nouns),) if nouns else (), named)
        segments = [
            Segment(
                str(part), derive(scorer, BRANCHES, own, (AUDIO, MOTION), null), np.ones(len(own), np.bool_)
            )
            for part in range(parts)
            if (own := list(clips[part::parts]))
        ]
        return Gallery(
            [
                GalleryClip(i, i // 3, Path(f"/v/{i // 3}.mp4"), i % 3 * 12.0, i % 3 * 12.0 + 12)
                for i in ids.tolist()
            ],
            EncodedClips(ids, segments, BRANCHES, pooled_is_score=False),
            [said[i][0] for i in ids.tolist()],
            [said[i][1] for i in ids.tolist()],
        )

    return make


@pytest.fixture(scope="session")
def text_of() -> Callable[[np.random.Generator], TextFeatures]:
    """A start mark, three to six words, an end mark, and padding that must not matter."""

    def make(rng: np.random.Generator) -> TextFeatures:
        words = int(rng.integers(3, 7))
        tokens = torch.from_numpy(rng.normal(size=(1, 10, WIDTH)).astype(np.float32))
        mask = torch.zeros(1, 10, dtype=torch.bool)
        mask[0, 1 : words + 2] = True
        return TextFeatures(tokens, mask, torch.tensor([words + 1]))

    return make


@pytest.fixture(scope="session")
def query_from(scorer: M2HF) -> Callable[..., EncodedQuery]:
    def make(rng: np.random.Generator, text: TextFeatures, nouns: Sequence[str] = ()) -> EncodedQuery:
        end = int(text.pooled[0])
        words = [None, *(f"w{n}" for n in range(1, end)), *(None for _ in range(10 - end))]
        dense = read_query(scorer, text, words, BRANCHES)
        pooled = unit_vector(text.tokens[0, end].numpy())
        return EncodedQuery("words", pooled, frozenset(nouns), frozenset(nouns), dense)

    return make
