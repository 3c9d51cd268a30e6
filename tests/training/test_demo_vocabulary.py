"""The demo's byte pairs: whole words for the world, single bytes for everything else."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m2hf_core.synthetic import captions, draw_specs
from m2hf_core.text.tokenizers import BpeTokenizer
from m2hf_core.training.demo_vocabulary import learn_merges, world_words, write_merges


@pytest.fixture(scope="module")
def merges() -> list[tuple[str, str]]:
    return learn_merges(world_words())


@pytest.fixture(scope="module")
def tokenizer(merges: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> BpeTokenizer:
    path = tmp_path_factory.mktemp("merges") / "merges.txt.gz"
    write_merges(merges, path)
    return BpeTokenizer(200, str(path))


def test_merges_by_hand() -> None:
    """abab, ab: the pair (a, b</w>) ends both words, then (a, b) is left, then the two together."""
    assert learn_merges(["abab", "ab"]) == [("a", "b</w>"), ("a", "b"), ("ab", "ab</w>")]


def test_words_of_the_world_are_one_token(tokenizer: BpeTokenizer) -> None:
    for word in world_words():
        assert len(tokenizer.pieces(word).ids) == 3, word


def test_captions_fit_the_shipped_context(tokenizer: BpeTokenizer) -> None:
    lengths = [
        len(tokenizer.pieces(c.text).ids) for spec in draw_specs("train", 200, 0) for c in captions(spec, 3)
    ]
    assert max(lengths) <= 40


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=20))
def test_any_text_has_tokens_between_the_marks(tokenizer: BpeTokenizer, text: str) -> None:
    start, *inner, end = tokenizer.pieces(text).ids
    assert end == start + 1
    assert all(0 <= token < start for token in inner)


def test_the_same_words_give_the_same_file(merges: list[tuple[str, str]], tmp_path: Path) -> None:
    write_merges(merges, tmp_path / "one.gz")
    write_merges(learn_merges(sorted(world_words(), reverse=True)), tmp_path / "two.gz")
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()
    header, first, *_ = gzip.decompress((tmp_path / "one.gz").read_bytes()).decode().split("\n")
    assert header.startswith("#version")
    assert tuple(first.split()) == merges[0]
