"""Scorer files: what goes in comes out, and nothing else is ever taken for one."""

import errno
import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from m2hf_core import aside
from m2hf_core.errors import BadModelFile, DiskFull
from m2hf_core.model import checkpoint
from m2hf_core.model.checkpoint import ScorerInfo, load_scorer, load_text, read_info, save_scorer
from m2hf_core.model.config import M2HFConfig

VARIANTS = [
    {},
    {"audio_fusion": "dual", "motion_fusion": "mfb", "block_form": "paper", "squeeze": "mean"},
    {"one_branch": "add", "completion": False},
    {"branches": ("audio",)},
    {"kind": "concat-transformer", "layers": 2},
    {"kind": "mean-pooled", "opened": False},
]


@pytest.fixture
def saved(tmp_path, scorer):
    model, config = scorer()
    path = tmp_path / "scorers" / "one.safetensors"
    info = save_scorer(path, model, ScorerInfo(config, "clip:abc", "trained:run-7", "nouns-3"))
    return path, model, info


@pytest.mark.parametrize("fields", VARIANTS, ids=str)
def test_a_scorer_comes_back_as_it_was(tmp_path, texts, clips, scorer, fields):
    model, config = scorer(**fields)
    path = tmp_path / "scorer.safetensors"
    written = save_scorer(path, model, ScorerInfo(config, "clip:abc", "trained:run-7", "nouns-3"))
    loaded, info = load_scorer(path, backbone="clip:abc")
    assert info == written == read_info(path)
    assert info.config == config
    assert (info.backbone, info.state, info.words_version) == ("clip:abc", "trained:run-7", "nouns-3")
    assert not loaded.training
    text, video = texts(), clips()
    with torch.no_grad():
        wanted, found = model(text, video), loaded(text, video)
    for name in wanted:
        assert torch.equal(found[name], wanted[name])


def test_opened_tokens_and_statistics_travel_with_the_file(tmp_path, scorer):
    model, config = scorer(opened=False)
    model.open_tokens(0.4)
    path = tmp_path / "scorer.safetensors"
    save_scorer(path, model, ScorerInfo(config, "clip:abc", "untrained", "nouns-3"))
    loaded, info = load_scorer(path)
    assert (loaded.tokens, loaded.rho) == ("all", 0.4) == (info.config.tokens, info.config.rho)
    assert loaded.guided["audio"].completion.mean.equal(model.guided["audio"].completion.mean)
    assert loaded.guided["audio"].completion.mean.any()


def test_a_taught_text_tower_lies_in_the_same_file(tmp_path, scorer):
    model, config = scorer()
    about = ScorerInfo(config, "clip:abc", "trained:run-7", "nouns-3")
    words = {"ln_final.weight": torch.arange(4.0), "text_projection": torch.ones(2, 3)}
    own = save_scorer(tmp_path / "own.safetensors", model, about, words)
    plain = save_scorer(tmp_path / "plain.safetensors", model, about)
    assert (own.own_text, plain.own_text) == (True, False)
    assert own.scorer_id != plain.scorer_id, "the same numbers with other words are another scorer"
    loaded, info = load_scorer(tmp_path / "own.safetensors")
    assert info == own
    assert loaded.state_dict().keys() == model.state_dict().keys()
    found = load_text(tmp_path / "own.safetensors")
    assert found.keys() == words.keys()
    assert all(torch.equal(found[name], value) for name, value in words.items())
    assert load_text(tmp_path / "plain.safetensors") == {}


def test_audio_and_motion_abstain_until_trained(scorer):
    model, config = scorer(opened=False)
    assert ScorerInfo(config, "b", "untrained", "w").active_branches(model) == ("visual",)
    assert ScorerInfo(config, "b", "trained:x", "w").active_branches(model) == ("visual", "audio", "motion")


def test_different_numbers_have_different_ids(tmp_path, scorer):
    ids = set()
    for seed in (1, 2):
        model, config = scorer(seed=seed)
        ids.add(save_scorer(tmp_path / "s", model, ScorerInfo(config, "b", "trained:x", "w")).scorer_id)
    again, config = scorer(seed=2)
    ids.add(save_scorer(tmp_path / "s", again, ScorerInfo(config, "b", "trained:x", "w")).scorer_id)
    assert len(ids) == 2


def test_a_scorer_for_other_features_is_refused(saved):
    with pytest.raises(BadModelFile, match="another picture model"):
        load_scorer(saved[0], backbone="clip:other")


def test_every_truncation_is_a_sentence(saved):
    path = saved[0]
    content = path.read_bytes()
    for length in [0, 1, 7, 8, 9, 100, len(content) // 2, len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(BadModelFile, match="damaged or incomplete") as caught:
            load_scorer(path)
        assert caught.value.hint


def test_a_flipped_bit_is_noticed(saved):
    path = saved[0]
    content = bytearray(path.read_bytes())
    content[-5] ^= 4
    path.write_bytes(bytes(content))
    with pytest.raises(BadModelFile, match="numbers have changed"):
        load_scorer(path)


def test_other_files_are_not_taken_for_scorers(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was opened",))

    cases = {
        "pickle": pickle.dumps(Trap()),
        "text": b"not a model at all, but long enough to be one",
        "zeros": bytes(4096),
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadModelFile, match="damaged or incomplete"):
            load_scorer(tmp_path / name)
    with pytest.raises(BadModelFile, match="no scorer at"):
        load_scorer(tmp_path / "absent")
    with pytest.raises(BadModelFile, match="damaged or incomplete"):
        load_scorer(tmp_path)
    save_file({"weight": torch.ones(3)}, tmp_path / "foreign")
    with pytest.raises(BadModelFile, match="not an M2HF scorer"):
        load_scorer(tmp_path / "foreign")


def rewrite(path, change, tensors=None):
    """The same file with its header changed."""
    numbers = load_file(path) if tensors is None else tensors
    with checkpoint.safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["m2hf"])
    change(header)
    save_file(numbers, path, metadata={"m2hf": json.dumps(header)})


def test_a_newer_file_asks_for_an_update(saved):
    rewrite(saved[0], lambda header: header.update(format=99, something_new=True))
    with pytest.raises(BadModelFile, match="newer version") as caught:
        load_scorer(saved[0])
    assert "Update" in caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.pop("format"),
        lambda h: h.update(format="one"),
        lambda h: h.pop("config"),
        lambda h: h.update(config=[]),
        lambda h: h["config"].pop("width"),
        lambda h: h["config"].update(width="wide"),
        lambda h: h["config"].update(extra=1),
        lambda h: h["config"].update(branches="visual"),
        lambda h: h["config"].update(audio_fusion={"a": 1}),
        lambda h: h.update(state="half trained"),
        lambda h: h.update(backbone=None),
        lambda h: h.pop("scorer_id"),
    ],
)
def test_a_header_that_makes_no_sense_is_a_sentence(saved, change):
    rewrite(saved[0], change)
    with pytest.raises(BadModelFile, match="makes no sense"):
        load_scorer(saved[0])


def test_a_header_that_is_no_json_object_is_a_sentence(saved):
    for text in ("{", "[]", "7", "null"):
        save_file({"weight": torch.ones(3)}, saved[0], metadata={"m2hf": text})
        with pytest.raises(BadModelFile, match="makes no sense"):
            load_scorer(saved[0])


def test_numbers_that_do_not_fit_the_description_are_named(tmp_path, scorer):
    model, config = scorer(branches=("visual",))
    path = tmp_path / "scorer"
    whole = ScorerInfo(M2HFConfig(32, audio_width=6, motion_width=10).opened(), "b", "untrained", "w")
    save_scorer(path, model, whole)
    with pytest.raises(BadModelFile, match="does not fit its own description") as caught:
        load_scorer(path)
    assert "guided.audio" in caught.value.detail
    assert config.width == 16


def test_a_failed_write_leaves_the_former_file_and_nothing_else(saved, monkeypatch, scorer):
    path, _, info = saved
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(aside.os, "fsync", full)
    model, config = scorer(seed=9)
    with pytest.raises(DiskFull):
        save_scorer(path, model, ScorerInfo(config, "b", "untrained", "w"))
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert load_scorer(path)[1] == info


def test_a_new_file_takes_the_place_of_the_old_one_whole(saved):
    """Renamed into place, never written over: whoever has the old one open keeps reading the old one."""
    path, model, info = saved
    before = path.stat().st_ino
    save_scorer(path, model, info)
    assert path.stat().st_ino != before


@pytest.mark.parametrize("state", ["", "trained", "trained:", "trained:a b", "Untrained"])
def test_a_state_is_untrained_or_names_its_run(state):
    with pytest.raises(ValueError, match="state"):
        ScorerInfo(M2HFConfig(16), "b", state, "w")
