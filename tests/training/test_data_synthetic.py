"""The synthetic world as a data set: what is stored is what the extractors say, and nothing is made twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from m2hf_core.errors import KnownError
from m2hf_core.features import load_extractors
from m2hf_core.hub.manifest import get_preset
from m2hf_core.model.inputs import DENSE_BRANCHES
from m2hf_core.model.m2hf import M2HF
from m2hf_core.synthetic import draw_specs, frames, sound
from m2hf_core.text.tower import open_text_tower
from m2hf_core.training.data.dataset import held_out
from m2hf_core.training.data.prepared import open_prepared
from m2hf_core.training.data.synthetic import Sizes, prepare_synthetic


def test_rows_are_what_the_extractors_say(prepared: Path) -> None:
    test = open_prepared(prepared, frames=4)["test"]
    spec = draw_specs("test", 6, 7)[4]
    found = load_extractors(get_preset("demo"))
    assert found.clip is not None
    assert found.audio is not None
    # A frame that a 24-per-second file shows at 1.5 s is frame 36.
    expected = found.clip.encode(frames(spec, [36 / 24]))[0]
    assert np.allclose(test.clips.frames[4, 1], expected, rtol=2e-3, atol=2e-3)
    samples = sound(spec, found.audio.rate)
    if samples is None:
        assert not test.clips.has_audio[4].any()
    else:
        # 0.96 s rows meet 1 s cells: cell 0 holds row 0 whole and the first 0.04 s of row 1.
        rows = found.audio(samples).values
        assert np.allclose(test.clips.audio[4, 0], 0.96 * rows[0] + 0.04 * rows[1], rtol=5e-3, atol=5e-3)
    assert frozenset(spec.nouns) <= test.spoken[4]


def test_tokens_are_what_the_tower_says(prepared: Path) -> None:
    train = open_prepared(prepared, frames=4)["train"]
    chosen = [0, 5, 20]
    packed = train.tokens.batch(chosen)
    found = open_text_tower(get_preset("demo")).encode([train.texts[i] for i in chosen])
    assert torch.equal(packed.mask, found.mask)
    assert torch.equal(packed.pooled, found.pooled)
    real = found.mask.unsqueeze(-1)
    assert torch.allclose(packed.tokens * real, found.tokens * real, rtol=2e-3, atol=2e-3)


def test_a_batch_can_be_scored(prepared: Path) -> None:
    data = open_prepared(prepared, frames=4)
    scorer = M2HF(data.width, data.audio_width, data.motion_width, start_token=data.has_start)
    split = data["train"]
    with torch.inference_mode():
        scores = scorer(split.tokens.batch(range(5)), split.clips.batch(np.arange(3)))
    assert set(scores) == set(DENSE_BRANCHES)
    assert all(values.shape == (5, 3) and values.isfinite().all() for values in scores.values())


def test_every_caption_knows_its_clip(prepared: Path) -> None:
    split = open_prepared(prepared, frames=4)["train"]
    owners = split.texts_of_clips()
    assert [len(texts) for texts in owners] == [2] * 12
    assert sorted(int(i) for texts in owners for i in texts) == list(range(24))
    rest, held = held_out(split, 3, seed=1)
    assert (len(rest), len(held), held.name) == (9, 3, "val")
    assert {info.clip_id for info in rest.infos}.isdisjoint(info.clip_id for info in held.infos)
    original = {text: split.infos[split.clip_of_text[i]].clip_id for i, text in enumerate(split.texts)}
    for i, text in enumerate(held.texts):
        assert held.infos[held.clip_of_text[i]].clip_id == original[text]
        assert torch.equal(
            held.tokens.batch([i]).tokens, split.tokens.batch([split.texts.index(text)]).tokens
        )


def test_statistics_look_at_present_rows_only(prepared: Path) -> None:
    clips = open_prepared(prepared, frames=4)["train"].clips
    mean, std = clips.statistics("audio")
    rows = clips.audio[clips.has_audio].astype(np.float64)
    assert np.allclose(mean.numpy(), rows.mean(0), atol=1e-3)
    assert np.allclose(std.numpy(), rows.std(0), rtol=1e-3, atol=1e-3)


def test_a_stopped_preparation_goes_on(prepared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "again"
    shutil.copytree(prepared, folder)
    shard = folder / "clips" / "train-00000.safetensors"
    before = (folder / "clips" / "test-00000.safetensors").stat().st_mtime_ns
    whole = shard.read_bytes()
    shard.unlink()
    with pytest.raises(KnownError, match="Run the same preparation again"):
        open_prepared(folder, frames=3)
    prepare_synthetic(folder, Sizes(12, 2, 6, captions=2), seed=7)
    assert shard.read_bytes() == whole
    assert (folder / "clips" / "test-00000.safetensors").stat().st_mtime_ns == before
    assert not list((folder / "pending").iterdir())
    assert open_prepared(folder, frames=3)["train"].clips.frames.shape == (12, 3, 128)


def test_another_preparation_is_not_mixed_in(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(KnownError, match=r"holds another preparation: seed differ"):
        prepare_synthetic(prepared, Sizes(12, 2, 6, captions=2), seed=8)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(KnownError, match="is not empty"):
        prepare_synthetic(tmp_path, Sizes(1, 1, 1))
