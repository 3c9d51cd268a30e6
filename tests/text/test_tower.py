"""The tower against open_clip's own `encode_text`, for every family of presets."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from open_clip.model import CLIPTextCfg, _build_text_tower
from safetensors.torch import load_file, save_file

from m2hf_core.errors import BadModelFile
from m2hf_core.text import short
from m2hf_core.text import tower as tower_module
from m2hf_core.text.half import LoadedText, build_text_from
from m2hf_core.text.network import TextNetwork
from m2hf_core.text.openclip import LoadedClip
from m2hf_core.text.tower import TextTower, TowerModules

Build = Callable[[str], LoadedClip]
Words = Callable[[str], LoadedText]
Patch = pytest.MonkeyPatch


class Files(NamedTuple):
    """What the fixture `files_of` gives."""

    description: dict[str, Any]
    weights: Path
    tokenizer: Path | None


TEXTS = ["a dog runs on the beach", "two cats", "a"]
CAUSAL = {"clip", "clip-quickgelu", "pe-core", "mobileclip2-b"}


def test_pooled_token_is_the_text_feature(family: str, build_small: Build, build_words: Words) -> None:
    loaded = build_small(family)
    tower = TextTower(build_words(family))
    assert tower.fingerprint == loaded.fingerprint
    assert tower.logit_scale == pytest.approx(loaded.model.logit_scale.exp().item())
    features = tower.encode(TEXTS)
    with torch.inference_mode():
        expected = loaded.model.encode_text(loaded.tokenizer(TEXTS))
    torch.testing.assert_close(features.pooled_vector, expected, atol=1e-5, rtol=0)
    assert features.tokens.shape[2] == tower.width == loaded.width == 24
    assert expected.std() > 0.01
    assert (expected[0] - expected[1]).abs().max() > 0.01


def test_every_position_is_as_open_clips_modules_make_it(
    family: str, build_small: Build, build_words: Words
) -> None:
    """Not only the pooled one, and to the bit: the same operations in the same order."""
    theirs, ours = build_small(family), build_words(family)
    ids = theirs.tokenizer(TEXTS)
    with torch.inference_mode():
        expected, _ = TowerModules(theirs.model, dict(theirs.config["text_cfg"]))(ids)
        found, _ = TowerModules(ours.network, dict(ours.config))(ids)
    assert torch.equal(found, expected)


def test_the_image_half_is_not_read(files_of: Callable[[str], Files], tmp_path: Path) -> None:
    files = files_of("pe-core")
    state = {name: value for name, value in load_file(files.weights).items() if "visual" not in name}
    save_file(state, tmp_path / "words.safetensors")
    words = build_text_from(files.description["model_cfg"], tmp_path / "words.safetensors", name="x")
    assert TextTower(words).encode(["a dog"]).tokens.isfinite().all()


@pytest.mark.parametrize("spoil", ["lacks", "more", "shape", "no scale", "cut"])
def test_other_weights_get_a_sentence(spoil: str, files_of: Callable[[str], Files], tmp_path: Path) -> None:
    files = files_of("clip")
    state, path = load_file(files.weights), tmp_path / "w.safetensors"
    if spoil == "lacks":
        del state["ln_final.bias"]
    elif spoil == "more":
        state["transformer.resblocks.7.ln_1.bias"] = torch.zeros(32)
    elif spoil == "shape":
        state["text_projection"] = torch.zeros(3, 3)
    elif spoil == "no scale":
        del state["logit_scale"]
    save_file(state, path)
    if spoil == "cut":
        path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(BadModelFile, match="does not hold the weights"):
        build_text_from(files.description["model_cfg"], path, name="x")


def test_half_precision_weights_are_computed_in_full(
    files_of: Callable[[str], Files], tmp_path: Path
) -> None:
    files = files_of("clip")
    halves = {name: value.half() for name, value in load_file(files.weights).items()}
    save_file(halves, tmp_path / "w.safetensors")
    words = build_text_from(files.description["model_cfg"], tmp_path / "w.safetensors", name="x")
    assert {value.dtype for value in words.network.state_dict().values()} == {torch.float32}
    assert torch.equal(words.network.text_projection, halves["text_projection"].float())


@pytest.mark.parametrize(
    "option", [{"ls_init_value": 0.1}, {"mlp_ratio": 2.0}, {"proj_type": "none"}, {"pool_type": "eos"}]
)
def test_what_no_preset_asks_for_is_as_open_clip_has_it(option: dict[str, Any]) -> None:
    text = {"vocab_size": 50, "context_length": 9, "width": 32, "heads": 4, "layers": 2, **option}
    theirs = _build_text_tower(24, CLIPTextCfg(**text)).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    ours = TextNetwork({"embed_dim": 24, "text_cfg": text})
    ours.load_state_dict(theirs.state_dict())
    ids = torch.tensor([[3, 7, 2, 0, 0, 0, 0, 0, 0]])
    with torch.inference_mode():
        found, pooled = TowerModules(ours, text)(ids)
        torch.testing.assert_close(found[:, int(pooled)], theirs(ids), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "option", [{"qk_norm": True}, {"embed_cls": True}, {"use_pad_mask": True}, {"hf_model_name": "roberta"}]
)
def test_networks_of_another_kind_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(option))):
        TextNetwork({"embed_dim": 24, "text_cfg": option})


def test_a_search_loads_nothing_of_image_networks() -> None:
    """In a process of its own: neither open_clip's package nor what its image halves need."""
    code = (
        "import sys\n"
        "from m2hf_core.hub.manifest import get_preset\n"
        "from m2hf_core.text.tower import open_text_tower\n"
        "open_text_tower(get_preset('demo')).encode(['a red square'])\n"
        "print(*sorted({'open_clip', 'torchvision', 'timm', 'torch._dynamo', 'sympy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_cut_equals_uncut(family: str, build_words: Words) -> None:
    loaded = build_words(family)
    modules = TowerModules(loaded.network, dict(loaded.config))
    ids = loaded.tokenizer(TEXTS)
    with torch.inference_mode():
        cut, pooled = modules(ids)
        whole, same = modules(ids, cut=False)
    assert whole.shape[1] == ids.shape[1]
    assert torch.equal(pooled, same)
    assert modules.causal == (family in CAUSAL)
    assert (cut.shape[1] < whole.shape[1]) == (family in CAUSAL)
    torch.testing.assert_close(cut, whole[:, : cut.shape[1]], atol=1e-5, rtol=0)


def test_cutting_a_tower_that_sees_its_padding_would_change_it(build_words: Words) -> None:
    """The reason for the rule: MobileCLIP2-S0 pools its end mark, but that has looked at what follows."""
    loaded = build_words("mobileclip2-s0")
    modules = TowerModules(loaded.network, dict(loaded.config))
    ids = loaded.tokenizer(TEXTS)
    with torch.inference_mode():
        whole, pooled = modules(ids)
        wrong, _ = modules(ids[:, : int(pooled.max()) + 1])
    assert (whole[0, pooled[0]] - wrong[0, pooled[0]]).abs().max() > 1e-3


def test_mask_leaves_out_start_and_padding(family: str, build_words: Words) -> None:
    loaded = build_words(family)
    features = TextTower(loaded).encode(["a dog runs", "two cats"])
    rows = torch.arange(2)
    assert features.mask[rows, features.pooled].all()
    if family == "siglip2":
        # no start mark; "a dog runs" + end mark, then the pooled last position, which is padding
        assert features.mask[0].nonzero().flatten().tolist() == [0, 1, 2, 3, 63]
        assert features.pooled.tolist() == [63, 63]
    else:
        assert features.mask[0].nonzero().flatten().tolist() == [1, 2, 3, 4]
        assert features.mask[1].nonzero().flatten().tolist() == [1, 2, 3]
        assert features.pooled.tolist() == [4, 3]
    offset = 0 if family == "siglip2" else 1
    assert features.words[0][offset : offset + 3] == ("a", "dog", "runs")
    assert features.words[0][offset + 3] is None
    assert all(len(row) == features.tokens.shape[1] for row in features.words)


def test_a_batch_gives_what_single_texts_give(build_words: Words) -> None:
    loaded = build_words("clip")
    together = TextTower(loaded).encode(TEXTS)
    for index, text in enumerate(TEXTS):
        alone = TextTower(loaded).encode([text])
        length = alone.tokens.shape[1]
        torch.testing.assert_close(together.tokens[index, :length], alone.tokens[0], atol=1e-5, rtol=0)
        assert not together.mask[index, length:].any()


def test_one_short_text_goes_the_quick_way(family: str, build_words: Words, monkeypatch: Patch) -> None:
    """Against the tower's own modules, with more than one layer, and with weights that do something."""
    loaded = build_words(family)
    modules = TowerModules(loaded.network, dict(loaded.config)).eval()
    walks: list[int] = []
    monkeypatch.setattr(tower_module, "walk", lambda *args: walks.append(1) or short.walk(*args))
    with torch.inference_mode():
        for text in TEXTS:
            ids = loaded.tokenizer([text])
            tokens, pooled = modules.of_one(ids)
            expected, same = modules(ids)
            assert torch.equal(pooled, same)
            torch.testing.assert_close(tokens, expected, atol=1e-5, rtol=0)
        assert len(walks) == (len(TEXTS) if family in CAUSAL else 0)
        modules.of_one(loaded.tokenizer(["a dog " * 40]))
        modules.to(torch.bfloat16).of_one(ids)
    assert len(walks) == (len(TEXTS) if family in CAUSAL else 0), "neither long texts nor other numbers"


def test_remembered_texts_are_not_encoded_again(build_words: Words) -> None:
    tower = TextTower(build_words("clip"))
    calls: list[int] = []
    tower._tower.register_forward_hook(lambda *_: calls.append(1))
    first = tower.encode(["a dog", "two cats", "a dog"])
    second = tower.encode(["two cats", "a dog"])
    assert calls == [1]
    assert torch.equal(first.tokens[0], first.tokens[2])
    assert torch.equal(first.pooled_vector[1], second.pooled_vector[0])


def test_features_can_be_changed_without_spoiling_the_memory(build_words: Words) -> None:
    tower = TextTower(build_words("clip"))
    before = tower.encode(["a dog"]).tokens
    tower.encode(["a dog"]).tokens.zero_()
    assert torch.equal(tower.encode(["a dog"]).tokens, before)
    assert before.abs().max() > 0


def test_bfloat16_stays_close(build_words: Words) -> None:
    exact = TextTower(build_words("clip")).encode(TEXTS).pooled_vector
    rough = TextTower(build_words("clip"), bfloat16=True).encode(TEXTS).pooled_vector
    assert rough.dtype == torch.float32
    assert not torch.equal(exact, rough)
    assert torch.cosine_similarity(exact, rough).min() > 0.99


def test_a_very_long_query_keeps_its_end_mark(build_small: Build, build_words: Words) -> None:
    loaded = build_small("pe-core")
    text = "dog " * 200
    features = TextTower(build_words("pe-core")).encode([text])
    with torch.inference_mode():
        expected = loaded.model.encode_text(loaded.tokenizer([text]))
    assert features.pooled.tolist() == [31]
    torch.testing.assert_close(features.pooled_vector, expected, atol=1e-5, rtol=0)


def test_gradients_reach_the_tower(build_words: Words) -> None:
    loaded = build_words("clip")
    modules = TowerModules(loaded.network, dict(loaded.config))
    tokens, _ = modules(loaded.tokenizer(["a dog"]))
    tokens.sum().backward()
    gradient = modules.token_embedding.weight.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


def test_an_empty_batch_is_refused(build_words: Words) -> None:
    with pytest.raises(ValueError, match="at least one"):
        TextTower(build_words("clip")).encode([])


def test_towers_that_it_cannot_walk_are_refused() -> None:
    with pytest.raises(ValueError, match="not supported"):
        TowerModules(torch.nn.Module(), {"hf_model_name": "xlm-roberta-base"})
