"""What searching costs on this machine: the engine's stages, what its shortcuts lose, and other libraries beside it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from app.services.bench_indexes import BUILD_LIMIT_S, compare_indexes
from app.services.burning import burning
from m2hf_core.index import CodedRows, MappedIndex, Part, coded
from m2hf_core.index.threads import each
from m2hf_core.model.bench import machine
from m2hf_core.progress import Progress
from m2hf_core.records import BRANCHES, FUSIONS, Fusion
from m2hf_core.search.asked import AskedStep, fuse_steps, score_step
from m2hf_core.search.bench_world import FRAMES, WIDTH, World, make_gallery, make_queries
from m2hf_core.search.calibrate import Calibration
from m2hf_core.search.engine import fuse_lanes
from m2hf_core.search.gallery import Gallery
from m2hf_core.search.lanes import PER_LANE, EncodedQuery, score_lanes

HITS = 50
WARM_UP = 5
CANDIDATES_ONLY_FROM = 300_000
"""Larger galleries are measured in their candidate stage alone: their frames would take 37 GB a million."""
POOLS = (25, 50, 100, 200, 400)
TARGETS = {
    "engine_p95_ms_at_100000": 40,
    "while_indexing_p95_ms": 100,
    "anonymous_mb_at_100000": 700,
    "overlap_at_10": 0.99,
    "tower_ms_vit_b_8_tokens": 20,
    "tower_ms_pe_core_b_8_tokens": 65,
}


def bench_search(
    sizes: Sequence[int],
    *,
    queries: int,
    exhaustive: int,
    compare: bool,
    towers: bool,
    seed: int,
    folder: Path | None,
    progress: Progress,
    build_limit_s: float = BUILD_LIMIT_S,
) -> dict[str, Any]:
    """Measure galleries of these sizes. They are made in `folder` and stay there (default: gone after).

    `exhaustive`: queries whose answer is compared with scoring every clip exactly. `compare`: other index libraries
    on the same vectors, those that are installed; a graph that takes longer to build than `build_limit_s` of wall time
    is left out, and it is said how far it got. `towers`: text towers with random weights.
    """
    figures: dict[str, Any] = {}
    against: dict[str, Any] = {"targets": TARGETS}
    for clips in sizes:
        world = World.draw(clips, seed)
        with _room(folder) as room:
            if clips >= CANDIDATES_ONLY_FROM:
                figures[str(clips)] = _candidate_stage(world, clips, room, queries, progress)
            else:
                figures[str(clips)] = _engine(world, clips, room, queries, exhaustive, progress)
        if compare:
            against[str(clips)] = compare_indexes(
                world.all_vectors(clips), seed, progress, limit_s=build_limit_s
            )
    if towers:
        progress.start("text towers")
        figures["text_towers"] = text_towers()
    return {
        "machine": {**machine(), "cores": os.cpu_count(), "load": _load()},
        "sizes": {
            "clips": list(sizes),
            "width": WIDTH,
            "frames": FRAMES,
            "queries": queries,
            "hits": HITS,
            "seed": seed,
        },
        "figures": figures,
        "against": against,
    }


@contextmanager
def _room(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="m2hf-bench-") as room:
        yield Path(room)


def _engine(
    world: World, clips: int, room: Path, count: int, exhaustive: int, progress: Progress
) -> dict[str, Any]:
    before = memory_mb()
    gallery = make_gallery(world, clips, room, progress)
    every = make_queries(world, gallery, max(count + WARM_UP, exhaustive))
    queries = every[: count + WARM_UP]
    gallery_mb = memory_mb()["anonymous"] - before["anonymous"]
    calibration = Calibration(gallery, ())
    progress.start(f"search {clips}", count, "queries")
    took, busy, pools = _timed(gallery, calibration, queries, progress)
    by_mean = _timed(gallery, calibration, queries[: min(50, count) + WARM_UP], progress, "mean-rank")
    found: dict[str, Any] = {
        "mean_rank_ms": percentiles(by_mean[0]),
        "mean_rank_processor_ms": percentiles(by_mean[1]),
        "mean_rank_pool_clips": round(float(np.mean(by_mean[2])), 1),
        "engine_ms": percentiles(took),
        "engine_processor_ms": percentiles(busy),
        "stages_ms": _stages(gallery, queries[: min(50, count)]),
        "pool_clips": round(float(np.mean(pools)), 1),
        "fuse_again_ms": percentiles(_fused_again(gallery, queries[: min(50, count)])),
    }
    with burning(os.cpu_count() or 1):
        found["while_indexing_ms"] = percentiles(
            _timed(gallery, calibration, queries[: min(100, count) + WARM_UP], progress)[0]
        )
    after = memory_mb()
    found["memory_mb"] = {
        "anonymous_of_engine": round(after["anonymous"] - before["anonymous"]),
        "of_which_gallery": round(gallery_mb),
        "mapped": round(after["mapped"]),
        "resident": round(after["resident"]),
    }
    if exhaustive:
        found["overlap_at_10"], found["overlap_pools"] = _overlap(gallery, every[:exhaustive], progress)
    return found


def _timed(
    gallery: Gallery,
    calibration: Calibration,
    queries: Sequence[EncodedQuery],
    progress: Progress,
    fusion: Fusion = "mmbf",
) -> tuple[list[float], list[float], list[int]]:
    """Per query after warming up, from its encoding to hits with receipts: (milliseconds, the same of processor time
    over all threads, which other programs do not touch, clips in its pool)."""
    took, busy, pools = [], [], []
    for query in queries:
        began, worked = time.perf_counter(), time.process_time()
        for_mean = BRANCHES if fusion == "mean-rank" else None
        scored = score_step(gallery, AskedStep(query, {}), None, calibration, for_mean)
        fuse_steps(gallery, [scored], k=HITS, fusion=fusion, branches=BRANCHES)
        took.append(1000 * (time.perf_counter() - began))
        busy.append(1000 * (time.process_time() - worked))
        pools.append(len(gallery) if scored.pool is None else int(scored.pool.sum()))
        progress.advance()
    return took[WARM_UP:], busy[WARM_UP:], pools[WARM_UP:]


def _stages(gallery: Gallery, queries: Sequence[EncodedQuery]) -> dict[str, float]:
    """Median milliseconds of processor time of what a query is made of."""
    stages: dict[str, list[float]] = {
        name: [] for name in ("candidates", "candidates_as_floats", "exact_scores", "fusion_and_receipts")
    }
    for query in queries:
        asked = [(gallery.encoded.index[branch], reading.vector) for branch, reading in query.dense.items()]
        began = time.process_time()
        each(lambda one: one[0].search(one[1], PER_LANE), asked)
        coded_at = time.process_time()
        each(lambda one: one[0].scores(one[1]), asked)
        middle = time.process_time()
        scored = score_lanes(gallery, query, {})
        scored_at = time.process_time()
        fuse_lanes(gallery, scored, k=HITS, fusion="mmbf")
        stages["candidates"].append(coded_at - began)
        stages["candidates_as_floats"].append(middle - coded_at)
        stages["exact_scores"].append(scored_at - middle - (coded_at - began))
        stages["fusion_and_receipts"].append(time.process_time() - scored_at)
    return {name: round(1000 * float(np.median(values)), 2) for name, values in stages.items()}


def _fused_again(gallery: Gallery, queries: Sequence[EncodedQuery]) -> list[float]:
    """What switching a branch costs."""
    took = []
    for query in queries:
        scored = score_lanes(gallery, query, {})
        began = time.perf_counter()
        fuse_lanes(gallery, scored, k=HITS, fusion="mmbf", branches=("visual", "motion", "speech"))
        took.append(1000 * (time.perf_counter() - began))
    return took


def _overlap(
    gallery: Gallery, queries: Sequence[EncodedQuery], progress: Progress
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """(fusion -> candidates per lane -> the share of the exhaustive first ten that the pool's first ten hold; what
    that was found from: queries, clips in the pool by candidates per lane).

    Both are the engine's own answers; for the exhaustive one every clip is scored exactly in every branch.
    """
    progress.start(f"exhaustive {len(gallery)}", len(queries), "queries")
    shares: dict[str, dict[str, list[float]]] = {
        fusion: {str(size): [] for size in POOLS} for fusion in FUSIONS
    }
    clips: dict[str, list[int]] = {}
    for query in queries:
        whole = score_lanes(gallery, query, {}, per_lane=len(gallery), for_mean=BRANCHES)
        pooled = {size: score_lanes(gallery, query, {}, per_lane=size) for size in POOLS}
        for_mean = {size: score_lanes(gallery, query, {}, per_lane=size, for_mean=BRANCHES) for size in POOLS}
        for size in POOLS:
            for name, scored in (("clips_at", pooled[size]), ("clips_for_mean_at", for_mean[size])):
                pool = len(gallery) if scored.pool is None else int(scored.pool.sum())
                clips.setdefault(f"{name}_{size}", []).append(pool)
        for fusion in FUSIONS:
            truth = {hit.clip_id for hit in fuse_lanes(gallery, whole, k=10, fusion=fusion)}
            for size, scored in (for_mean if fusion == "mean-rank" else pooled).items():
                found = {hit.clip_id for hit in fuse_lanes(gallery, scored, k=10, fusion=fusion)}
                shares[fusion][str(size)].append(len(found & truth) / max(len(truth), 1))
        progress.advance()
    overlap = {
        fusion: {size: round(float(np.mean(values)), 4) for size, values in by_size.items()}
        for fusion, by_size in shares.items()
    }
    pools = {name: round(float(np.mean(values)), 1) for name, values in clips.items()}
    return overlap, {"queries": len(queries), **pools}


def _candidate_stage(world: World, clips: int, room: Path, count: int, progress: Progress) -> dict[str, Any]:
    """Finding candidates by one branch's vectors on disk, in bytes and as floats."""
    files = [room / f"{what}-{clips}-{world.seed}.npy" for what in ("pooled", "codes", "step")]
    if not all(file.exists() for file in files):
        progress.start("render", clips, "clips")
        asides = [file.with_suffix(".part") for file in files]
        kinds = ((np.float32, (clips, WIDTH)), (np.int8, (clips, WIDTH)), (np.float32, (clips,)))
        made = [
            np.lib.format.open_memmap(aside, mode="w+", dtype=dtype, shape=shape)
            for aside, (dtype, shape) in zip(asides, kinds, strict=True)
        ]
        start = 0
        for rows in world.vectors(clips):
            for array, values in zip(made, (rows, *coded(rows)), strict=True):
                array[start : start + len(rows)] = values
            start += len(rows)
            progress.advance(len(rows))
        for array, aside, file in zip(made, asides, files, strict=True):
            array.flush()
            aside.replace(file)
    before = memory_mb()
    vectors, codes, step = (np.asarray(np.load(file, mmap_mode="r")) for file in files)
    places = np.arange(clips, dtype=np.int64)
    index = MappedIndex(WIDTH, places + 1, [Part(vectors, places, CodedRows(codes, step))])
    plain = MappedIndex(WIDTH, places + 1, [Part(vectors, places)])
    rng = np.random.default_rng(world.seed)
    wanted = world.around(rng, vectors[rng.integers(clips, size=min(count, 30) + WARM_UP)], 1.5)
    took: dict[str, list[float]] = {"bytes": [], "floats": []}
    shared = []
    for query in wanted:
        answers = []
        for name, asked in (("bytes", index), ("floats", plain)):
            began = time.process_time()
            answers.append(asked.search(query, PER_LANE)[0])
            took[name].append(1000 * (time.process_time() - began))
        shared.append(len(np.intersect1d(answers[0], answers[1])) / PER_LANE)
    after = memory_mb()
    return {
        "one_branch_candidates_processor_ms": {
            name: percentiles(values[WARM_UP:]) for name, values in took.items()
        },
        "share_of_the_candidates_by_floats": round(float(np.mean(shared)), 4),
        "memory_mb": {
            "anonymous_of_engine": round(after["anonymous"] - before["anonymous"]),
            "mapped": round(after["mapped"]),
        },
    }


def text_towers() -> dict[str, Any]:
    """Milliseconds of one text of 8 tokens, random weights, on as many threads as torch may use; heads come on top.

    `usual` is the tower's blocks as open_clip multiplies them, in the same run.
    """
    import open_clip
    import torch
    from open_clip.model import CLIPTextCfg, _build_text_tower

    from m2hf_core.text.network import TextNetwork
    from m2hf_core.text.tower import TowerModules

    found: dict[str, Any] = {}
    for name in ("ViT-B-16", "PE-Core-B-16"):
        config = open_clip.get_model_config(name)
        assert config is not None
        text = _build_text_tower(config["embed_dim"], CLIPTextCfg(**config["text_cfg"]))
        network = TextNetwork(config)
        network.load_state_dict(text.state_dict())
        tower, usual = (TowerModules(half, config["text_cfg"]).eval() for half in (network, text))
        ids = torch.zeros(1, int(config["text_cfg"]["context_length"]), dtype=torch.long)
        ids[0, :8] = torch.tensor([49406, 320, 1929, 5324, 525, 320, 2117, 49407])
        for kind, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
            tower.to(dtype)
            usual.to(dtype)
            with torch.inference_mode():
                ways: dict[str, Callable[[torch.Tensor], object]] = {
                    kind: tower.of_one,
                    f"{kind}_usual": usual,
                }
                took: dict[str, list[float]] = {way: [] for way in ways}
                for _ in range(25):
                    for way, encode in ways.items():
                        began = time.perf_counter()
                        encode(ids)
                        took[way].append(1000 * (time.perf_counter() - began))
            found.setdefault(name, {}).update({way: percentiles(of[WARM_UP:]) for way, of in took.items()})
    return found


def percentiles(took: Sequence[float]) -> dict[str, float]:
    """Of milliseconds; `best` is the run that the rest of the machine disturbed least."""
    values = np.percentile(took, [50, 95, 99])
    return {
        "p50": round(values[0], 2),
        "p95": round(values[1], 2),
        "p99": round(values[2], 2),
        "best": round(min(took), 2),
    }


def memory_mb() -> dict[str, float]:
    """This process: anonymous (its own) and mapped (files, which the system may drop) resident memory. Linux only."""
    rollup = Path("/proc/self/smaps_rollup")
    if not rollup.is_file():
        return {"anonymous": float("nan"), "mapped": float("nan"), "resident": float("nan")}
    fields = {
        line.partition(":")[0]: int(line.split()[1]) / 1024
        for line in rollup.read_text(encoding="ascii").splitlines()
        if line.endswith("kB")
    }
    return {
        "anonymous": fields["Anonymous"],
        "mapped": fields["Rss"] - fields["Anonymous"],
        "resident": fields["Rss"],
    }


def _load() -> float | None:
    """Programs that wanted a core in the last minute: a figure above the cores says that others were measured too."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
