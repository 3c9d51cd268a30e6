"""Weight files in the published layouts with random numbers: the real ones are on no machine of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.models.video import s3d

VGGISH_SHAPES = {
    "features.0": (64, 1, 3, 3),
    "features.3": (128, 64, 3, 3),
    "features.6": (256, 128, 3, 3),
    "features.8": (256, 256, 3, 3),
    "features.11": (512, 256, 3, 3),
    "features.13": (512, 512, 3, 3),
    "embeddings.0": (4096, 12288),
    "embeddings.2": (4096, 4096),
    "embeddings.4": (128, 4096),
}
"""The keys of the torch file that was published, with the shapes of their weights."""


@pytest.fixture(autouse=True)
def own_models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees, or writes digests into, the models of the person at this machine."""
    folder = tmp_path / "models"
    monkeypatch.setenv("M2HF_MODELS_DIR", str(folder))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return folder


@pytest.fixture(scope="session")
def vggish_state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    state: dict[str, torch.Tensor] = {}
    for key, shape in VGGISH_SHAPES.items():
        fan_in = shape[1] * (9 if len(shape) == 4 else 1)
        state[f"{key}.weight"] = torch.rand(shape, generator=generator).sub_(0.5).mul_(3.4 / fan_in**0.5)
        state[f"{key}.bias"] = torch.rand(shape[0], generator=generator).sub_(0.5)
    return state


@pytest.fixture(scope="session")
def vggish_file(vggish_state: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vggish") / "vggish.pth"
    torch.save(vggish_state, path)
    return path


@pytest.fixture(scope="session")
def s3d_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("s3d") / "s3d.pth"
    torch.save(s3d(weights=None).state_dict(), path)
    return path
