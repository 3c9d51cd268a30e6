"""The measuring itself on a tiny gallery: the document, a pool that holds everything, and the rivals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest

from app.cli.bench import sizes
from app.services import bench_indexes
from app.services import bench_search as module
from app.services.bench_indexes import compare_indexes
from app.services.bench_search import bench_search, percentiles
from app.services.burning import burning
from m2hf_core.progress import Progress
from m2hf_core.search.bench_world import World, make_gallery


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
    assert figures["overlap_pools"]["queries"] == 2
    assert figures["overlap_pools"]["clips_at_5"] < figures["overlap_pools"]["clips_at_700"] <= 700


def test_a_gallery_that_was_made_before_is_taken_from_its_folder(tmp_path: Path) -> None:
    world = World.draw(60, 1)
    first = make_gallery(world, 60, tmp_path, Progress())
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    again = make_gallery(world, 60, tmp_path, Progress())
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")} == files
    np.testing.assert_array_equal(again.encoded.frames(59, "audio"), first.encoded.frames(59, "audio"))
    next(tmp_path.rglob("complete")).unlink()  # as after an interrupted run
    make_gallery(world, 60, tmp_path, Progress())
    assert all(path.stat().st_mtime_ns > before for path, before in files.items())


def test_a_world_is_drawn_from_its_seed() -> None:
    first, again, other = (next(World.draw(300, seed).vectors(300)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    near = np.sort(first @ first.T, axis=1)[:, -2]
    assert near.mean() > 0.4, "neighbours share a topic"


def test_exact_rivals_find_everything() -> None:
    found = compare_indexes(next(World.draw(400, 1).vectors(400)), 1, Progress())
    absent = found.pop("not measured", {})
    assert found.keys() | absent.keys() == {
        "numpy product", "ours, exact", "ours, bytes", "faiss-cpu flat",
        *(
            f"{graph}{breadth}"
            for graph in ("ours, HNSW", "faiss-cpu HNSW", "usearch")
            for breadth in ("", ", breadth 1600", ", breadth 6400")
            if graph not in absent or not breadth
        ),
    }  # fmt: skip
    assert found["numpy product"]["recall_at_200"] == found["ours, exact"]["recall_at_200"] == 1.0
    assert all(figures["recall_at_200"] > 0.9 for figures in found.values())


def test_what_is_absent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_indexes.importlib.util, "find_spec", lambda name: None)
    found = compare_indexes(next(World.draw(400, 1).vectors(400)), 1, Progress())
    assert found["not measured"]["ours, HNSW"] == "hnswlib is not installed"
    assert found["not measured"]["faiss-cpu flat"] == "faiss-cpu is not installed"


def test_a_graph_that_takes_too_long_is_left_out() -> None:
    pytest.importorskip("hnswlib", reason="hnswlib is not installed")
    found = compare_indexes(next(World.draw(400, 1).vectors(400)), 1, Progress(), limit_s=-1.0)
    assert "0 of 400 vectors" in found["not measured"]["ours, HNSW"]
    assert found["numpy product"].keys() >= {"p50_ms"}
    assert "ours, HNSW" not in found


def test_a_large_gallery_is_measured_in_its_candidates_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CANDIDATES_ONLY_FROM", 500)
    found = bench_search(
        [600],
        queries=3,
        exhaustive=1,
        compare=False,
        towers=False,
        seed=1,
        folder=tmp_path,
        progress=Progress(),
    )
    assert found["figures"]["600"]["share_of_the_candidates_by_floats"] > 0.98


def test_figures_and_sizes_are_read() -> None:
    assert percentiles([1.0] * 99 + [50.0])["p50"] == 1.0
    assert sizes("10,200") == (10, 200)


def test_the_machine_is_busy_while_it_is_asked_to_be() -> None:
    us = psutil.Process()
    before = {child.pid for child in us.children()}
    with burning(2):
        ours = [child for child in us.children() if child.pid not in before]
        busy = [child for child in ours if child.nice() != us.nice()]  # the spawner's own helper is not
        assert len(busy) == 2
        assert all(child.is_running() for child in busy)
    assert not any(child.is_running() for child in busy)
