"""Teaching CLIP too: the towers see what was stored, at the moments that were stored, and learn the same either way."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from m2hf_core.errors import KnownError
from m2hf_core.hub.manifest import get_preset
from m2hf_core.records import Feature
from m2hf_core.synthetic import draw_specs
from m2hf_core.synthetic.files import render_file
from m2hf_core.text.openclip import build_open_clip
from m2hf_core.training.contrast import Contrast
from m2hf_core.training.data.dataset import ClipInfo, PairedData
from m2hf_core.training.data.packing import RawClip, Widths, pack_clips
from m2hf_core.training.data.prepared import open_prepared
from m2hf_core.training.endtoend import TowerModel
from m2hf_core.training.modelling import config_for, fresh_scorer
from m2hf_core.training.pictures import DrawnPictures, load_pictures, source_for
from m2hf_core.training.recipes import settings_of
from m2hf_core.training.stepping import backward

QUICK = {"epochs": 1, "batch": 6, "lr": 1e-3, "device": "cpu", "frames": 4}


@pytest.fixture(scope="module")
def data(prepared: Path) -> PairedData:
    return open_prepared(prepared, 4, ("train", "val"))


@pytest.fixture(scope="module")
def model(data: PairedData) -> TowerModel:
    chosen = settings_of("synthetic", {**QUICK, "tune": "all", "checkpointing": True})
    config = config_for(data, chosen, ("visual", "audio", "motion"))
    scorer = fresh_scorer(config, data, data["train"], chosen)
    return TowerModel(scorer, build_open_clip(get_preset("demo")), chosen, "cpu")


def test_towers_see_what_was_stored(data: PairedData, model: TowerModel) -> None:
    """Decoded on the fly and tokenised here, clips and captions are those of the prepared folder."""
    split = data["val"]
    fresh = model.encoded(split)
    np.testing.assert_allclose(fresh.clips.frames, split.clips.frames, atol=2e-2)
    np.testing.assert_array_equal(fresh.tokens.starts, split.tokens.starts)
    np.testing.assert_array_equal(fresh.tokens.mask, split.tokens.mask)
    np.testing.assert_array_equal(fresh.tokens.pooled, split.tokens.pooled)
    rows = fresh.tokens.mask
    np.testing.assert_allclose(fresh.tokens.rows[rows], split.tokens.rows[rows], atol=2e-2)


def test_recomputing_the_vision_tower_changes_no_gradient(data: PairedData, model: TowerModel) -> None:
    batch, found = model.batch(data["train"], np.arange(0, 6)), []
    model.train()
    for checkpointing in (True, False):
        model._towers.checkpointing = checkpointing
        for _, parameter in (*model.parameters()[0], *model.parameters()[1]):
            parameter.grad = None
        torch.manual_seed(0)
        backward(model.encoder, batch, Contrast(0.5, "mean", 1e-3), 0, "cpu", bf16=False)
        found.append([p.grad.clone() for _, p in model.parameters()[1] if p.grad is not None])
    assert len(found[0]) == len(found[1]) > 20
    for kept, recomputed in zip(*found, strict=True):
        torch.testing.assert_close(recomputed, kept, rtol=1e-4, atol=1e-7)


def packed_times(starts_s: list[float], ends_s: list[float], most: int) -> list[float]:
    n = len(starts_s)
    frames = Feature(np.ones((n, 4), np.float16), np.array(starts_s), np.array(ends_s))
    clip = RawClip(ClipInfo("a", "", starts_s[0], ends_s[-1]), frames, None, None)
    times_s = pack_clips([clip], most, Widths(4, 4, 4)).times_s[0]
    return [float(moment) for moment in times_s[~np.isnan(times_s)]]


def test_packed_frames_know_the_moment_they_show() -> None:
    assert packed_times([0.0, 1.0, 2.0], [1.0, 2.0, 3.0], 12) == [0.5, 1.5, 2.5]
    assert packed_times(list(range(10)), list(range(1, 11)), 3) == [0.5, 4.5, 9.5]
    assert packed_times([3.0], [3.8], 12) == [3.4], "a rest is looked at in its middle"
    assert packed_times([3.0], [4.3], 12) == [3.5], "or lengthens the last span without moving its frame"
    assert packed_times([0.0, 3.0], [1.0, 4.0], 12) == [0.5, 3.5], "flat seconds were left out"


def test_left_out_seconds_are_not_looked_at_again(data: PairedData, model: TowerModel) -> None:
    split = data["train"]
    times_s = np.array(split.clips.times_s)
    frames, mask = np.array(split.clips.frames), np.array(split.clips.frame_mask)
    whole = model._pictures(split, np.arange(2))[0]
    # The second frame of the first clip as if it had been flat: what follows moves up, times with it.
    for array in (times_s, frames, mask):
        array[0, 1:-1] = array[0, 2:]
    times_s[0, -1], frames[0, -1], mask[0, -1] = np.nan, 0, False
    lacking = replace(split, clips=replace(split.clips, times_s=times_s, frames=frames, frame_mask=mask))
    pictures, seen = model._pictures(lacking, np.arange(2))
    count = int(mask[0].sum())
    np.testing.assert_array_equal(seen[0].numpy(), mask[0])
    torch.testing.assert_close(pictures[0, 0], whole[0, 0])
    torch.testing.assert_close(pictures[0, 1:count], whole[0, 2 : count + 1])
    torch.testing.assert_close(pictures[1], whole[1])


def test_data_packed_without_times_is_packed_again(prepared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "older"
    shutil.copytree(prepared, folder)
    before = open_prepared(folder, 3)["train"].clips
    packed = folder / "packed" / "F3" / "train" / "times_s.npy"
    packed.unlink()
    np.testing.assert_array_equal(open_prepared(folder, 3)["train"].clips.times_s, before.times_s)
    assert packed.is_file()


def test_frames_of_files_come_from_the_decoder(tmp_path: Path) -> None:
    spec = draw_specs("train", 1, 3)[0]
    path = tmp_path / "clip.mp4"
    render_file(spec, path)
    info = ClipInfo("train-3-0", str(path), 0.0, 4.0)
    drawn = DrawnPictures([info])(info, [0.5, 2.5])
    found = source_for([info])(info, [0.5, 2.5])
    assert found.shape == drawn.shape
    assert np.abs(found.astype(int) - drawn.astype(int)).mean() < 6
    pictures, mask = load_pictures(
        source_for([info]), [info], [[0.5, 3.5]], build_open_clip(get_preset("demo")).preprocess
    )
    assert pictures.shape[:2] == mask.shape == (1, 2)


def test_without_a_decoder_the_sentence_says_what_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "m2hf_core.media", None)
    info = ClipInfo("a", "/videos/a.mp4", 0.0, 4.0)
    with pytest.raises(KnownError, match="needs PyAV"):
        source_for([info])(info, [0.5])
