"""Token ids against open_clip's tokenizer; the words of a query behind each token."""

from __future__ import annotations

import gzip
from pathlib import Path

import open_clip
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from m2hf_core.errors import BadModelFile
from m2hf_core.text.tokenizers import BpeTokenizer, JsonTokenizer

REFERENCE = open_clip.get_tokenizer("ViT-B-32")
OURS = BpeTokenizer(77)


@given(st.text(max_size=120))
def test_same_ids_as_open_clip(text: str) -> None:
    assert torch.equal(OURS([text]), REFERENCE([text]))


@pytest.mark.parametrize(
    "text", ["A dog's ball, 2024!", "&amp;amp;lt; x", "naïve  café\n狗", "", "w " * 300, "🐕‍🦺"]
)
def test_same_ids_for_awkward_texts(text: str) -> None:
    assert torch.equal(OURS([text]), REFERENCE([text]))


def test_pieces_know_their_words() -> None:
    pieces = OURS.pieces('The "skateboarder" jumped, in 2024')
    named = [word for word in pieces.words if word is not None]
    assert pieces.words[0] is None
    assert pieces.words[-1] is None
    assert len(pieces.words) == len(pieces.ids)
    assert list(dict.fromkeys(named)) == ["the", "skateboarder", "jumped", "in", "2024"]
    assert named.count("2024") == 4, "CLIP reads digits one by one"


def test_the_published_list_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """By open_clip's module at its import; that module's own tokenizer stays as it is."""
    monkeypatch.setattr(open_clip.tokenizer, "SimpleTokenizer", lambda *_: pytest.fail("read again"))
    again = BpeTokenizer(9)
    assert again.context_length == 9
    assert torch.equal(again(["A DOG&amp;"]), REFERENCE(["a dog&"])[:, :9])
    assert torch.equal(open_clip.tokenize(["  A DOG"]), REFERENCE(["a dog"]))


def test_a_small_list_of_merges_gives_small_ids(tmp_path: Path) -> None:
    merges = tmp_path / "merges.txt.gz"
    merges.write_bytes(gzip.compress(b"#version\nr e\nre d</w>"))
    small = BpeTokenizer(8, str(merges))
    # 512 single characters, then the merges in their order, then the two marks
    assert small.pieces("red").ids == (514, 513, 515)


def test_a_damaged_list_of_merges_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "merges.txt.gz").write_bytes(b"not gzip")
    with pytest.raises(BadModelFile, match="byte pairs"):
        BpeTokenizer(8, str(tmp_path / "merges.txt.gz"))


def write_json(folder: Path, marks: tuple[str, ...] = ("<pad>", "<eos>", "<unk>")) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {token: index for index, token in enumerate([*marks, "▁a", "▁dog", "▁runs"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=marks[-1]))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.enable_padding(length=64)  # the published file pads by itself, which must not confuse the mask
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def test_json_tokenizer_ends_and_pads(tmp_path: Path) -> None:
    tokenizer = JsonTokenizer(write_json(tmp_path), 6, clean="canonicalize")
    assert tokenizer(["A dog, runs!"]).tolist() == [[3, 4, 5, 1, 0, 0]]
    assert tokenizer(["a a a a a a a a"]).tolist() == [[3, 3, 3, 3, 3, 1]]
    assert tokenizer.pieces("A dog").words == ("a", "dog", None)
    assert tokenizer.pieces("").ids == (1,)


def test_json_tokenizer_refuses_other_files(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BadModelFile, match="word pieces"):
        JsonTokenizer(tmp_path / "x.json", 6)
    with pytest.raises(BadModelFile, match="end mark"):
        JsonTokenizer(write_json(tmp_path, ("<pad>", "</s>", "<unk>")), 6)
