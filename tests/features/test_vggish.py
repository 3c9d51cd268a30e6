"""VGGish: the published layout key by key, and its arithmetic against numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from m2hf_core.errors import BadModelFile
from m2hf_core.features import logmel
from m2hf_core.features.vggish import VGGish, VGGishExtractor


def slow_vggish(state: dict[str, torch.Tensor], example: np.ndarray) -> np.ndarray:
    """One example [96, 64] through loops over kernel offsets; channels last, as the weights were made."""
    maps = example[:, :, None].astype(np.float64)
    for index, pool in ((0, True), (3, True), (6, False), (8, True), (11, False), (13, True)):
        kernel = state[f"features.{index}.weight"].double().numpy()
        padded = np.pad(maps, ((1, 1), (1, 1), (0, 0)))
        height, width = maps.shape[:2]
        total = np.zeros((height, width, kernel.shape[0])) + state[f"features.{index}.bias"].numpy()
        for row in range(3):
            for column in range(3):
                total += padded[row : row + height, column : column + width] @ kernel[:, :, row, column].T
        maps = np.maximum(total, 0)
        if pool:
            maps = np.maximum.reduce([maps[i::2, j::2] for i in (0, 1) for j in (0, 1)])
    assert maps.shape == (6, 4, 512)
    vector = maps.reshape(-1)
    for index in (0, 2, 4):
        weight, bias = state[f"embeddings.{index}.weight"], state[f"embeddings.{index}.bias"]
        vector = weight.double().numpy() @ vector + bias.numpy()
        if index != 4:
            vector = np.maximum(vector, 0)
    return vector


@pytest.fixture(scope="module")
def extractor(vggish_file: Path, tmp_path_factory: pytest.TempPathFactory) -> VGGishExtractor:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M2HF_MODELS_DIR", str(tmp_path_factory.mktemp("models")))
        return VGGishExtractor(vggish_file)


def test_published_layout_loads_key_by_key(
    vggish_state: dict[str, torch.Tensor], extractor: VGGishExtractor
) -> None:
    with torch.device("meta"):
        wanted = {key: tuple(value.shape) for key, value in VGGish().state_dict().items()}
    assert wanted == {key: tuple(value.shape) for key, value in vggish_state.items()}
    loaded = extractor._placed.network.state_dict()
    for key, value in vggish_state.items():
        assert torch.equal(loaded[key], value), key


def test_feature_equals_numpy_and_keeps_its_sign(
    vggish_state: dict[str, torch.Tensor], extractor: VGGishExtractor
) -> None:
    rng = np.random.default_rng(1)
    signal = (0.1 * rng.standard_normal(2 * 15_360 + 240)).astype(np.float32)
    feature = extractor(signal, start_s=1.5)
    assert feature.values.shape == (2, 128)
    assert feature.values.dtype == np.float32
    np.testing.assert_allclose(feature.start_s, [1.5, 2.46])
    np.testing.assert_allclose(feature.end_s, [2.46, 3.42])
    (batch,) = logmel.examples(signal)
    expected = slow_vggish(vggish_state, batch[1])
    np.testing.assert_allclose(feature.values[1], expected, atol=1e-4 * np.abs(expected).max())
    assert (feature.values < 0).any(), "a final ReLU would leave nothing below zero"


def test_too_little_sound_gives_no_row(extractor: VGGishExtractor) -> None:
    feature = extractor(np.zeros(15_599, np.float32))
    assert feature.values.shape == (0, 128)
    assert len(feature.start_s) == len(feature.end_s) == 0


def test_truncated_file_is_refused(vggish_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "vggish.pth"
    path.write_bytes(vggish_file.read_bytes()[:1_000_000])
    with pytest.raises(BadModelFile, match="cannot be read"):
        VGGishExtractor(path)


def test_a_file_for_another_network_is_refused(s3d_file: Path) -> None:
    with pytest.raises(BadModelFile, match="not for VGGish"):
        VGGishExtractor(s3d_file)
