"""The tower against open_clip's own `encode_text`, for every family of presets."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest
import torch

from m2hf_core.text import short
from m2hf_core.text import tower as tower_module
from m2hf_core.text.openclip import LoadedClip
from m2hf_core.text.tower import TextTower, TowerModules

Build = Callable[[str], LoadedClip]
Patch = pytest.MonkeyPatch

TEXTS = ["a dog runs on the beach", "two cats", "a"]
CAUSAL = {"clip", "clip-quickgelu", "pe-core", "mobileclip2-b"}


def test_pooled_token_is_the_text_feature(family: str, build_small: Build) -> None:
    loaded = build_small(family)
    tower = TextTower(loaded)
    features = tower.encode(TEXTS)
    with torch.inference_mode():
        expected = loaded.model.encode_text(loaded.tokenizer(TEXTS))
    torch.testing.assert_close(features.pooled_vector, expected, atol=1e-5, rtol=0)
    assert features.tokens.shape[2] == tower.width == loaded.width == 24
    assert expected.std() > 0.01
    assert (expected[0] - expected[1]).abs().max() > 0.01


def test_cut_equals_uncut(family: str, build_small: Build) -> None:
    loaded = build_small(family)
    modules = TowerModules(loaded.model, dict(loaded.config["text_cfg"]))
    ids = loaded.tokenizer(TEXTS)
    with torch.inference_mode():
        cut, pooled = modules(ids)
        whole, same = modules(ids, cut=False)
    assert whole.shape[1] == ids.shape[1]
    assert torch.equal(pooled, same)
    assert modules.causal == (family in CAUSAL)
    assert (cut.shape[1] < whole.shape[1]) == (family in CAUSAL)
    torch.testing.assert_close(cut, whole[:, : cut.shape[1]], atol=1e-5, rtol=0)


def test_cutting_a_tower_that_sees_its_padding_would_change_it(build_small: Build) -> None:
    """The reason for the rule: MobileCLIP2-S0 pools its end mark, but that has looked at what follows."""
    loaded = build_small("mobileclip2-s0")
    modules = TowerModules(loaded.model, dict(loaded.config["text_cfg"]))
    ids = loaded.tokenizer(TEXTS)
    with torch.inference_mode():
        whole, pooled = modules(ids)
        wrong, _ = modules(ids[:, : int(pooled.max()) + 1])
    assert (whole[0, pooled[0]] - wrong[0, pooled[0]]).abs().max() > 1e-3


def test_mask_leaves_out_start_and_padding(family: str, build_small: Build) -> None:
    loaded = build_small(family)
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


def test_a_batch_gives_what_single_texts_give(build_small: Build) -> None:
    loaded = build_small("clip")
    together = TextTower(loaded).encode(TEXTS)
    for index, text in enumerate(TEXTS):
        alone = TextTower(loaded).encode([text])
        length = alone.tokens.shape[1]
        torch.testing.assert_close(together.tokens[index, :length], alone.tokens[0], atol=1e-5, rtol=0)
        assert not together.mask[index, length:].any()


def test_one_short_text_goes_the_quick_way(family: str, build_small: Build, monkeypatch: Patch) -> None:
    """Against the tower's own modules, with more than one layer, and with weights that do something."""
    loaded = build_small(family)
    modules = TowerModules(loaded.model, dict(loaded.config["text_cfg"])).eval()
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


def test_remembered_texts_are_not_encoded_again(build_small: Build) -> None:
    tower = TextTower(build_small("clip"))
    calls: list[int] = []
    tower._tower.register_forward_hook(lambda *_: calls.append(1))
    first = tower.encode(["a dog", "two cats", "a dog"])
    second = tower.encode(["two cats", "a dog"])
    assert calls == [1]
    assert torch.equal(first.tokens[0], first.tokens[2])
    assert torch.equal(first.pooled_vector[1], second.pooled_vector[0])


def test_features_can_be_changed_without_spoiling_the_memory(build_small: Build) -> None:
    tower = TextTower(build_small("clip"))
    before = tower.encode(["a dog"]).tokens
    tower.encode(["a dog"]).tokens.zero_()
    assert torch.equal(tower.encode(["a dog"]).tokens, before)
    assert before.abs().max() > 0


def test_the_image_half_leaves_memory(build_small: Build) -> None:
    loaded = build_small("pe-core")
    visual = weakref.ref(loaded.model.visual)
    tower = TextTower(loaded)
    del loaded
    gc.collect()
    assert visual() is None
    assert tower.encode(["a dog"]).tokens.isfinite().all()


def test_bfloat16_stays_close(build_small: Build) -> None:
    exact = TextTower(build_small("clip")).encode(TEXTS).pooled_vector
    rough = TextTower(build_small("clip"), bfloat16=True).encode(TEXTS).pooled_vector
    assert rough.dtype == torch.float32
    assert not torch.equal(exact, rough)
    assert torch.cosine_similarity(exact, rough).min() > 0.99


def test_a_very_long_query_keeps_its_end_mark(build_small: Build) -> None:
    loaded = build_small("pe-core")
    text = "dog " * 200
    features = TextTower(loaded).encode([text])
    with torch.inference_mode():
        expected = loaded.model.encode_text(loaded.tokenizer([text]))
    assert features.pooled.tolist() == [31]
    torch.testing.assert_close(features.pooled_vector, expected, atol=1e-5, rtol=0)


def test_gradients_reach_the_tower(build_small: Build) -> None:
    loaded = build_small("clip")
    modules = TowerModules(loaded.model, dict(loaded.config["text_cfg"]))
    tokens, _ = modules(loaded.tokenizer(["a dog"]))
    tokens.sum().backward()
    gradient = modules.token_embedding.weight.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


def test_an_empty_batch_is_refused(build_small: Build) -> None:
    with pytest.raises(ValueError, match="at least one"):
        TextTower(build_small("clip")).encode([])


def test_towers_that_it_cannot_walk_are_refused() -> None:
    with pytest.raises(ValueError, match="not supported"):
        TowerModules(torch.nn.Module(), {"hf_model_name": "xlm-roberta-base"})
