"""What is missing sleeps and says how to wake it; nothing random ever takes its place."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from m2hf_core.errors import BadModelFile
from m2hf_core.features import load_extractors
from m2hf_core.features.s3d import S3DExtractor
from m2hf_core.features.vggish import VGGishExtractor
from m2hf_core.hub.manifest import get_preset, load_manifest


@pytest.mark.parametrize("preset_id", [name for name in load_manifest().presets if name != "demo"])
def test_without_weights_every_branch_sleeps(preset_id: str) -> None:
    extractors = load_extractors(get_preset(preset_id))
    assert (extractors.clip, extractors.audio, extractors.motion, extractors.speech) == (None,) * 4
    assert set(extractors.asleep) == {"visual", "audio", "motion", "speech"}
    assert "Only subtitles are read" in extractors.asleep["speech"]
    for reason in extractors.asleep.values():
        assert f"m2hf-app models prepare {preset_id}" in reason


def test_files_that_are_here_wake_their_branch(
    own_models_folder: Path, vggish_file: Path, s3d_file: Path
) -> None:
    weights = load_manifest().weights
    own_models_folder.mkdir()
    (own_models_folder / weights["vggish"].file).symlink_to(vggish_file)
    shutil.copy(s3d_file, own_models_folder / weights["s3d-kinetics400"].file)
    extractors = load_extractors(get_preset("paper-b16"))
    assert isinstance(extractors.audio, VGGishExtractor)
    assert isinstance(extractors.motion, S3DExtractor)
    assert set(extractors.asleep) == {"visual", "speech"}


def test_a_broken_file_is_reported_not_slept_over(own_models_folder: Path) -> None:
    own_models_folder.mkdir()
    (own_models_folder / load_manifest().weights["vggish"].file).write_bytes(b"half a download")
    with pytest.raises(BadModelFile):
        load_extractors(get_preset("paper-b16"))


def test_naming_the_package_does_not_load_torch() -> None:
    """Programs name the package long before they need a network."""
    code = "import sys, m2hf_core.features; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0
