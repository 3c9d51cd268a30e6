"""The measuring itself on a tiny gallery: the document, a pool that holds everything, and the rivals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.cli.bench import sizes
from app.services import bench_search as module
from app.services.bench_indexes import compare_indexes
from app.services.bench_search import bench_search, percentiles
from m2hf_core.progress import Progress
from m2hf_core.search.bench_world import World


def test_a_small_gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POOLS", (5, 700))
    found = bench_search(
        [700],
        queries=4,
        exhaustive=2,
        compare=False,
        towers=False,
        seed=3,
        folder=tmp_path,
        progress=Progress(),
    )
    assert set(found) == {"machine", "sizes", "figures", "against"}
    figures = found["figures"]["700"]
    assert figures["engine_ms"]["p50"] <= figures["engine_ms"]["p95"] <= figures["engine_ms"]["p99"]
    assert {by_size["700"] for by_size in figures["overlap_at_10"].values()} == {1.0}
    assert figures["pool_clips"] < 700
    assert list(tmp_path.iterdir()) == [], "what was rendered is gone"


def test_a_world_is_drawn_from_its_seed() -> None:
    first, again, other = (next(World.draw(300, seed).vectors(300)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    near = np.sort(first @ first.T, axis=1)[:, -2]
    assert near.mean() > 0.4, "neighbours share a topic"


def test_exact_rivals_find_everything() -> None:
    found = compare_indexes(next(World.draw(400, 1).vectors(400)), 1)
    assert found["numpy product"]["recall_at_200"] == found["ours, exact"]["recall_at_200"] == 1.0
    assert all(figures["recall_at_200"] > 0.9 for figures in found.values())


def test_figures_and_sizes_are_read() -> None:
    assert percentiles([1.0] * 99 + [50.0])["p50"] == 1.0
    assert sizes("10,200") == (10, 200)
