"""The builder: the real preprocessing, local files only, and a sentence for every bad file."""

from __future__ import annotations

import io
import json
import logging
import math
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from m2hf_core.errors import BadModelFile, ModelsMissing
from m2hf_core.hub.manifest import get_preset, load_manifest
from m2hf_core.text.descriptions import architecture_config, read_description
from m2hf_core.text.half import build_text, build_text_from
from m2hf_core.text.openclip import LoadedClip, build_from, build_open_clip, describe
from m2hf_core.text.openclip import _create as create_empty
from m2hf_core.text.tower import TextTower

Build = Callable[[str], LoadedClip]
Describe = Callable[[str], dict[str, Any]]


def test_every_preset_names_what_open_clip_knows() -> None:
    for preset in load_manifest().presets.values():
        if preset.architecture is not None:
            described = describe(preset.architecture, preset.pretrained)
            assert described["preprocess_cfg"]["resize_mode"] in ("shortest", "squash")
            assert bool(described["model_cfg"]["text_cfg"].get("hf_tokenizer_name")) == bool(preset.tokenizer)


def test_descriptions_are_read_as_open_clip_reads_them() -> None:
    for name in {preset.architecture for preset in load_manifest().presets.values()} - {None}:
        assert name is not None
        assert architecture_config(name) == open_clip.get_model_config(name)
    with pytest.raises(ValueError, match="no architecture called nonsense"):
        architecture_config("nonsense")


def test_paper_presets_use_quick_gelu() -> None:
    for name in ("paper-b16", "paper-l14"):
        preset = get_preset(name)
        assert describe(preset.architecture or "", preset.pretrained)["model_cfg"]["quick_gelu"] is True


@pytest.mark.parametrize(
    ("name", "mode", "mean"), [("pe-core", "squash", 0.5), ("clip", "shortest", 0.48145466)]
)
def test_frames_are_prepared_as_the_weights_expect(
    name: str, mode: str, mean: float, build_small: Build, description_of: Describe
) -> None:
    """A wide picture, black at the left edge, else white: squashing keeps the edge, cropping cuts it off."""
    loaded = build_small(name)
    settings = description_of(name)["preprocess_cfg"]
    assert settings["resize_mode"] == mode
    picture = Image.new("RGB", (128, 32), (255, 255, 255))
    picture.paste((0, 0, 0), (0, 0, 32, 32))
    prepared = loaded.preprocess(picture)
    assert prepared.shape == (3, 32, 32)
    white = (1 - mean) / settings["std"][0]
    black = (0 - mean) / settings["std"][0]
    row = prepared[0, 16]
    assert row[-1].item() == pytest.approx(white, abs=1e-4)
    assert row[0].item() == pytest.approx(black if mode == "squash" else white, abs=1e-4)


def test_the_image_half_works(build_small: Build) -> None:
    loaded = build_small("clip")
    frames = torch.stack(
        [loaded.preprocess(Image.new("RGB", (50, 40), colour)) for colour in ("red", "blue")]
    )
    with torch.inference_mode():
        features = loaded.model.encode_image(frames)
    assert features.shape == (2, loaded.width)
    assert not loaded.model.training


def test_every_tensor_comes_from_the_file(
    family: str, description_of: Describe, write_tokenizer: Callable[[Path], Path], tmp_path: Path
) -> None:
    """Parameters are not even drawn before loading, so one that the file did not fill would be arbitrary memory."""
    source, _ = create_empty(description_of(family))
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    tokenizer = write_tokenizer(tmp_path) if family == "siglip2" else None
    loaded = build_from(description_of(family), tmp_path / "w.safetensors", name="x", tokenizer=tokenizer)
    expected = source.state_dict()
    assert set(loaded.model.state_dict()) == set(expected)
    for name, tensor in loaded.model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_logit_scale_is_held_to_at_most_100(description_of: Describe, tmp_path: Path) -> None:
    source, _ = create_empty(description_of("clip"))
    scales = []
    for raw in (9.0, 2.0):
        with torch.no_grad():
            source.logit_scale.fill_(raw)
        save_file(source.state_dict(), tmp_path / "w.safetensors")
        config = description_of("clip")["model_cfg"]
        scales.append(build_text_from(config, tmp_path / "w.safetensors", name="x").logit_scale)
    assert scales == [100.0, pytest.approx(math.exp(2.0))]


@pytest.mark.slow
def test_real_architecture_loads_its_published_layout(tmp_path: Path) -> None:
    """ViT-B-32-256 at full size: keys and shapes of the published file, written and read back."""
    source, _ = create_empty(describe("ViT-B-32-256", "datacomp_s34b_b86k"))
    save_file({k: v.half() for k, v in source.state_dict().items()}, tmp_path / "w.safetensors")
    loaded = build_from(
        describe("ViT-B-32-256", "datacomp_s34b_b86k"), tmp_path / "w.safetensors", name="fast"
    )
    assert loaded.width == 512
    ids = loaded.tokenizer(["a dog runs"])
    assert torch.equal(ids, open_clip.get_tokenizer("ViT-B-32-256")(["a dog runs"]))
    assert torch.equal(loaded.model.state_dict()["ln_final.weight"], source.state_dict()["ln_final.weight"])
    with torch.inference_mode():
        expected = loaded.model.encode_text(ids)
    words = build_text_from(architecture_config("ViT-B-32-256"), tmp_path / "w.safetensors", name="fast")
    found = TextTower(words).encode(["a dog runs"]).pooled_vector
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_fingerprint_follows_the_weights(description_of: Describe, tmp_path: Path) -> None:
    prints = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model, _ = create_empty(description_of("clip"))
        save_file(model.state_dict(), tmp_path / f"{seed}.safetensors")
        prints.append(
            build_from(description_of("clip"), tmp_path / f"{seed}.safetensors", name="x").fingerprint
        )
    assert prints[0] != prints[1]
    assert prints[0].startswith("clip:x:")
    assert prints[0].endswith(":1")


def test_torch_files_with_tensors_only_are_accepted(description_of: Describe, tmp_path: Path) -> None:
    model, _ = create_empty(description_of("clip"))
    torch.save(model.state_dict(), tmp_path / "w.pt")
    loaded = build_from(description_of("clip"), tmp_path / "w.pt", name="x")
    assert torch.equal(loaded.model.state_dict()["ln_final.bias"], model.state_dict()["ln_final.bias"])


def bad_pickle() -> bytes:
    stream = io.BytesIO()
    torch.save({"state_dict": torch.nn.Linear(1, 1)}, stream)
    return stream.getvalue()


def script_archive() -> bytes:
    stream = io.BytesIO()
    torch.jit.save(torch.jit.trace(torch.nn.Linear(1, 1), torch.zeros(1)), stream)
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("object.pt", bad_pickle, "program code"),
        ("script.pt", script_archive, "program code"),
        ("cut.safetensors", lambda: b"\x10\x00\x00", "does not hold"),
        ("empty.pt", lambda: b"", "does not hold|program code"),
        ("text.pt", lambda: b"<html>404</html>", "does not hold|program code"),
    ],
)
def test_bad_files_get_a_sentence(
    name: str, content: Callable[[], bytes], says: str, description_of: Describe, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content())
    with pytest.raises(BadModelFile, match=says):
        build_from(description_of("clip"), tmp_path / name, name="x")


def test_weights_of_another_size_get_a_sentence(description_of: Describe, tmp_path: Path) -> None:
    model, _ = create_empty(description_of("pe-core"))
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(BadModelFile, match="does not hold the weights"):
        build_from(description_of("clip"), tmp_path / "w.safetensors", name="x")


def test_missing_weights_name_both_ways_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("M2HF_MODELS_DIR", str(tmp_path))
    monkeypatch.setattr("m2hf_core.hub.files._in_hub_cache", lambda _: None)
    with pytest.raises(ModelsMissing, match=r"models prepare fast.*models import"):
        build_open_clip(get_preset("fast"))
    with pytest.raises(ModelsMissing, match=r"models prepare fast.*models import"):
        build_text(get_preset("fast"))


def test_building_touches_neither_network_nor_root_logger(
    build_small: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    before = list(logging.getLogger().handlers)
    assert build_small("siglip2").width == 24
    assert logging.getLogger().handlers == before


def test_a_description_resolves_its_merges_beside_it(tmp_path: Path, description_of: Describe) -> None:
    description = description_of("clip")
    description["model_cfg"]["text_cfg"]["tokenizer_kwargs"] = {"bpe_path": "merges.txt.gz"}
    (tmp_path / "clip.json").write_text(json.dumps(description), encoding="utf-8")
    read = read_description(tmp_path / "clip.json")
    assert read["model_cfg"]["text_cfg"]["tokenizer_kwargs"]["bpe_path"] == str(tmp_path / "merges.txt.gz")


@pytest.mark.parametrize("content", ["", "[]", '{"model_cfg": {}}', "{"])
def test_a_damaged_description_gets_a_sentence(content: str, tmp_path: Path) -> None:
    (tmp_path / "clip.json").write_text(content, encoding="utf-8")
    with pytest.raises(BadModelFile, match="does not describe"):
        read_description(tmp_path / "clip.json")
