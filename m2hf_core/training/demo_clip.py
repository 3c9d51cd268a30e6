"""Trains the demo's contrastive model on the synthetic world: tiny, in open_clip's own format, and no special case.

Two things differ from CLIP's recipe. Captions of a small world are true of several clips of a batch, so every true
pair is a positive. And captions are also compared with frames that pass a fixed gate for their sound and for their
movement, as M2HF's audio and motion branches re-weigh channels (Eq. 4 and its twin for motion): so the words learn
which channels a scorer's gates may open. The fixed gates are thrown away; a scorer learns its own.
"""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from safetensors.torch import save
from torch import nn

from m2hf_core.features.contracts import UInt8
from m2hf_core.synthetic.specs import DURATION_S, ClipSpec, draw_specs
from m2hf_core.text.tokenizers import BpeTokenizer
from m2hf_core.text.tower import TowerModules
from m2hf_core.training.demo_data import (
    VALUES,
    VISUAL,
    Int,
    Truth,
    caption_truth,
    clip_values,
    seen_frames,
    sighted_captions,
)
from m2hf_core.training.demo_gates import Gates, by_tenth, class_of, gated_losses, random_gates, warm_cosine
from m2hf_core.training.demo_words import WordsRecipe, teach_words

log = logging.getLogger(__name__)

MERGES_NAME, CONFIG_NAME, WEIGHTS_NAME = "merges.txt.gz", "clip.json", "clip.safetensors"
PREPROCESS = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}


@dataclass(frozen=True, slots=True)
class ClipRecipe:
    """Sizes of the model and of its training; the defaults are the shipped model's."""

    embed_dim: int = 128
    pixels: int = 64
    image_width: int = 16
    text_width: int = 128
    text_layers: int = 2
    context_length: int = 40
    clips: int = 2_000
    frames_per_clip: int = 8
    captions_per_clip: int = 8
    batch: int = 128
    steps: int = 400
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    words: WordsRecipe = field(default_factory=WordsRecipe)
    """How the text half learns on, alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Everything that training draws its batches from."""

    images: UInt8
    """[clips, frames, pixels, pixels, 3]"""
    tokens: torch.Tensor
    """int64 [clips, captions, context]"""
    truth: Int
    """[clips, captions, 6] the bit masks of `Truth`"""
    values: Int
    """[clips, 6]"""


class Scaffold(nn.Module):
    """What helps while training and is thrown away: gates for sound and movement, and a head per visual attribute.

    The heads name what a frame shows, which makes the picture's half learn in a third of the steps.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gates = random_gates(width)
        self.heads = nn.ModuleDict({name: nn.Linear(width, len(VALUES[name])) for name in VISUAL})

    def naming_loss(self, seen: torch.Tensor, values: Int) -> torch.Tensor:
        """Mean cross-entropy of the visual attributes, [n, d] un-normalised frame vectors."""
        losses = [F.cross_entropy(self.heads[name](seen), class_of(values, name)) for name in VISUAL]
        return torch.stack(losses).mean()


def model_config(recipe: ClipRecipe, vocabulary: int) -> dict[str, Any]:
    """open_clip's `model_cfg`; its small residual network learns places and counts in far fewer steps than a ViT."""
    return {
        "embed_dim": recipe.embed_dim,
        "vision_cfg": {"image_size": recipe.pixels, "layers": [1, 1, 1, 1], "width": recipe.image_width},
        "text_cfg": {
            "context_length": recipe.context_length,
            "vocab_size": vocabulary,
            "width": recipe.text_width,
            "heads": 4,
            "layers": recipe.text_layers,
            "tokenizer_kwargs": {"bpe_path": MERGES_NAME},
        },
    }


def train_clip(folder: Path, recipe: ClipRecipe, seed: int) -> list[float]:
    """Train on train combinations only and write configuration and weights beside the merges in `folder`.

    Returns the mean loss of each tenth of both halves' training, then of each tenth of the words'.
    """
    torch.manual_seed(seed)
    tokenizer = BpeTokenizer(recipe.context_length, str(folder / MERGES_NAME))
    config = model_config(recipe, vocabulary_size(tokenizer))
    model = CLIP(**config)
    log.info("drawing %d clips", recipe.clips)
    pool = draw_pool(draw_specs("train", recipe.clips, seed), tokenizer, recipe, seed)
    gates, losses = fit(model, config, pool, recipe, seed)
    losses += teach_words(model, config["text_cfg"], tokenizer, gates, recipe.words, recipe.pixels, seed)
    description = {"model_cfg": config, "preprocess_cfg": PREPROCESS}
    (folder / CONFIG_NAME).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    save_half(model, folder / WEIGHTS_NAME)
    return losses


def vocabulary_size(tokenizer: BpeTokenizer) -> int:
    """The end mark is the last token of all."""
    return tokenizer.pieces("").ids[-1] + 1


def draw_pool(specs: list[ClipSpec], tokenizer: BpeTokenizer, recipe: ClipRecipe, seed: int) -> Pool:
    """Render every clip a few times at random moments and write it a few captions."""
    rng = np.random.default_rng(seed)
    shape = (len(specs), recipe.frames_per_clip, recipe.pixels, recipe.pixels, 3)
    images = np.empty(shape, np.uint8)
    written = []
    for row, spec in enumerate(specs):
        times = rng.uniform(0, DURATION_S, recipe.frames_per_clip)
        images[row] = seen_frames(spec, times.tolist(), recipe.pixels)
        written += sighted_captions(spec, recipe.captions_per_clip, seed)
    rows = (len(specs), recipe.captions_per_clip)
    tokens = tokenizer([caption.text for caption in written]).reshape(*rows, -1)
    return Pool(images, tokens, caption_truth(written).allowed.reshape(*rows, -1), clip_values(specs))


def fit(
    model: CLIP, config: dict[str, Any], pool: Pool, recipe: ClipRecipe, seed: int
) -> tuple[Gates, list[float]]:
    """AdamW with a short warm-up and a cosine decay. Returns the fixed gates and the mean loss of each tenth."""
    rng = np.random.default_rng(seed)
    scaffold = Scaffold(recipe.embed_dim)
    text = TowerModules(model, config["text_cfg"])
    model.visual.to(memory_format=torch.channels_last)
    parameters = [*model.parameters(), *scaffold.parameters()]
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1] + list(scaffold.parameters())
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: warm_cosine(step, recipe.steps))
    model.train()
    losses: list[float] = []
    for step in range(recipe.steps):
        loss = batch_loss(model, text, scaffold, pool, recipe, rng)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
        losses.append(float(loss.detach()))
        if step % 25 == 0:
            log.info("step %d of %d: loss %.3f", step, recipe.steps, np.mean(losses[-25:]))
    model.eval()
    return scaffold.gates, by_tenth(losses)


def batch_loss(
    model: CLIP,
    text: TowerModules,
    scaffold: Scaffold,
    pool: Pool,
    recipe: ClipRecipe,
    rng: np.random.Generator,
) -> torch.Tensor:
    """One frame and one caption of `batch` different clips, compared as seen, as heard and as moved."""
    clips = rng.choice(len(pool.values), min(recipe.batch, len(pool.values)), replace=False)
    frame = rng.integers(pool.images.shape[1], size=len(clips))
    caption = rng.integers(pool.tokens.shape[1], size=len(clips))
    seen = model.encode_image(augment(pool.images[clips, frame], rng))
    tokens, pooled = text(pool.tokens[clips, caption])
    words = F.normalize(tokens[torch.arange(len(clips)), pooled], dim=-1)
    truth, values = Truth(pool.truth[clips, caption]), pool.values[clips]
    plain, loud, quick = gated_losses(seen, words, model.logit_scale.exp(), scaffold.gates, truth, values)
    return plain / 3 + loud / 3 + quick / 3 + scaffold.naming_loss(seen, values)


def augment(images: UInt8, rng: np.random.Generator) -> torch.Tensor:
    """uint8 [n, p, p, 3] -> float [n, 3, p, p]: mirrored, and as rough as a compressed video may look.

    One draw per batch decides about mirroring, turning and blur; level, contrast and noise vary by image.
    """
    batch = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    flips = [axis for axis in (2, 3) if rng.random() < 0.5]
    batch = torch.rot90(batch.flip(flips), int(rng.integers(4)), (2, 3))
    if rng.random() < 0.3:
        smooth = F.avg_pool2d(F.pad(batch, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        batch = torch.lerp(batch, smooth, float(rng.random()))
    n = len(batch)
    contrast = torch.from_numpy(rng.uniform(0.92, 1.08, (n, 1, 1, 1)).astype(np.float32))
    level = torch.from_numpy(rng.uniform(-0.06, 0.06, (n, 1, 1, 1)).astype(np.float32))
    noise = torch.from_numpy(rng.standard_normal(batch.shape, dtype=np.float32)) * float(rng.uniform(0, 0.03))
    return (batch * contrast + level + noise).contiguous(memory_format=torch.channels_last)


def save_half(network: nn.Module, path: Path) -> None:
    """float16 safetensors: half the size, and the loader widens them again."""
    state = {key: value.detach().contiguous() for key, value in network.state_dict().items()}
    halves = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    # Not `save_file`, whose files only their owner may read.
    path.write_bytes(save(halves))
