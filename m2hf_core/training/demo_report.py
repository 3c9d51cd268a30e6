"""How good the demo models are on clips that they never saw, measured through the program's own loaders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from m2hf_core.features.clip import ImageTower
from m2hf_core.features.contracts import Float32
from m2hf_core.features.tiny import TinyAudioExtractor, TinyMotionExtractor
from m2hf_core.synthetic.captions import Caption, visual_caption
from m2hf_core.synthetic.picture import frames
from m2hf_core.synthetic.specs import ClipSpec, Split, draw_specs
from m2hf_core.text.descriptions import read_description
from m2hf_core.text.half import build_text_from
from m2hf_core.text.openclip import build_from
from m2hf_core.text.tower import TextTower
from m2hf_core.training.demo_clip import CONFIG_NAME, WEIGHTS_NAME
from m2hf_core.training.demo_data import (
    VALUES,
    VISUAL,
    Int,
    caption_truth,
    class_numbers,
    clip_values,
    heard_samples,
    moved_runs,
)
from m2hf_core.training.demo_senses import AUDIO_NAME, MOTION_NAME

GALLERY = 48
FRAME_TIMES_S = (0.5, 1.5, 2.5, 3.5)


def clip_report(folder: Path, split: Split, galleries: int, seed: int) -> dict[str, float]:
    """R@1 of visual captions with at least three claims among 48 clips, from 224-pixel frames, mean-pooled.

    A caption may be true of several clips of its gallery; `ceiling` is what somebody who sees everything reaches.
    """
    description, weights = read_description(folder / CONFIG_NAME), folder / WEIGHTS_NAME
    text = TextTower(build_text_from(description["model_cfg"], weights, name="demo"))
    image = ImageTower(build_from(description, weights, name="demo"))
    specs = draw_specs(split, galleries * GALLERY, seed)
    clips = np.concatenate([pooled_frames(image, spec) for spec in specs])
    written = [telling_caption(spec) for spec in specs]
    words = text.encode([caption.text for caption in written]).pooled_vector.numpy()
    scores = unit(words) @ unit(clips).T
    true = caption_truth(written).of(clip_values(specs), VISUAL)
    firsts, fives, fits, ceiling = [], [], [], []
    for start in range(0, len(specs), GALLERY):
        part = slice(start, start + GALLERY)
        ranks = (scores[part, part] > np.diag(scores)[part, None]).sum(1)
        firsts.append(ranks == 0)
        fives.append(ranks < 5)
        fits.append(true[part, part][np.arange(GALLERY), scores[part, part].argmax(1)])
        ceiling.append(1 / true[part, part].sum(1))
    names = ("r1", "r5", "first_fits_caption", "ceiling_r1")
    rows = (firsts, fives, fits, ceiling)
    figures = {name: round(float(np.mean(row)), 4) for name, row in zip(names, rows, strict=True)}
    return {"queries": len(specs), "gallery": GALLERY, **figures}


def telling_caption(spec: ClipSpec) -> Caption:
    """The first visual caption of the clip that claims at least three of shape, colour, background and count."""
    seed = 0
    while len((caption := visual_caption(spec, seed)).attributes) < 3:
        seed += 1
    return caption


def pooled_frames(image: ImageTower, spec: ClipSpec) -> Float32:
    """[1, d]: the mean of the unit vectors of four frames."""
    mean: Float32 = unit(image.encode(frames(spec, FRAME_TIMES_S))).mean(axis=0, keepdims=True)
    return mean


def unit(rows: Float32) -> Float32:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def audio_report(folder: Path, clips: int, seed: int) -> dict[str, float]:
    """How often a linear probe on a clip's mean feature names its sound."""
    extractor = TinyAudioExtractor(folder / AUDIO_NAME)
    return probe_report(lambda spec: extractor(heard_samples(spec)).values, "sound", clips, seed)


def motion_report(folder: Path, clips: int, seed: int) -> dict[str, float]:
    """How often a linear probe on a clip's mean feature names its movement, from 224-pixel frames."""
    extractor = TinyMotionExtractor(folder / MOTION_NAME)
    starts = (0.0, 1.0, 2.0, 2.9)
    return probe_report(lambda spec: extractor.encode(moved_runs(spec, starts)), "motion", clips, seed)


def probe_report(encode: Callable[[ClipSpec], Float32], name: str, clips: int, seed: int) -> dict[str, float]:
    """Fit the probe on train clips that trained nothing before (another seed), look at val clips."""
    fitted, seen = draw_specs("train", clips, seed + 1), draw_specs("val", clips, seed)
    known, unknown = (np.stack([encode(spec).mean(axis=0) for spec in specs]) for specs in (fitted, seen))
    guesses = linear_probe(known, class_numbers(fitted, name), unknown)
    accuracy = float((guesses == class_numbers(seen, name)).mean())
    return {"clips": clips, "classes": len(VALUES[name]), "linear_probe_accuracy": round(accuracy, 4)}


def linear_probe(known: Float32, labels: Int, unknown: Float32, ridge: float = 1e-2) -> Int:
    """[n, d] features with labels -> guessed labels of other features, by ridge regression on one-hot targets."""
    mean, deviation = known.mean(axis=0), known.std(axis=0) + 1e-6
    known, unknown = ((rows - mean) / deviation for rows in (known, unknown))
    targets = np.eye(int(labels.max()) + 1)[labels]
    weights = np.linalg.solve(
        known.T @ known + ridge * len(known) * np.eye(known.shape[1]), known.T @ targets
    )
    return np.asarray((unknown @ weights + targets.mean(axis=0)).argmax(axis=1), np.int64)
