"""Captions: what is cached comes back as it was made, and the order is that of the rules read plainly."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from m2hf_core.errors import Interrupted
from m2hf_core.model.config import M2HFConfig, build_scorer
from m2hf_core.model.inputs import TextFeatures, VideoFeatures
from m2hf_core.model.speech import SpokenNouns
from m2hf_core.progress import Progress
from m2hf_core.search import captions as module
from m2hf_core.search import captions_cache as cache_module
from m2hf_core.search.captions import ActiveScorer, CaptionBank, rank_captions, score_captions
from m2hf_core.search.captions_cache import BATCH, SEGMENT, BankVectors, NounCache, VectorCache
from m2hf_core.search.moment import Moment
from m2hf_core.store.clips import ClipRow

WIDTH = 8


def vector_of(text: str) -> np.ndarray:
    return np.random.default_rng(sum(map(ord, text))).normal(size=WIDTH).astype(np.float32)


class Tower:
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: object) -> np.ndarray:
        self.asked.extend(texts)
        return np.stack([vector_of(text) for text in texts])


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def moment_of(frames: np.ndarray | None, nouns: frozenset[str] = frozenset(), video: int = 7) -> Moment:
    count = 0 if frames is None else len(frames)
    rng = np.random.default_rng(5)
    return Moment(
        clip=ClipRow(1, video, "f", 0.0, float(count or 1), "/v/a.mp4", False, "a"),
        frames=frames,
        times=np.arange(count) + 0.5,
        audio=rng.normal(size=(count, 3)).astype(np.float32),
        has_audio=np.ones(count, np.bool_),
        motion=rng.normal(size=(count, 5)).astype(np.float32),
        has_motion=np.zeros(count, np.bool_),
        said=(),
        nouns=nouns,
    )


def bank_of(
    texts: list[str], nouns: list[frozenset[str]] | None = None, said_in: list[int] | None = None
) -> CaptionBank:
    vectors = unit(np.stack([vector_of(text) for text in texts])).astype(np.float16)
    return CaptionBank(
        texts,
        ["own"] * len(texts),
        BankVectors([vectors], np.arange(len(texts))),
        SpokenNouns(nouns or [frozenset()] * len(texts)),
        np.asarray(said_in or [0] * len(texts), np.int64),
    )


def test_only_new_captions_are_encoded(tmp_path: Path) -> None:
    tower = Tower()
    first = VectorCache(tmp_path).vectors(["b", "a", "b"], tower, Progress())
    assert sorted(tower.asked) == ["a", "b"]
    again = VectorCache(tmp_path).vectors(["a", "c", "b"], tower, Progress())
    assert sorted(tower.asked) == ["a", "b", "c"]
    query = vector_of("q")
    wanted = {text: float(unit(vector_of(text)) @ query) for text in "abc"}
    assert first.scores(query[None])[0] == pytest.approx([wanted[t] for t in "bab"], abs=5e-3)
    assert again.scores(query[None])[0] == pytest.approx([wanted[t] for t in "acb"], abs=5e-3)


def test_texts_of_a_length_are_encoded_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    texts = ["x" * int(length) + str(number) for number, length in enumerate(rng.integers(1, 60, 3 * BATCH))]
    sizes: list[tuple[int, int]] = []

    def encode(batch: object) -> np.ndarray:
        sizes.append((min(map(len, batch)), max(map(len, batch))))
        return np.stack([vector_of(text) for text in batch])

    found = VectorCache(tmp_path).vectors(texts, encode, Progress())
    assert all(long >= next_long for (long, _), (_, next_long) in pairwise(sizes)), "the longest first"
    query = vector_of("q")
    wanted = unit(np.stack([vector_of(text) for text in texts])).astype(np.float16).astype(np.float32) @ query
    assert found.scores(query[None])[0] == pytest.approx(wanted, abs=1e-5), "each text has its own vector"


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(1, 3), st.integers(1, 7), st.data())
def test_scores_are_plain_products_whatever_the_blocks(
    blocks: list[int], queries: int, rows_at_once: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(sum(blocks))
    made = [rng.normal(size=(count, WIDTH)).astype(np.float16) for count in blocks]
    rows = np.asarray(data.draw(st.lists(st.integers(0, sum(blocks) - 1), max_size=30)), np.int64)
    asked = rng.normal(size=(queries, WIDTH)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache_module, "PRODUCT_ROWS", rows_at_once)
        scores = BankVectors(made, rows).scores(asked)
    assert scores.shape == (queries, len(rows))
    assert np.allclose(scores, asked @ np.concatenate(made)[rows].astype(np.float32).T, atol=1e-5)


def test_a_second_tower_shares_nothing_and_two_writers_do_not_clash(tmp_path: Path) -> None:
    one, other = VectorCache(tmp_path), VectorCache(tmp_path)
    one.vectors(["a"], Tower(), Progress())
    other.vectors(["a", "b"], Tower(), Progress())
    found = one.vectors(["b", "a"], Tower(), Progress())
    assert len(found) == 2


def test_stopping_keeps_whole_segments(tmp_path: Path) -> None:
    texts = [f"t{i}" for i in range(SEGMENT + 500)]
    progress, tower = Progress(), Tower()

    def stopping(batch: object) -> np.ndarray:
        if len(tower.asked) > SEGMENT + 100:
            progress.cancel()
        return tower(batch)

    with pytest.raises(Interrupted):
        VectorCache(tmp_path).vectors(texts, stopping, progress)
    rest = Tower()
    VectorCache(tmp_path).vectors(texts, rest, Progress())
    assert len(rest.asked) == 500


def test_a_damaged_segment_is_made_again(tmp_path: Path) -> None:
    VectorCache(tmp_path).vectors(["a", "b"], Tower(), Progress())
    (segment,) = tmp_path.glob("*.vectors.npy")
    segment.write_bytes(segment.read_bytes()[:-3])
    tower = Tower()
    assert len(VectorCache(tmp_path).vectors(["a", "b"], tower, Progress())) == 2
    assert sorted(tower.asked) == ["a", "b"]


def test_a_folder_that_may_not_be_written_is_searched_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "no")

    monkeypatch.setattr(Path, "replace", refuse)
    assert len(VectorCache(tmp_path).vectors(["a", "b"], Tower(), Progress())) == 2
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.text(max_size=5), max_size=12), st.lists(st.text(max_size=5), max_size=12))
def test_nouns_come_back(
    tmp_path_factory: pytest.TempPathFactory, first: list[str], second: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("nouns")

    def letters(text: str) -> frozenset[str]:
        return frozenset(char for char in text if char.isalpha())

    for texts in (first, second, first + second):
        assert NounCache(folder).nouns(texts, letters, Progress()) == [letters(text) for text in texts]


def test_the_untrained_order_is_the_mean_frame_against_the_sentence() -> None:
    frames = np.random.default_rng(1).normal(size=(4, WIDTH)).astype(np.float32)
    texts = [f"text {i}" for i in range(40)]
    bank = bank_of(texts)
    scored = score_captions(moment_of(frames), bank, {})
    assert set(scored.abstained) == {"audio", "motion", "speech"}
    mean = unit(frames).mean(axis=0)
    plain = sorted(
        range(40),
        key=lambda i: -float(unit(vector_of(texts[i])).astype(np.float16).astype(np.float32) @ mean),
    )
    hits = rank_captions(bank, scored, k=10, fusion="mmbf")
    assert [hit.text for hit in hits] == [texts[i] for i in plain[:10]]
    assert [hit.branches["visual"].rank for hit in hits] == list(range(1, 11))
    assert {hit.won_by for hit in hits} == {("visual",)}


def test_what_the_video_itself_says_is_not_compared() -> None:
    nouns = [frozenset({"bread"}), frozenset({"bread", "salt"}), frozenset()]
    bank = bank_of(["said here", "said elsewhere", "seen"], nouns, [7, 9, 0])
    moment = moment_of(None, frozenset({"bread"}))
    hits = rank_captions(bank, score_captions(moment, bank, {"visual": "asleep"}), k=9, fusion="mmbf")
    assert [hit.text for hit in hits] == ["said elsewhere"]
    assert hits[0].branches["speech"].score == pytest.approx(1 / 2)
    other = moment_of(None, frozenset({"bread"}), video=9)
    hits = rank_captions(bank, score_captions(other, bank, {}), k=9, fusion="mmbf")
    assert [hit.text for hit in hits] == ["said here"]


def test_nothing_to_say_is_no_hit_and_has_reasons() -> None:
    bank = bank_of(["a", "b"])
    scored = score_captions(moment_of(None), bank, {"visual": "the weights are away"})
    assert rank_captions(bank, scored, k=3, fusion="rrf") == ()
    assert scored.abstained["visual"] == "the weights are away"
    assert scored.abstained["speech"] == "nothing is said in this clip"


@pytest.mark.parametrize("pool", [5, 1000])
def test_a_trained_scorer_scores_its_pool_exactly(pool: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against one plain forward pass over everything."""
    monkeypatch.setattr(module, "POOL", pool)
    torch.manual_seed(0)
    config = M2HFConfig(width=WIDTH, audio_width=3, motion_width=5, tokens="all", rho=0.5)
    scorer = build_scorer(config).eval()
    texts = [f"text {i}" for i in range(30)]
    tokens = torch.randn(30, 6, WIDTH)
    pooled = torch.full((30,), 5)
    tokens[torch.arange(30), pooled] = torch.from_numpy(np.stack([vector_of(text) for text in texts]))
    every = TextFeatures(tokens, torch.ones(30, 6, dtype=torch.bool), pooled)

    def features(chosen: object) -> TextFeatures:
        return every.select(torch.tensor([texts.index(text) for text in chosen]))

    frames = np.random.default_rng(1).normal(size=(4, WIDTH)).astype(np.float32)
    moment = moment_of(frames)
    bank = bank_of(texts)
    trained = ActiveScorer(scorer, scorer.branches, (3, 5), features)
    scored = score_captions(moment, bank, {}, trained)
    assert set(scored.lanes) == {"visual", "audio"}, "no movement was extracted"
    assert "movement" in scored.abstained["motion"]
    with torch.inference_mode():
        video = VideoFeatures(
            *(torch.from_numpy(x)[None] for x in (frames, np.ones(4, np.bool_), moment.audio, moment.has_audio,
                                                  moment.motion, moment.has_motion))
        )  # fmt: skip
        plain = scorer(every, video)
    for name, lane in scored.lanes.items():
        assert lane.scores == pytest.approx(plain[name][scored.rows, 0].numpy(), abs=1e-5)
    if pool == 5:
        assert 5 <= len(scored.rows) <= 10
    else:
        assert len(scored.rows) == 30
