"""Noun sets: a miniature tagger trained here, the real one where its data is at hand, and both fallbacks."""

from __future__ import annotations

import json
import pickle
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.tag.perceptron import PerceptronTagger

from m2hf_core.errors import BadModelFile
from m2hf_core.hub.manifest import load_manifest
from m2hf_core.text import NounExtractor, load_nouns
from m2hf_core.text.measure_nouns import measure, read_sentences
from m2hf_core.text.nouns import TAGGER_FILES

content_words = NounExtractor()
SENTENCES = [
    [("The", "DT"), ("dog", "NN"), ("barks", "VBZ"), ("loudly", "RB"), (".", ".")],
    [("A", "DT"), ("cat", "NN"), ("sleeps", "VBZ"), ("quietly", "RB"), (".", ".")],
    [("The", "DT"), ("children", "NNS"), ("play", "VBP"), ("outside", "RB"), (".", ".")],
    [("My", "PRP$"), ("dog", "NN"), ("'s", "POS"), ("ball", "NN"), ("is", "VBZ"), ("red", "JJ"), (".", ".")],
]


@pytest.fixture(scope="module")
def tagger_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    random.seed(0)
    tagger = PerceptronTagger(load=False)
    tagger.train(SENTENCES * 5, nr_iter=8)
    folder = tmp_path_factory.mktemp("tagger")
    paths = []
    for name, content in zip(("weights", "tagdict", "classes"), tagger.encode_json_obj(), strict=True):
        paths.append(folder / f"averaged_perceptron_tagger_eng.{name}.json")
        paths[-1].write_text(json.dumps(content), encoding="utf-8")
    return paths


@pytest.fixture(scope="module")
def real(shared: Path) -> NounExtractor:
    folder = shared / "text/nltk_data/converted/taggers/averaged_perceptron_tagger_eng"
    if not folder.is_dir():
        pytest.skip("the noun tagger's data is not here")
    files = load_manifest().weights
    return NounExtractor([folder / Path(files[name].file).name for name in TAGGER_FILES])


def test_tagger_keeps_nouns_only(tagger_files: list[Path]) -> None:
    nouns = NounExtractor(tagger_files)
    assert nouns.mode == "tagger"
    assert nouns("The dog's ball is red.") == {"dog", "ball"}
    assert nouns("The children play outside.") == {"child"}
    assert nouns.fingerprint.startswith("nouns:tagger:")


def test_tagger_files_travel_to_another_process(tagger_files: list[Path]) -> None:
    nouns = NounExtractor(tagger_files)
    again = pickle.loads(pickle.dumps(nouns))
    assert again("The dog barks loudly.") == {"dog"}


def test_a_damaged_tagger_gets_a_sentence(tagger_files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "w.json").write_text("{", encoding="utf-8")
    with pytest.raises(BadModelFile, match="noun tagger"):
        NounExtractor([tmp_path / "w.json", *tagger_files[1:]])("The dog barks.")


def test_without_tagger_content_words_stand_in() -> None:
    nouns = NounExtractor()
    assert nouns.mode == "content-words"
    assert nouns("The man is riding two horses near the fire") == {"man", "ride", "horse", "fire"}
    assert nouns.fingerprint == "nouns:content-words:none:1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the dog’s toy, the dogs' toys", {"dog", "toy"}),
        ("<i>Sirens</i> {\\an8}wailing ♪ [Applause]", {"siren", "wail", "applause"}),
        ("fire-truck and e-mail", {"fire", "truck", "email"}),
        ("x 2024 3d", set()),
        ("", set()),
        ("snake_case", {"snake"}),
        ("Firetrucks. Police!\nThe bus, James", {"firetruck", "police", "bus", "james"}),
    ],
)
def test_awkward_texts(text: str, words: set[str]) -> None:
    assert content_words(text) == words


def test_languages() -> None:
    assert content_words("Die Hunde spielen mit den Bällen", "ger") == {"hund", "spielen", "ball"}
    assert "chien" in content_words("les chiens courent", "fr-FR")
    assert content_words("the dogs", "und") == content_words("the dogs", None) == {"dog"}
    assert content_words("狗在跑", "zh") == frozenset()
    assert "'zh'" in (NounExtractor().abstains("zh") or "")
    assert NounExtractor().abstains("eng") is None


def test_a_foreign_script_said_to_be_nothing_abstains() -> None:
    assert content_words("Собака бежит по пляжу") == frozenset()
    assert "собака" in content_words("Собака бежит по пляжу", "rus")


def test_tagger_is_for_english_only(tagger_files: list[Path]) -> None:
    assert NounExtractor(tagger_files)("Die Hunde spielen", "de") == content_words("Die Hunde spielen", "de")


@given(st.text(max_size=60))
def test_words_are_lower_case_and_a_set_is_stable(text: str) -> None:
    words = content_words(text)
    assert all(word == word.lower() and len(word) > 1 for word in words)
    assert words == content_words(text)


def test_manifest_names_the_tagger() -> None:
    assert set(TAGGER_FILES) <= set(load_manifest().weights)


def test_load_nouns_takes_the_tagger_when_it_is_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tagger_files: list[Path]
) -> None:
    monkeypatch.setenv("M2HF_MODELS_DIR", str(tmp_path))
    assert load_nouns().mode == "content-words"
    weights = load_manifest().weights
    for name, source in zip(TAGGER_FILES, tagger_files, strict=True):
        target = tmp_path / weights[name].file
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(source.read_bytes())
    assert load_nouns().mode == "tagger"


def test_real_tagger_by_example(real: NounExtractor) -> None:
    assert real("A man is playing the guitar while his dog's puppies sleep.") == {
        "man",
        "guitar",
        "dog",
        "puppy",
    }
    assert real("SIRENS WAIL AND THE CROWD SHOUTS") >= {"siren", "crowd"}


def test_real_tagger_on_treebank(real: NounExtractor, shared: Path) -> None:
    """Every fifth sentence of the test set; the floors are two points under what the whole set gives."""
    sentences = list(read_sentences(shared / "text/ud_ewt/en_ewt-ud-test.conllu"))[::5]
    original = measure(real, sentences, lower=False)
    lowered = measure(real, sentences, lower=True)
    words = measure(NounExtractor(), sentences, lower=False)
    assert original["recall"] > 0.89
    assert original["precision"] > 0.85
    assert original["recall"] > lowered["recall"] > 0.8
    assert words["recall"] > original["recall"]
    assert words["precision"] < original["precision"]
