"""What a training step costs, as a share of what one large matrix product reaches on the same device in the same run.

Batches are made once and stay on the device, so decoding and reading are not in these figures. A step is that of a run:
encode, contrast, go backward, clip, update. Its operations are counted, not estimated: those of the forward pass, three
times (backward costs two more); what gradient checkpointing computes again is not counted as work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from m2hf_core.model.bench import machine
from m2hf_core.model.inputs import TextFeatures, VideoFeatures
from m2hf_core.model.m2hf import M2HF
from m2hf_core.text.openclip import describe, random_model
from m2hf_core.text.tower import TowerModules
from m2hf_core.training.batchsource import StoredBatch
from m2hf_core.training.contrast import Contrast
from m2hf_core.training.fit import wants_bf16
from m2hf_core.training.schedule import make_optimiser
from m2hf_core.training.settings import TrainSettings
from m2hf_core.training.sides import PairEncoder
from m2hf_core.training.stepping import Batch, backward
from m2hf_core.training.towers import LiveBatch, TowerEncoder

ARCHITECTURE = "ViT-B-16"
WIDTH, AUDIO_WIDTH, MOTION_WIDTH = 512, 128, 1024
PICTURE, CONTEXT = 224, 77
SHARE_TARGET = 0.45
PAPER_GB = 27.5
"""On each of 8 cards, for 128 pairs together (M2HF, section 4.2)."""
PRODUCT = {"cpu": 2048, "cuda": 8192}


def frozen(
    batch: int = 128, frames: int = 12, words: int = 32, *, device: str, steps: int = 5
) -> dict[str, Any]:
    """Steps of the scorer alone on stored features with ViT-B/16's width."""
    settings = TrainSettings(batch=batch, frames=frames, words=words)
    encoder = PairEncoder(_scorer(settings)).to(device).train()
    heads = list(encoder.scorer.named_parameters())
    tokens, mask, pooled = _tokens(batch, words)
    stored = StoredBatch(
        TextFeatures(torch.randn(*tokens.shape, WIDTH), mask, pooled).to(device),
        _features(batch, frames).to(device),
    )
    return _document(
        "frozen", encoder, stored, make_optimiser(heads, [], settings), encoder.rho, settings, device, steps
    )


def end_to_end(
    batch: int = 128,
    frames: int = 12,
    words: int = 32,
    *,
    device: str,
    steps: int = 3,
    checkpointing: bool = True,
) -> dict[str, Any]:
    """Steps that teach both towers of ViT-B/16 too, from random weights on random pictures."""
    settings = TrainSettings(batch=batch, frames=frames, words=words, tune="all", checkpointing=checkpointing)
    torch.manual_seed(0)
    clip = random_model(ARCHITECTURE)
    text = TowerModules(clip, dict(describe(ARCHITECTURE)["model_cfg"]["text_cfg"])).requires_grad_(True)
    scorer = _scorer(settings)
    pairs = PairEncoder(scorer)
    encoder = TowerEncoder(pairs, text, clip.get_submodule("visual"), checkpointing).to(device).train()
    towers = [(name, one) for name, one in encoder.named_parameters() if not name.startswith("pairs.")]
    optimiser = make_optimiser(scorer.named_parameters(), towers, settings)
    ids, mask, pooled = _tokens(batch, min(words, CONTEXT))
    video = _features(batch, frames)
    live = LiveBatch(
        *(
            tensor.to(device)
            for tensor in (
                ids,
                mask,
                pooled,
                torch.randn(batch, frames, 3, PICTURE, PICTURE),
                video.frame_mask,
                video.audio,
                video.has_audio,
                video.motion,
                video.has_motion,
            )
        )
    )
    return _document("e2e", encoder, live, optimiser, pairs.rho, settings, device, steps)


def _scorer(settings: TrainSettings) -> M2HF:
    torch.manual_seed(0)
    scorer = M2HF(WIDTH)
    scorer.open_tokens(settings.rho)
    return scorer


def _tokens(batch: int, words: int) -> tuple[Tensor, Tensor, Tensor]:
    """(ids, mask, pooled): every text is as long as a text may be."""
    ids = torch.randint(1, 40_000, (batch, words))
    return ids, torch.ones(batch, words, dtype=torch.bool), torch.full((batch,), words - 1)


def _features(batch: int, frames: int) -> VideoFeatures:
    here = torch.ones(batch, frames, dtype=torch.bool)
    return VideoFeatures(
        torch.randn(batch, frames, WIDTH),
        here,
        torch.randn(batch, frames, AUDIO_WIDTH),
        here.clone(),
        torch.randn(batch, frames, MOTION_WIDTH),
        here.clone(),
    )


def _document(
    what: str,
    encoder: nn.Module,
    batch: Batch,
    optimiser: torch.optim.Optimizer,
    rho: float,
    settings: TrainSettings,
    device: str,
    steps: int,
) -> dict[str, Any]:
    bf16 = wants_bf16("auto", device)
    contrast = Contrast(rho, settings.balance, settings.prior_temperature)  # type: ignore[arg-type]
    work = _operations(encoder, batch, contrast)
    kind = device.partition(":")[0]
    if kind == "cuda":
        torch.cuda.reset_peak_memory_stats()
    learning = [one for one in encoder.parameters() if one.requires_grad]

    def step() -> None:
        optimiser.zero_grad()
        backward(encoder, batch, contrast, settings.micro_batch, device, bf16)
        nn.utils.clip_grad_norm_(learning, settings.clip_norm or torch.inf)
        optimiser.step()

    seconds = _fastest(step, kind, steps)
    peak = _product_rate(kind, device, bf16)
    figures: dict[str, Any] = {
        "samples_per_second": round(len(batch) / seconds, 2),
        "step_seconds": round(seconds, 4),
        "operations_per_step": work,
        "rate_tflops": round(work / seconds / 1e12, 4),
        "share_of_product": round(work / seconds / peak, 3),
    }
    if kind == "cuda":
        figures["peak_memory_gb"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    against: dict[str, Any] = {"one_product_tflops": round(peak / 1e12, 4)}
    if what == "e2e":
        against |= {"share_target": SHARE_TARGET, "paper_gb_on_each_of_8_cards": PAPER_GB}
    return {
        "machine": {**machine(), "device": device},
        "sizes": {
            "what": what,
            "batch": len(batch),
            "frames": settings.frames,
            "words": settings.words,
            "parameters": sum(one.numel() for one in learning),
            "checkpointing": what == "e2e" and settings.checkpointing,
            "precision": "bf16" if bf16 else "float32",
        },
        "figures": figures,
        "against": against,
    }


def _operations(encoder: nn.Module, batch: Batch, contrast: Contrast) -> int:
    """Multiplications and additions of matrix products and convolutions in one training step."""
    # The plain form of attention is made of products that the counter knows, whatever the device would choose.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        contrast(batch.encode(encoder, slice(0, len(batch))))
    forward: int = counter.get_total_flops()
    return 3 * forward


def _product_rate(kind: str, device: str, bf16: bool) -> float:
    """Operations per second of one large product: what this device's matrix unit gives in practice."""
    n = PRODUCT[kind]
    left = torch.randn(n, n, device=device, dtype=torch.bfloat16 if bf16 else torch.float32)
    return 2 * n**3 / _fastest(lambda: torch.matmul(left, left), kind, 5)


def _fastest(work: Callable[[], object], kind: str, repeats: int) -> float:
    """Seconds of the fastest of `repeats`, after one to warm up: the least disturbed by what else the machine does."""
    times = []
    for _ in range(repeats + 1):
        if kind == "cuda":
            torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        if kind == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return min(times[1:])
