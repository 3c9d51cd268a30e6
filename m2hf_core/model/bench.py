"""What scoring costs on this machine, as a share of the matrix products that it cannot do without.

The products are timed alone in the same run, with the same tiles, so the share says what masks, maxima and weights add
and nothing about the processor. Peak memory is that of a fresh process which does nothing but the evaluation.
"""

from __future__ import annotations

import multiprocessing
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from m2hf_core.model.heads import unit_rows
from m2hf_core.model.inputs import DENSE_BRANCHES, EncodedVideo, Side, TextFeatures
from m2hf_core.model.m2hf import M2HF
from m2hf_core.model.wti import product_type, reduce_tile, tile_sizes, wti_matrix

WIDTH, FRAMES, TOKENS = 512, 12, 32
GPU_TARGET_SHARE = 0.7
PEAK_TARGET_MB = 2048


def forward(
    texts: int = 1000, clips: int = 1000, candidates: int = 500, repeats: int = 3, memory: bool = True
) -> dict[str, Any]:
    """What `M2HF.score` costs with ViT-B/16 sizes (width 512, 12 frames, 32 tokens, three branches).

    On the CPU, and on a GPU where there is one: scores per second of the texts x clips evaluation, one query against
    `candidates` clips; with `memory`, the evaluation's peak in a process of its own (some seconds more).
    """
    figures: dict[str, Any] = {"cpu": _measure("cpu", texts, clips, candidates, repeats)}
    if torch.cuda.is_available():
        figures["cuda_bf16"] = _measure("cuda", texts, clips, candidates, repeats)
    if memory:
        figures["peak_memory_mb"] = _in_fresh_process(texts, clips)
    return {
        "machine": machine(),
        "sizes": {
            "width": WIDTH,
            "frames": FRAMES,
            "tokens": TOKENS,
            "texts": texts,
            "clips": clips,
            "candidates": candidates,
            "branches": len(DENSE_BRANCHES),
        },
        "figures": figures,
        "against": {"cuda_share_of_products": GPU_TARGET_SHARE, "peak_memory_mb": PEAK_TARGET_MB},
    }


def machine() -> dict[str, Any]:
    """What the figures belong to."""
    return {
        "system": platform.system(),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
    }


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _inputs(texts: int, clips: int, device: str) -> tuple[M2HF, TextFeatures, EncodedVideo]:
    """An opened scorer and random features; the clips are made as stored ones, without running the extractors."""
    torch.manual_seed(0)
    scorer = M2HF(WIDTH).eval()
    scorer.open_tokens()
    tokens = torch.randn(texts, TOKENS, WIDTH)
    text = TextFeatures(tokens, torch.ones(texts, TOKENS, dtype=torch.bool), torch.full((texts,), TOKENS - 1))
    sides = {}
    for name in scorer.branches:
        weight = torch.full((clips, FRAMES), 1.0 / FRAMES)
        mask = torch.ones(clips, FRAMES, dtype=torch.bool)
        sides[name] = Side(unit_rows(torch.randn(clips, FRAMES, WIDTH)), weight, mask)
    return scorer.to(device), text.to(device), EncodedVideo(sides, {}).to(device)


@torch.inference_mode()
def _measure(device: str, texts: int, clips: int, candidates: int, repeats: int) -> dict[str, Any]:
    scorer, text, encoded = _inputs(texts, clips, device)
    some = slice(0, min(candidates, clips))
    one, pool = text.select(slice(0, 1)), encoded.select(some)
    with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
        sides = scorer.encode_text(text)
        first = scorer.branches[0]
        products = _seconds(lambda: _products_alone(sides[first], encoded.branches[first]), device, repeats)
        square = torch.randn(WIDTH, WIDTH, device=device)
        heads = _seconds(lambda: torch.matmul(text.tokens, square), device, repeats)
        matrix = _seconds(
            lambda: wti_matrix(sides[first], encoded.branches[first], scorer.rho), device, repeats
        )
        whole = _seconds(lambda: scorer.score(text, encoded), device, repeats)
        query = _seconds(lambda: scorer.score(one, pool), device, 5 * repeats)
        found: dict[str, Any] = {
            "scores_per_second": round(len(scorer.branches) * texts * clips / whole),
            "evaluation_seconds": round(whole, 4),
            "products_alone_seconds": round(len(scorer.branches) * (products + heads), 4),
            "share_of_products": round(len(scorer.branches) * (products + heads) / whole, 3),
            "share_of_products_all_pairs_only": round(products / matrix, 3),
            "query_milliseconds": round(1000 * query, 2),
        }
        if device == "cuda":
            fused = torch.compile(reduce_tile)
            compiled = _seconds(
                lambda: wti_matrix(sides[first], encoded.branches[first], scorer.rho, reduction=fused),
                device,
                repeats,
            )
            found["share_of_products_compiled"] = round(products / compiled, 3)
            found["gpu_peak_memory_mb"] = round(torch.cuda.max_memory_allocated() / 2**20)
    return found


def _products_alone(text: Side, video: Side) -> None:
    """The matrix products of `wti_matrix`, tile for tile, and nothing else."""
    dtype = product_type(text.unit)
    texts, clips = tile_sizes(text, video, None)
    tokens, frames = text.unit.to(dtype), video.unit.to(dtype)
    for t in range(0, len(tokens), texts):
        columns = tokens[t : t + texts].reshape(-1, WIDTH).T
        for v in range(0, len(frames), clips):
            torch.matmul(frames[v : v + clips].reshape(-1, WIDTH), columns)


def _seconds(work: Callable[[], object], device: str, repeats: int) -> float:
    """The fastest of `repeats` runs after one to warm up: the least disturbed by whatever else the machine does."""
    times = []
    for _ in range(repeats + 1):
        if device == "cuda":
            torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return min(times[1:])


def _in_fresh_process(texts: int, clips: int) -> dict[str, int] | str:
    """Peak of a new process that builds the inputs and evaluates; torch's own share is told apart."""
    if sys.platform == "win32":
        return "not measured on Windows"
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_evaluate_and_report, (texts, clips))


def _evaluate_and_report(texts: int, clips: int) -> dict[str, int]:
    before = _peak_mb()
    scorer, text, encoded = _inputs(texts, clips, "cpu")
    inputs = _peak_mb()
    with torch.inference_mode():
        scorer.score(text, encoded)
    return {"libraries": before, "libraries_and_inputs": inputs, "evaluation": _peak_mb()}


def _peak_mb() -> int:
    """Largest resident size so far. Linux: VmHWM, since ru_maxrss there survives exec and tells the parent's."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) // 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**20
