"""S3D: the published constants, the feature before the classifier, and short runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models.video import s3d

from m2hf_core.errors import BadModelFile
from m2hf_core.features.s3d import S3DExtractor, repeat_last


@pytest.fixture(scope="module")
def extractor(s3d_file: Path, tmp_path_factory: pytest.TempPathFactory) -> S3DExtractor:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M2HF_MODELS_DIR", str(tmp_path_factory.mktemp("models")))
        return S3DExtractor(s3d_file)


def test_constants(extractor: S3DExtractor) -> None:
    assert (extractor.fps, extractor.frames_per_clip, extractor.step_s, extractor.width) == (
        15.0,
        16,
        1.0,
        1024,
    )


def test_feature_is_the_mean_before_the_classifier(extractor: S3DExtractor, s3d_file: Path) -> None:
    """Through the classifier, which is linear: its logits must follow from our feature, with dropout off."""
    clip = np.random.default_rng(0).integers(0, 256, (1, 16, 256, 256, 3), dtype=np.uint8)
    feature = extractor.encode(clip)
    assert feature.shape == (1, 1024)
    assert feature.dtype == np.float32

    reference = s3d(weights=None)
    reference.load_state_dict(torch.load(s3d_file, weights_only=True))
    mean, std = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
    pixels = (clip[:, :, 16:240, 16:240].astype(np.float32) / 255 - mean) / std
    with torch.no_grad():
        logits = reference.eval()(torch.from_numpy(pixels).float().permute(0, 4, 1, 2, 3))
    linear = reference.classifier[1]
    ours = feature @ linear.weight[:, :, 0, 0, 0].detach().numpy().T + linear.bias.detach().numpy()
    np.testing.assert_allclose(ours, logits.numpy(), atol=1e-4)


def test_a_short_run_holds_its_last_frame(extractor: S3DExtractor) -> None:
    clip = np.random.default_rng(1).integers(0, 256, (1, 5, 40, 60, 3), dtype=np.uint8)
    held = np.concatenate([clip, *[clip[:, -1:]] * 11], axis=1)
    np.testing.assert_array_equal(extractor.encode(clip), extractor.encode(held))


@pytest.mark.parametrize("shape", [(1, 0, 8, 8, 3), (1, 17, 8, 8, 3), (16, 8, 8, 3), (1, 16, 8, 8, 4)])
def test_wrongly_cut_runs_are_a_bug(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        repeat_last(np.zeros(shape, np.uint8), 16)


def test_wrong_and_truncated_files_are_refused(s3d_file: Path, tmp_path: Path) -> None:
    half = tmp_path / "s3d.pth"
    half.write_bytes(s3d_file.read_bytes()[:500_000])
    with pytest.raises(BadModelFile, match="cannot be read"):
        S3DExtractor(half)
    state = torch.load(s3d_file, weights_only=True)
    state.pop("classifier.1.bias")
    torch.save(state, tmp_path / "less.pth")
    with pytest.raises(BadModelFile, match="not for S3D"):
        S3DExtractor(tmp_path / "less.pth")
