"""The text half of the demo's contrastive model learns on alone: its pictures are settled, its words are not yet.

Movements are told by longer and more varied phrases than colours are, so words need more steps than pictures. Looking
at a frame is what costs; with the frames looked at once, a step of the text half alone costs a fifth.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from torch import nn

from m2hf_core.synthetic.specs import ClipSpec, draw_specs
from m2hf_core.text.tokenizers import BpeTokenizer
from m2hf_core.text.tower import TowerModules
from m2hf_core.training.demo_data import Truth, caption_truth, clip_values, seen_frames, sighted_captions
from m2hf_core.training.demo_gates import Gates, by_tenth, gated_losses, warm_cosine

log = logging.getLogger(__name__)

FRAME_TIMES_S = (0.5, 1.5, 2.5, 3.5)


@dataclass(frozen=True, slots=True)
class WordsRecipe:
    """Sizes of the text half's own training; the defaults are the shipped model's."""

    clips: int = 6_000
    captions_per_clip: int = 8
    batch: int = 256
    steps: int = 600
    learning_rate: float = 1e-3
    weight_decay: float = 0.05


def teach_words(
    model: CLIP,
    text_config: dict[str, Any],
    tokenizer: BpeTokenizer,
    gates: Gates,
    recipe: WordsRecipe,
    pixels: int,
    seed: int,
) -> list[float]:
    """Train the text tower and the logit scale of `model` against frames that stay as they are.

    Returns the mean loss of each tenth.
    """
    round_to_half(model)
    specs = draw_specs("train", recipe.clips, seed)
    log.info("looking at %d clips", recipe.clips)
    seen = look_at(model, specs, pixels)
    written = [
        caption for spec in specs for caption in sighted_captions(spec, recipe.captions_per_clip, seed)
    ]
    rows = (recipe.clips, recipe.captions_per_clip)
    tokens = tokenizer([caption.text for caption in written]).view(*rows, -1)
    truth, values = caption_truth(written).allowed.reshape(*rows, -1), clip_values(specs)
    text = TowerModules(model, text_config)
    learning = [*text.parameters(), model.logit_scale]
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in learning if p.ndim > 1], "weight_decay": recipe.weight_decay},
            {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
        betas=(0.9, 0.98),
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: warm_cosine(step, recipe.steps))
    rng = np.random.default_rng(seed + 1)
    size = min(recipe.batch, recipe.clips)
    losses: list[float] = []
    for step in range(recipe.steps):
        clips = rng.choice(recipe.clips, size, replace=False)
        frames = seen[clips, rng.integers(len(FRAME_TIMES_S), size=size)]
        caption = rng.integers(recipe.captions_per_clip, size=size)
        found, pooled = text(tokens[clips, caption])
        words = F.normalize(found[torch.arange(size), pooled], dim=-1)
        allowed = Truth(truth[clips, caption])
        plain, loud, quick = gated_losses(
            frames, words, model.logit_scale.exp(), gates, allowed, values[clips]
        )
        loss = (plain + loud + quick) / 3
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(learning, 1.0)
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
        losses.append(float(loss.detach()))
        if step % 50 == 0:
            log.info("words, step %d of %d: loss %.3f", step, recipe.steps, np.mean(losses[-50:]))
    return by_tenth(losses)


@torch.no_grad()
def round_to_half(model: nn.Module) -> None:
    """As the weights will be stored, so that words are taught with the pictures that people will get."""
    for parameter in model.parameters():
        parameter.copy_(parameter.half())
    for buffer in model.buffers():
        if buffer.is_floating_point():
            buffer.copy_(buffer.half())


@torch.inference_mode()
def look_at(model: CLIP, specs: list[ClipSpec], pixels: int, batch: int = 64) -> torch.Tensor:
    """[clips, 4, d] un-normalised frame vectors."""
    rows = []
    for start in range(0, len(specs), batch):
        shown = np.concatenate(
            [seen_frames(spec, FRAME_TIMES_S, pixels) for spec in specs[start : start + batch]]
        )
        pictures = torch.from_numpy(shown).permute(0, 3, 1, 2).float() / 127.5 - 1
        rows.append(model.encode_image(pictures))
    return torch.cat(rows).view(len(specs), len(FRAME_TIMES_S), -1).clone()
