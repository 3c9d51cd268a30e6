"""Vectors in mapped parts and in a graph answer as one plain product does."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m2hf_core.index import ExactIndex, GrowingIndex, HnswIndex, MappedIndex, Part, VectorIndex

WIDTH = 8


@given(seed=st.integers(0, 10_000), cut=st.integers(0, 30), k=st.integers(0, 40))
def test_parts_equal_one_matrix(seed: int, cut: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-1, 2, (30, WIDTH)).astype(np.float32)  # few values, so that ties are common
    places = rng.permutation(30)
    dead, allowed = rng.random(30) < 0.2, rng.random(30) < 0.7
    rows = np.where(dead, -1, places)
    ids = np.arange(30, dtype=np.int64) * 2 + 5
    index: VectorIndex = MappedIndex(
        WIDTH, ids, [Part(vectors[:cut], rows[:cut]), Part(vectors[cut:], rows[cut:])]
    )
    query = rng.integers(-1, 2, WIDTH).astype(np.float32)
    assert isinstance(index, MappedIndex)
    for mask in (None, allowed):
        truth = {
            int(ids[place]): float(vectors[n] @ query)
            for n, place in enumerate(places)
            if not dead[n] and (mask is None or mask[place])
        }
        found, scores = index.search(query, k, mask)
        assert found.tolist() == sorted(truth, key=lambda i: (-truth[i], i))[:k]
        assert scores.tolist() == [truth[i] for i in found.tolist()]
    assert len(index) == 30 - dead.sum()


@pytest.fixture
def vectors() -> np.ndarray:
    made = np.random.default_rng(3).normal(size=(400, 32)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def growing(*kinds: type) -> list[GrowingIndex]:
    return [kind(32) for kind in kinds]


def test_the_graph_finds_what_the_product_finds(vectors: np.ndarray, tmp_path: Path) -> None:
    pytest.importorskip("hnswlib", reason="hnswlib is not installed")
    exact, graph = growing(ExactIndex, HnswIndex)
    ids = np.random.default_rng(1).permutation(400)
    for index in (exact, graph):
        index.add(ids, vectors[ids])
        index.remove(np.asarray([5, 6, 7, 1000]))
        index.add(np.asarray([6]), vectors[[6]])
    assert isinstance(graph, HnswIndex)
    graph.save(tmp_path / "graph.bin")
    loaded = HnswIndex.load(tmp_path / "graph.bin", 32, graph.ids)
    for index in (graph, loaded):
        assert len(index) == 398
        hits = total = 0
        for query in vectors[:50]:
            true, _ = exact.search(query, 20)
            found, scores = index.search(query, 20)
            hits, total = hits + len(set(true.tolist()) & set(found.tolist())), total + 20
            np.testing.assert_allclose(scores, vectors[found] @ query, atol=1e-5)
            assert not {5, 7} & set(found.tolist())
        assert hits / total > 0.97


def test_the_graph_refuses_wrong_vectors() -> None:
    pytest.importorskip("hnswlib", reason="hnswlib is not installed")
    index = HnswIndex(3)
    with pytest.raises(ValueError, match="shape"):
        index.add(np.asarray([1]), np.zeros((1, 4), np.float32))
    with pytest.raises(ValueError, match="finite"):
        index.add(np.asarray([1]), np.full((1, 3), np.inf, np.float32))
    with pytest.raises(ValueError, match="width"):
        index.search(np.zeros(2, np.float32), 1)
    assert index.search(np.zeros(3, np.float32), 5)[0].tolist() == []


def test_the_graph_is_asked_while_it_grows(vectors: np.ndarray) -> None:
    """One lock and small chunks: every answer in between is whole."""
    pytest.importorskip("hnswlib", reason="hnswlib is not installed")
    index = HnswIndex(32, room=16)
    adding = threading.Thread(target=lambda: index.add(np.arange(400), vectors))
    adding.start()
    sizes = []
    while adding.is_alive():
        found, scores = index.search(vectors[0], 10)
        sizes.append(len(index))
        assert (np.diff(scores) <= 1e-6).all()
        assert len(found) == min(10, len(found))
    adding.join()
    assert len(index) == 400
    assert index.search(vectors[0], 1)[0].tolist() == [0]
    assert sizes == sorted(sizes)
