"""The image tower against open_clip's own encode_image, on files in the published form."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip.model import CLIP
from safetensors.torch import save_file

from m2hf_core.errors import BadModelFile
from m2hf_core.features.clip import ImageTower
from m2hf_core.text.openclip import build_from, describe

SMALL: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
SQUASHED = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear", "resize_mode": "squash"}


@pytest.fixture(scope="module")
def small_model() -> CLIP:
    torch.manual_seed(3)
    return CLIP(**SMALL).eval()


@pytest.fixture(scope="module")
def small_file(small_model: CLIP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "small.safetensors"
    save_file({key: value.contiguous() for key, value in small_model.state_dict().items()}, path)
    return path


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 40, 64, 3), dtype=np.uint8)


def build(path: Path, preprocess: dict[str, Any] | None = None) -> ImageTower:
    description = {"model_cfg": SMALL, "preprocess_cfg": preprocess or {}}
    return ImageTower(build_from(description, path, name="small"), batch_size=2)


def test_features_are_the_projected_embedding_unnormalised(
    small_model: CLIP, small_file: Path, images: np.ndarray
) -> None:
    tower = build(small_file)
    features = tower.encode(images)
    with torch.no_grad():
        expected = small_model.encode_image(torch.stack([tower.preprocess(image) for image in images]))
    np.testing.assert_allclose(features, expected.numpy(), atol=1e-5)
    assert features.dtype == np.float32
    assert features.shape == (5, tower.width) == (5, 24)
    assert np.ptp(np.linalg.norm(features, axis=1)) > 1e-3, "normalised rows all have length one"


def test_preprocessing_is_the_weights_own(small_file: Path) -> None:
    """A grey image tells mean and deviation; a picture with one white half tells crop from squash."""
    grey = np.full((40, 64, 3), 102, np.uint8)
    openai = build(small_file).preprocess(grey)
    expected = (0.4 - np.array(open_clip.OPENAI_DATASET_MEAN)) / np.array(open_clip.OPENAI_DATASET_STD)
    np.testing.assert_allclose(openai.mean(dim=(1, 2)), expected, atol=1e-5)
    squashed = build(small_file, SQUASHED)
    np.testing.assert_allclose(squashed.preprocess(grey), -0.2, atol=1e-5)

    edge = np.zeros((32, 128, 3), np.uint8)
    edge[:, 80:] = 255
    cropped = build(small_file)
    np.testing.assert_allclose(cropped.preprocess(edge), cropped.preprocess(np.zeros_like(edge)), atol=1e-5)
    assert float((squashed.preprocess(edge) > 0.9).float().mean()) == pytest.approx(0.375, abs=0.05)


def test_batches_do_not_matter(small_file: Path, images: np.ndarray) -> None:
    tower = build(small_file)
    alone = np.concatenate([tower.encode(image[None]) for image in images])
    np.testing.assert_allclose(tower.encode(images), alone, atol=1e-5)
    np.testing.assert_array_equal(tower.encode(images), tower.encode(images))
    assert tower.encode(images[:0]).shape == (0, 24)


def test_the_text_half_leaves_memory(small_file: Path) -> None:
    loaded = build_from({"model_cfg": SMALL, "preprocess_cfg": {}}, small_file, name="small")
    text_half = weakref.ref(loaded.model.get_submodule("transformer"))
    tower = ImageTower(loaded)
    del loaded
    gc.collect()
    assert text_half() is None
    assert tower.encode(np.zeros((1, 32, 32, 3), np.uint8)).shape == (1, 24)


@pytest.mark.parametrize("shape", [(32, 32), (32, 32, 4), (1, 32, 32, 3)])
def test_other_arrays_are_a_bug(small_file: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="wanted"):
        build(small_file).preprocess(np.zeros(shape, np.uint8))


def test_truncated_and_foreign_files_are_refused(small_file: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.safetensors"
    half.write_bytes(small_file.read_bytes()[:100_000])
    with pytest.raises(BadModelFile):
        build(half)
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(BadModelFile):
        build(tmp_path / "other.safetensors")


@pytest.mark.slow
def test_the_papers_model_loads_by_the_same_way(tmp_path: Path) -> None:
    """A randomly initialised ViT-B/16 with QuickGELU, written as the published file is, gives its own features."""
    torch.manual_seed(0)
    description = describe("ViT-B-16-quickgelu", "openai")
    model = open_clip.create_model("ViT-B-16-quickgelu", pretrained=None).eval()
    path = tmp_path / "vit-b-16.safetensors"
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path)
    tower = ImageTower(build_from(description, path, name="paper-b16"))
    images = np.random.default_rng(0).integers(0, 256, (2, 300, 400, 3), dtype=np.uint8)
    features = tower.encode(images)
    assert features.shape == (2, 512)
    with torch.no_grad():
        expected = model.encode_image(torch.stack([tower.preprocess(image) for image in images]))
    np.testing.assert_allclose(features, expected.numpy(), atol=1e-4)
