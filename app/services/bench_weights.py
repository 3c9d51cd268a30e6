"""Random numbers in the published layouts: the cost of a network does not depend on what it has learned.

They are written as files and read by the real loading path, so that a machine without the published weights can be
measured. Whatever they compute is noise: nothing made with them may enter a library.
"""

from __future__ import annotations

from pathlib import Path

from m2hf_core.errors import UsageError
from m2hf_core.hub import get_preset
from m2hf_core.hub.manifest import Preset, load_manifest


def write_random_weights(preset_id: str, folder: Path) -> None:
    """The image, audio and motion networks of a preset, below `folder` as a models folder.

    Raises `UsageError` for presets that need more than weights (a tokenizer, a description).
    """
    preset = get_preset(preset_id)
    if preset.architecture is None or preset.tokenizer is not None:
        raise UsageError(
            f"Random weights cannot stand in for the preset {preset_id!r}.",
            "Use paper-b16, paper-l14 or fast; the demo preset brings its own weights.",
        )
    import torch

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    _write_clip(preset, folder)
    if preset.audio == "vggish":
        from m2hf_core.features.vggish import VGGish

        torch.save(VGGish().state_dict(), _file(preset.audio, folder))
    if preset.motion == "s3d-kinetics400":
        from torchvision.models.video import s3d

        torch.save(s3d(weights=None).state_dict(), _file(preset.motion, folder))


def _write_clip(preset: Preset, folder: Path) -> None:
    from safetensors.torch import save_file

    from m2hf_core.text.openclip import random_model

    assert preset.architecture is not None
    model = random_model(preset.architecture)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, _file(preset.clip, folder))


def _file(weight_id: str, folder: Path) -> Path:
    path = folder / load_manifest().weights[weight_id].file
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
