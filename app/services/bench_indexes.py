"""Our candidate stages beside a plain numpy product, faiss and usearch, on the same vectors in one run.

Times are processor time over all threads, since wall time on a machine that others use says nothing. Each query is put
to every library before the next one is, so that what disturbs one disturbs all, and ratios within a run hold.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from m2hf_core.index import CodedRows, HnswIndex, MappedIndex, Part, coded, quick_codes
from m2hf_core.index.hnsw import BUILD_WIDTH, LINKS, available
from m2hf_core.index.vectors import FloatArray, unit_rows
from m2hf_core.progress import Progress
from m2hf_core.search.bench_world import SEGMENT

K, QUERIES = 200, 60
GRAPHS_UP_TO = 200_000
"""A graph over a million vectors takes two cores most of an hour to build, and three libraries build one."""

Search = Callable[[FloatArray], npt.NDArray[np.int64]]
Build = Callable[[FloatArray], Search]


def compare_indexes(vectors: FloatArray, seed: int, progress: Progress) -> dict[str, Any]:
    """Per library: seconds to build, milliseconds per query, the share of the true K best that it finds; and what
    was not measured, with the reason."""
    rng = np.random.default_rng([seed, 11])
    n, width = vectors.shape
    near = vectors[rng.integers(n, size=QUERIES)]
    queries = unit_rows(near + 1.5 * unit_rows(rng.standard_normal((QUERIES, width), dtype=np.float32)))
    k = min(K, n)
    builders, absent = _rivals(n)
    found: dict[str, Any] = {}
    searches: dict[str, Search] = {}
    for name, build in builders.items():
        progress.start(f"build {name}")
        began, before = time.process_time(), _memory_mb()
        searches[name] = build(vectors)
        built_s, memory = time.process_time() - began, _memory_mb() - before
        found[name] = {"build_s": round(built_s, 2), "memory_mb": round(memory)}
    took: dict[str, list[float]] = {name: [] for name in searches}
    recall: dict[str, list[float]] = {name: [] for name in searches}
    progress.start("compare", QUERIES, "queries")
    for query in queries:
        best = set(np.argpartition(-(vectors @ query), k - 1)[:k].tolist())
        for name, search in searches.items():
            began = time.process_time()
            rows = search(query)
            took[name].append(1000 * (time.process_time() - began))
            recall[name].append(len(best & set(rows.tolist())) / len(best))
        progress.advance()
    for name, figures in found.items():
        p50, p95 = np.percentile(took[name], [50, 95])
        figures |= {
            "p50_ms": round(p50, 2),
            "p95_ms": round(p95, 2),
            "best_ms": round(min(took[name]), 2),
            f"recall_at_{k}": round(float(np.mean(recall[name])), 4),
        }
    return found | ({"not measured": absent} if absent else {})


def _rivals(n: int) -> tuple[dict[str, Build], dict[str, str]]:
    """(what is measured, why the rest is not)."""
    graph = f"a graph over {n:,} vectors takes too long to build" if n > GRAPHS_UP_TO else ""
    faiss = "" if importlib.util.find_spec("faiss") else "faiss-cpu is not installed"
    usearch = "" if importlib.util.find_spec("usearch") else "usearch is not installed"
    bytes_ = "" if quick_codes() else "this processor is no quicker with bytes"
    every: list[tuple[str, Build, str]] = [
        ("numpy product", _numpy, ""),
        ("ours, exact", _exact, ""),
        ("ours, bytes", _coded, bytes_),
        ("faiss-cpu flat", _faiss_flat, faiss),
        ("ours, HNSW", _hnsw, graph or ("" if available() else "hnswlib is not installed")),
        ("faiss-cpu HNSW", _faiss_hnsw, graph or faiss),
        ("usearch", _usearch, graph or usearch),
    ]
    builders = {name: build for name, build, why_not in every if not why_not}
    return builders, {name: why_not for name, _, why_not in every if why_not}


def _memory_mb() -> float:
    """What this process holds, files that it maps not counted. Linux only, elsewhere 0."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return 0.0
    lines = status.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def _numpy(vectors: FloatArray) -> Search:
    k = min(K, len(vectors))
    return lambda query: np.argpartition(-(vectors @ query), k - 1)[:k]


def _exact(vectors: FloatArray) -> Search:
    places = np.arange(len(vectors), dtype=np.int64)
    index = MappedIndex(vectors.shape[1], places, [Part(vectors, places)])
    return lambda query: index.search(query, K)[0]


def _coded(vectors: FloatArray) -> Search:
    """In segments of the size that a library has."""
    places = np.arange(len(vectors), dtype=np.int64)
    pieces = [slice(start, start + SEGMENT) for start in range(0, len(vectors), SEGMENT)]
    parts = [Part(vectors[own], places[own], CodedRows(*coded(vectors[own]))) for own in pieces]
    index = MappedIndex(vectors.shape[1], places, parts)
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
