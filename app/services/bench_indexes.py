"""Our candidate stages beside a plain numpy product, faiss and usearch, on the same vectors in one run."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from m2hf_core.index import HnswIndex, MappedIndex, Part
from m2hf_core.index.hnsw import BUILD_WIDTH, LINKS, available
from m2hf_core.index.vectors import FloatArray, unit_rows

K, QUERIES = 200, 60
GRAPHS_UP_TO = 200_000
"""A graph over a million vectors takes two cores most of an hour to build, three times over."""

Search = Callable[[FloatArray], npt.NDArray[np.int64]]


def compare_indexes(vectors: FloatArray, seed: int) -> dict[str, Any]:
    """Per library: seconds to build, milliseconds per query, and the share of the true K best that it finds."""
    rng = np.random.default_rng([seed, 11])
    n, width = vectors.shape
    near = vectors[rng.integers(n, size=QUERIES)]
    queries = unit_rows(near + 1.5 * unit_rows(rng.standard_normal((QUERIES, width), dtype=np.float32)))
    k = min(K, n)
    truth = [set(np.argpartition(-(vectors @ query), k - 1)[:k].tolist()) for query in queries]
    builders: dict[str, Callable[[FloatArray], Search]] = {"numpy product": _numpy, "ours, exact": _exact}
    if importlib.util.find_spec("faiss"):
        builders["faiss-cpu flat"] = _faiss_flat
    if n <= GRAPHS_UP_TO:
        if available():
            builders["ours, HNSW"] = _hnsw
        if importlib.util.find_spec("faiss"):
            builders["faiss-cpu HNSW"] = _faiss_hnsw
        if importlib.util.find_spec("usearch"):
            builders["usearch"] = _usearch
    return {name: _measured(build, vectors, queries, truth) for name, build in builders.items()}


def _measured(
    build: Callable[[FloatArray], Search], vectors: FloatArray, queries: FloatArray, truth: list[set[int]]
) -> dict[str, float]:
    began = time.perf_counter()
    search = build(vectors)
    built_s = time.perf_counter() - began
    took, recall = [], []
    for query, best in zip(queries, truth, strict=True):
        began = time.perf_counter()
        found = search(query)
        took.append(1000 * (time.perf_counter() - began))
        recall.append(len(best & set(found.tolist())) / len(best))
    p50, p95 = np.percentile(took, [50, 95])
    return {
        "build_s": round(built_s, 2),
        "p50_ms": round(p50, 2),
        "p95_ms": round(p95, 2),
        "best_ms": round(min(took), 2),
        f"recall_at_{len(truth[0])}": round(float(np.mean(recall)), 4),
    }


def _numpy(vectors: FloatArray) -> Search:
    k = min(K, len(vectors))
    return lambda query: np.argpartition(-(vectors @ query), k - 1)[:k]


def _exact(vectors: FloatArray) -> Search:
    places = np.arange(len(vectors), dtype=np.int64)
    index = MappedIndex(vectors.shape[1], places, [Part(vectors, places)])
    return lambda query: index.search(query, K)[0]


def _hnsw(vectors: FloatArray) -> Search:
    index = HnswIndex(vectors.shape[1], room=len(vectors))
    index.add(np.arange(len(vectors), dtype=np.int64), vectors)
    return lambda query: index.search(query, K)[0]


def _faiss_flat(vectors: FloatArray) -> Search:
    import faiss  # an extra for measuring only

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return lambda query: np.asarray(index.search(query[None], K)[1][0], np.int64)


def _faiss_hnsw(vectors: FloatArray) -> Search:
    import faiss

    index = faiss.IndexHNSWFlat(vectors.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = BUILD_WIDTH, 2 * K
    index.add(vectors)
    return lambda query: np.asarray(index.search(query[None], K)[1][0], np.int64)


def _usearch(vectors: FloatArray) -> Search:
    from usearch.index import Index  # an extra for measuring only

    index = Index(
        ndim=vectors.shape[1],
        metric="ip",
        dtype="f32",
        connectivity=LINKS,
        expansion_add=BUILD_WIDTH,
        expansion_search=2 * K,
    )
    index.add(np.arange(len(vectors)), vectors)
    return lambda query: np.asarray(index.search(query, K).keys, np.int64)
