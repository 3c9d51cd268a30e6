"""A tiny run of the whole command, and the shipped files themselves."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from m2hf_core.config.paths import resources_dir
from m2hf_core.features import load_extractors
from m2hf_core.features.clip import ImageTower
from m2hf_core.features.tiny import TinyAudioExtractor, TinyMotionExtractor
from m2hf_core.hub.manifest import get_preset
from m2hf_core.synthetic import captions, draw_specs, frames
from m2hf_core.text.descriptions import read_description
from m2hf_core.text.half import build_text_from
from m2hf_core.text.openclip import build_from
from m2hf_core.text.tower import TextTower
from m2hf_core.training import demo_readme
from m2hf_core.training.demo_clip import MERGES_NAME, ClipRecipe, train_clip
from m2hf_core.training.demo_data import seen_frames
from m2hf_core.training.demo_gates import many_positive_loss, warm_cosine
from m2hf_core.training.demo_models import MODEL_NAMES, Recipe, make_demo_models
from m2hf_core.training.demo_report import clip_report, linear_probe
from m2hf_core.training.demo_senses import SenseRecipe, train_audio, train_motion
from m2hf_core.training.demo_vocabulary import learn_merges, world_words, write_merges
from m2hf_core.training.demo_words import WordsRecipe

TINY = Recipe(
    clip=ClipRecipe(
        embed_dim=32,
        pixels=32,
        image_width=8,
        text_width=32,
        text_layers=1,
        clips=48,
        frames_per_clip=2,
        captions_per_clip=2,
        batch=24,
        steps=30,
        words=WordsRecipe(clips=24, captions_per_clip=2, batch=12, steps=6),
    ),
    audio=SenseRecipe(clips=24, batch=16, steps=30),
    motion=SenseRecipe(clips=12, batch=12, steps=30, learning_rate=6e-3),
    galleries=1,
    probe_clips=9,
)


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M2HF_MODELS_DIR", str(tmp_path_factory.mktemp("models")))
        folder = tmp_path_factory.mktemp("run")
        make_demo_models(folder, TINY, seed=0)
    return folder


@pytest.fixture(autouse=True)
def own_models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M2HF_MODELS_DIR", str(tmp_path / "models"))


def test_losses_fall(tiny_run: Path) -> None:
    losses = json.loads((tiny_run / "report.json").read_text())["loss_by_tenth"]
    assert set(losses) == {"clip", "audio", "motion"}
    for name, tenths in losses.items():
        assert tenths[-1] < tenths[0] - 0.1, name


def test_written_files_load(tiny_run: Path) -> None:
    description, weights = read_description(tiny_run / "clip.json"), tiny_run / "clip.safetensors"
    image = ImageTower(build_from(description, weights, name="tiny"))
    text = TextTower(build_text_from(description["model_cfg"], weights, name="tiny"))
    spec = draw_specs("train", 1, 0)[0]
    assert image.encode(frames(spec, [0.5], size=64)).shape == (1, 32)
    assert text.encode([captions(spec)[0].text]).pooled_vector.shape == (1, 32)
    assert TinyAudioExtractor(tiny_run / "audio.safetensors")(np.zeros(16_000, np.float32)).values.shape == (
        1,
        64,
    )
    runs = np.zeros((1, 16, 40, 40, 3), np.uint8)
    assert TinyMotionExtractor(tiny_run / "motion.safetensors").encode(runs).shape == (1, 64)


def test_the_report_speaks_of_val_and_its_readme_repeats_it(tiny_run: Path) -> None:
    report = json.loads((tiny_run / "report.json").read_text())
    clip = report["val"]["clip"]
    assert 0 <= clip["r1"] <= clip["r5"] <= 1
    assert 0 < clip["ceiling_r1"] <= 1
    assert f"{clip['r1']:.1%}" in (tiny_run / "README.md").read_text()


def test_the_page_names_the_losses_that_the_report_has() -> None:
    """The shipped report lacks those of sight, whose stages ran one by one; a run of the command has all three."""
    report = json.loads((resources_dir() / "demo" / "report.json").read_text())
    kept = " ".join(demo_readme.render(report).split())
    assert "the recipe and the losses of sound, movement." in kept
    report["loss_by_tenth"]["clip"] = [1.0]
    assert "the losses of sight, sound, movement." in " ".join(demo_readme.render(report).split())


def test_training_repeats_to_the_bit(tiny_run: Path, tmp_path: Path) -> None:
    write_merges(learn_merges(world_words()), tmp_path / MERGES_NAME)
    train_clip(tmp_path, TINY.clip, seed=0)
    train_audio(tmp_path, TINY.audio, seed=0)
    train_motion(tmp_path, TINY.motion, seed=0)
    for name in MODEL_NAMES:
        assert (tmp_path / name).read_bytes() == (tiny_run / name).read_bytes(), name


def check_sums(folder: Path) -> None:
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    assert sorted(line.split("  ")[1] for line in lines) == sorted(MODEL_NAMES)
    for line in lines:
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name


def test_sums_of_a_run(tiny_run: Path) -> None:
    check_sums(tiny_run)


@pytest.fixture(scope="module")
def shipped() -> Path:
    return resources_dir() / "demo"


def test_shipped_files_are_whole_and_small(shipped: Path) -> None:
    check_sums(shipped)
    for path in shipped.iterdir():
        assert path.stat().st_size < 8_000_000, path.name
    for name in ("audio.safetensors", "motion.safetensors"):
        assert (shipped / name).stat().st_size < 1_000_000
    assert gzip.decompress((shipped / "merges.txt.gz").read_bytes()).startswith(b"#version")


def test_shipped_model_finds_clips_it_never_saw(shipped: Path) -> None:
    """Two val galleries of 48: the README promises far more than this floor."""
    figures = clip_report(shipped, "val", 2, seed=0)
    assert figures["r1"] > 0.6
    assert figures["r5"] > 0.9


def test_shipped_model_sees_decoded_frames_as_it_was_trained(shipped: Path) -> None:
    """224-pixel frames through the preset's own preprocessing, plain and compressed, agree with the training's."""
    tower = load_extractors(get_preset("demo")).clip
    assert tower
    for spec in draw_specs("val", 6, 0):
        large = frames(spec, [0.7])
        small = seen_frames(spec, [0.7], 64)
        jpeg = cv2.imdecode(
            cv2.imencode(".jpg", large[0], [cv2.IMWRITE_JPEG_QUALITY, 70])[1], cv2.IMREAD_COLOR
        )
        features = [tower.encode(images)[0] for images in (small, large, jpeg[None])]
        trained, decoded, compressed = (vector / np.linalg.norm(vector) for vector in features)
        assert trained @ decoded > 0.97
        assert trained @ compressed > 0.9


def test_many_positive_loss_by_hand() -> None:
    """Two texts true of both clips cost nothing when all logits are equal; a single true pair is plain InfoNCE."""
    equal = torch.zeros(2, 2)
    assert float(many_positive_loss(equal, np.ones((2, 2), bool))) == pytest.approx(0.0, abs=1e-6)
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(4)
    expected = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
    assert float(many_positive_loss(logits, np.eye(4, dtype=bool))) == pytest.approx(
        float(expected), abs=1e-6
    )


def test_learning_rate_rises_then_falls_to_nothing() -> None:
    rates = [warm_cosine(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == rates[4] == 1.0
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates[4:]))
    assert rates[-1] < 0.001
    assert not math.isnan(warm_cosine(0, 1))


def test_linear_probe_separates_what_is_separable() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    centres = rng.standard_normal((3, 10)) * 4
    known = (centres[labels] + rng.standard_normal((300, 10))).astype(np.float32)
    unknown = (centres[labels] + rng.standard_normal((300, 10))).astype(np.float32)
    assert (linear_probe(known, labels, unknown) == labels).mean() > 0.95
    shuffled = linear_probe(known, rng.permutation(labels), unknown)
    assert (shuffled == labels).mean() < 0.6
