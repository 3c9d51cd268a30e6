"""Vectors in mapped parts and in a graph answer as one plain product does."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m2hf_core.index import (
    CodedRows,
    HnswIndex,
    MappedIndex,
    Part,
    VectorIndex,
    coded,
    coded_query,
    quick_codes,
)
from m2hf_core.index.vectors import unit_rows

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


@pytest.mark.skipif(not quick_codes(), reason="this processor has no VNNI, so bytes are not used")
@given(seed=st.integers(0, 10_000), zero=st.booleans())
def test_codes_are_near_their_vectors(seed: int, zero: bool) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(20, 64)).astype(np.float32) * 10.0 ** rng.integers(-3, 4, (20, 1))
    vectors = vectors.astype(np.float32)
    vectors[0] *= 0 if zero else 1
    codes, step = coded(vectors)
    assert codes.dtype == np.int8
    assert (np.abs(codes * step[:, None] - vectors) <= step[:, None] * 0.5001).all()
    query = rng.normal(size=64).astype(np.float32)
    own, own_step = coded(query[None])
    asked = coded_query(query)
    assert asked.step == own_step[0]
    assert asked.column[:, 0].tolist() == own[0].tolist()
    by_hand = codes.astype(np.int64) @ own[0].astype(np.int64)
    assert CodedRows(codes, step).sums(asked).tolist() == by_hand.tolist()
    np.testing.assert_allclose(
        by_hand * step * asked.step,
        vectors.astype(np.float64) @ query,
        atol=0.01 * np.linalg.norm(query) * np.linalg.norm(vectors, axis=1).max(),
    )


@pytest.mark.skipif(not quick_codes(), reason="this processor has no VNNI, so bytes are not used")
@given(seed=st.integers(0, 10_000), k=st.integers(1, 40))
def test_what_is_found_by_codes_has_exact_scores(seed: int, k: int) -> None:
    """Scores are those of the vectors; nothing is missed that stands out by more than the codes' error."""
    rng = np.random.default_rng(seed)
    vectors = unit_rows(rng.normal(size=(200, 64)))
    places = rng.permutation(200)
    rows, allowed = np.where(rng.random(200) < 0.2, -1, places), rng.random(200) < 0.7
    parts = [
        Part(vectors[own], rows[own], CodedRows(*coded(vectors[own])))
        for own in (slice(0, 70), slice(70, 200))
    ]
    index = MappedIndex(64, np.arange(200) + 3, parts)
    plain = MappedIndex(64, np.arange(200) + 3, [Part(vectors, rows)])
    query = unit_rows(rng.normal(size=(1, 64)))[0]
    found, scores = index.search(query, k, allowed)
    truth, true_scores = plain.search(query, k, allowed)
    assert len(found) == len(truth)
    np.testing.assert_allclose(scores, plain.scores(query)[found - 3], atol=1e-6)
    clear = truth[true_scores > (true_scores[-1] if len(truth) else 0) + 0.01]
    assert set(clear.tolist()) <= set(found.tolist())


@pytest.mark.parametrize(
    "with_codes",
    [
        pytest.param(
            True,
            marks=pytest.mark.skipif(
                not quick_codes(), reason="this processor has no VNNI, so bytes are not used"
            ),
        ),
        False,
    ],
)
def test_likely_scores_stand_in_their_places(with_codes: bool) -> None:
    """Out of order, with a row that does not count and a place that has no vector."""
    rng = np.random.default_rng(6)
    vectors = rng.normal(size=(20, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = rng.permutation(21)[:20]
    rows[3] = -1
    parts = [
        Part(vectors[own], rows[own], CodedRows(*coded(vectors[own])) if with_codes else None)
        for own in (slice(0, 8), slice(8, 20))
    ]
    expected = np.zeros(21, np.float32)
    for vector, row in zip(vectors, rows.tolist(), strict=True):
        if row >= 0:
            expected[row] = vector @ vectors[0]
    found = MappedIndex(64, np.arange(21), parts).likely(vectors[0])
    np.testing.assert_allclose(found, expected, atol=0.004 if with_codes else 1e-6)
    assert np.count_nonzero(found) == 19


@pytest.fixture
def vectors() -> np.ndarray:
    made = np.random.default_rng(3).normal(size=(400, 32)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def test_the_graph_finds_what_the_product_finds(vectors: np.ndarray, tmp_path: Path) -> None:
    pytest.importorskip("hnswlib", reason="hnswlib is not installed")
    graph = HnswIndex(32)
    ids = np.random.default_rng(1).permutation(400)
    graph.add(ids, vectors[ids])
    graph.remove(np.asarray([5, 6, 7, 1000]))
    graph.add(np.asarray([6]), vectors[[6]])
    left = np.setdiff1d(np.arange(400), [5, 7])
    graph.save(tmp_path / "graph.bin")
    loaded = HnswIndex.load(tmp_path / "graph.bin", 32, graph.ids)
    for index in (graph, loaded):
        assert len(index) == 398
        hits = total = 0
        for query in vectors[:50]:
            true = left[np.argsort(-(vectors[left] @ query), kind="stable")[:20]]
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
