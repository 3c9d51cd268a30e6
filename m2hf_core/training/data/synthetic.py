"""The synthetic world as a prepared data set: drawn as arrays, seen and heard by the preset's own extractors.

No file is decoded, so this runs without PyAV. Clip i of a split is the same for every size, and so is its caption j.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from m2hf_core.errors import ModelsMissing
from m2hf_core.features import AudioExtractor, ImageExtractor, MotionExtractor
from m2hf_core.features.loading import load_extractors
from m2hf_core.hub.manifest import Preset, get_preset
from m2hf_core.progress import Progress
from m2hf_core.records import Feature
from m2hf_core.synthetic import (
    DURATION_S,
    FRAME_RATE,
    ClipSpec,
    Split,
    captions,
    draw_specs,
    frames,
    sound,
    transcript,
)
from m2hf_core.text import NounExtractor, load_nouns
from m2hf_core.text.tower import TextTower, open_text_tower
from m2hf_core.training.data.dataset import ClipInfo, PairedData
from m2hf_core.training.data.packing import RawClip, shorten
from m2hf_core.training.data.prepared import (
    About,
    Captions,
    claim,
    encode_captions,
    open_prepared,
    write_about,
)
from m2hf_core.training.data.shards import ShardWriter, SpokenClip

DATASET = "synthetic"
WORDS = 32
FRAME_STEP_S = 1.0
MOTION_SIZE = 96


@dataclass(frozen=True, slots=True)
class Senses:
    """The extractors and words of one preset, opened once."""

    preset: str
    clip: ImageExtractor
    audio: AudioExtractor
    motion: MotionExtractor
    tower: TextTower
    nouns: NounExtractor

    @property
    def fingerprints(self) -> dict[str, str]:
        return {
            "clip": self.clip.fingerprint,
            "audio": self.audio.fingerprint,
            "motion": self.motion.fingerprint,
            "nouns": self.nouns.fingerprint,
        }


def open_senses(preset: Preset, device: str = "cpu") -> Senses:
    """Raises `ModelsMissing` where a network of the preset is not on this machine."""
    found = load_extractors(preset, device)
    if found.clip is None or found.audio is None or found.motion is None:
        raise ModelsMissing(" ".join(found.asleep.values()))
    return Senses(preset.id, found.clip, found.audio, found.motion, open_text_tower(preset), load_nouns())


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of the world to draw."""

    train: int = 8000
    val: int = 500
    test: int = 1000
    captions: int = 4
    """Per train clip; val and test clips have one, so that a query has one truth."""

    def clips(self) -> dict[Split, int]:
        wanted: dict[Split, int] = {"train": self.train, "val": self.val, "test": self.test}
        return {split: count for split, count in wanted.items() if count}


def prepare_synthetic(
    folder: Path,
    sizes: Sizes | None = None,
    *,
    seed: int = 0,
    preset: str = "demo",
    device: str = "cpu",
    words: int = WORDS,
    progress: Progress | None = None,
) -> About:
    """Draw and extract what is not there yet; open the folder with `open_prepared`.

    Raises `ModelsMissing`, `DiskFull`, `Interrupted`; a later call with the same arguments goes on.
    """
    sizes, progress = sizes or Sizes(), progress or Progress()
    senses = open_senses(get_preset(preset), device)
    shorten(senses.tower, words)
    plan = {"data": DATASET, "seed": seed, "sizes": asdict(sizes), "words": words, "by": senses.fingerprints}
    claim(folder, plan)
    shards: dict[str, list[str]] = {}
    for split, count in sizes.clips().items():
        specs = {clip_id(spec): spec for spec in draw_specs(split, count, seed)}
        writer = ShardWriter(folder, split, list(specs))
        missing = writer.missing()
        progress.start(f"draw {split}", len(missing), "clips")
        for name in missing:
            writer.put(extract_spec(specs[name], senses))
            progress.advance()
        shards[split] = [path.name for path in writer.paths()]
        written = _captions(specs, 1 if split != "train" else sizes.captions, seed)
        encode_captions(folder, split, written, senses.tower, senses.nouns, progress)
    about = About(
        DATASET,
        preset,
        senses.fingerprints,
        senses.tower.logit_scale,
        senses.tower.tokenizer.has_start,
        senses.tower.tokenizer.context_length,
        {"frames": senses.clip.width, "audio": senses.audio.width, "motion": senses.motion.width},
        shards,
    )
    write_about(folder, about)
    return about


def synthetic_data(
    folder: Path, sizes: Sizes, *, frames: int = 4, seed: int = 0, progress: Progress | None = None
) -> PairedData:
    """Prepare (what is missing) and open; clips last 4 s, so 4 frames hold all that there is."""
    prepare_synthetic(folder, sizes, seed=seed, progress=progress)
    return open_prepared(folder, frames, progress=progress)


def clip_id(spec: ClipSpec) -> str:
    return f"{spec.split}-{spec.seed}-{spec.index}"


def extract_spec(spec: ClipSpec, senses: Senses) -> SpokenClip:
    """What indexing would store of this clip's file, short of what its codec does to pixels."""
    said = transcript(spec)
    lines = () if said is None else tuple((line.text, said.language) for line in said.lines)
    nouns = frozenset(noun for text, language in lines for noun in senses.nouns(text, language))
    samples = sound(spec, senses.audio.rate)
    audio = None if samples is None else senses.audio(samples)
    info = ClipInfo(clip_id(spec), "", 0.0, DURATION_S, lines)
    return SpokenClip(RawClip(info, _seen(spec, senses.clip), audio, _moved(spec, senses.motion)), nouns)


def _seen(spec: ClipSpec, tower: ImageExtractor) -> Feature:
    """One frame per second, from the middle of each."""
    starts = np.arange(0, DURATION_S, FRAME_STEP_S)
    values = tower.encode(frames(spec, shown_at(starts + FRAME_STEP_S / 2)))
    return Feature(values, starts, starts + FRAME_STEP_S)


def _moved(spec: ClipSpec, extractor: MotionExtractor) -> Feature:
    starts = np.arange(0, DURATION_S, extractor.step_s)
    times = starts[:, None] + np.arange(extractor.frames_per_clip) / extractor.fps
    # A run that reaches beyond the end holds its last frame.
    last = np.where(times < DURATION_S, times, -1.0).max(axis=1, keepdims=True)
    # The demo's network looks at 48 pixels: twice that gives features within 0.5 % of 224's, in a third of the time.
    shown = frames(spec, shown_at(np.minimum(times, last).ravel()), size=MOTION_SIZE)
    runs = shown.reshape(*times.shape, MOTION_SIZE, MOTION_SIZE, 3)
    return Feature(extractor.encode(runs), starts, np.minimum(starts + extractor.step_s, DURATION_S))


def shown_at(times_s: np.ndarray) -> np.ndarray:
    """The times of the frames that a file shows at these moments."""
    return np.floor(times_s * FRAME_RATE + 1e-6) / FRAME_RATE


def _captions(specs: Mapping[str, ClipSpec], count: int, seed: int) -> Captions:
    texts, owners, senses = [], [], []
    for name, spec in specs.items():
        for caption in captions(spec, count, seed):
            texts.append(caption.text)
            owners.append(name)
            senses.append(tuple(sorted(sense.value for sense in caption.senses)))
    return Captions(tuple(texts), tuple(owners), tuple(senses))
