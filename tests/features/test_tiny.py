"""The demo's small ears and sense of movement keep the interfaces of the large ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from m2hf_core.errors import BadModelFile
from m2hf_core.features.s3d import S3DExtractor
from m2hf_core.features.tiny import TinyAudio, TinyAudioExtractor, TinyMotion, TinyMotionExtractor
from m2hf_core.features.vggish import VGGishExtractor


def saved(network: nn.Module, path: Path) -> Path:
    save_file(network.state_dict(), path)
    return path


@pytest.fixture
def audio(tmp_path: Path) -> TinyAudioExtractor:
    torch.manual_seed(0)
    return TinyAudioExtractor(saved(TinyAudio(), tmp_path / "audio.safetensors"))


@pytest.fixture
def motion(tmp_path: Path) -> TinyMotionExtractor:
    torch.manual_seed(0)
    return TinyMotionExtractor(saved(TinyMotion(), tmp_path / "motion.safetensors"))


def test_the_same_clock_as_the_published_networks() -> None:
    assert TinyAudioExtractor.rate == VGGishExtractor.rate
    for name in ("fps", "frames_per_clip", "step_s"):
        assert getattr(TinyMotionExtractor, name) == getattr(S3DExtractor, name)


def test_audio_rows_and_spans(audio: TinyAudioExtractor) -> None:
    rng = np.random.default_rng(0)
    feature = audio(rng.standard_normal(3 * 15_360 + 240).astype(np.float32), start_s=0.5)
    assert feature.values.shape == (3, audio.width)
    np.testing.assert_allclose(feature.start_s, [0.5, 1.46, 2.42])
    assert audio(np.zeros(15_599, np.float32)).values.shape == (0, audio.width)


def test_audio_rows_depend_on_their_own_span_only(audio: TinyAudioExtractor) -> None:
    waveform = np.random.default_rng(1).standard_normal(3 * 15_360 + 240).astype(np.float32)
    changed = waveform.copy()
    changed[15_360 + 240 : 2 * 15_360] *= 0.1
    before, after = audio(waveform).values, audio(changed).values
    np.testing.assert_allclose(before[[0, 2]], after[[0, 2]], atol=1e-6)
    assert np.abs(before[1] - after[1]).max() > 1e-3


def test_motion_is_blind_to_the_decoded_size(motion: TinyMotionExtractor) -> None:
    """Area averaging to 48 pixels: a picture enlarged by a whole factor is the same picture."""
    small = np.random.default_rng(2).integers(0, 256, (1, 16, 48, 48, 3), dtype=np.uint8)
    large = small.repeat(4, axis=2).repeat(3, axis=3)
    np.testing.assert_allclose(motion.encode(small), motion.encode(large), atol=1e-5)


def test_motion_sees_the_order_of_frames(motion: TinyMotionExtractor) -> None:
    run = np.zeros((1, 16, 32, 32, 3), np.uint8)
    for number in range(16):
        cv2.circle(run[0, number], (4 + number, 16), 4, (255, 90, 30), -1)
    assert np.abs(motion.encode(run) - motion.encode(run[:, ::-1])).max() > 1e-3


def test_a_short_run_holds_its_last_frame(motion: TinyMotionExtractor) -> None:
    run = np.random.default_rng(3).integers(0, 256, (2, 13, 40, 40, 3), dtype=np.uint8)
    held = np.concatenate([run, *[run[:, -1:]] * 3], axis=1)
    np.testing.assert_array_equal(motion.encode(run), motion.encode(held))
    assert motion.encode(run).shape == (2, motion.width)


def test_no_runs_give_no_rows(motion: TinyMotionExtractor) -> None:
    assert motion.encode(np.zeros((0, 16, 40, 40, 3), np.uint8)).shape == (0, motion.width)


def test_each_network_refuses_the_others_file(tmp_path: Path) -> None:
    sound, moves = (
        saved(TinyAudio(), tmp_path / "a.safetensors"),
        saved(TinyMotion(), tmp_path / "m.safetensors"),
    )
    with pytest.raises(BadModelFile, match="not for TinyAudio"):
        TinyAudioExtractor(moves)
    with pytest.raises(BadModelFile, match="not for TinyMotion"):
        TinyMotionExtractor(sound)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(sound.read_bytes()[:-100])
    with pytest.raises(BadModelFile, match="cannot be read"):
        TinyAudioExtractor(cut)
