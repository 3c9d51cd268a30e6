"""Our candidate stages beside a plain numpy product, faiss and usearch, on the same vectors in one run.

Times are processor time over all threads, since wall time on a machine that others use says nothing. Each query is put
to every library before the next one is, so that what disturbs one disturbs all, and ratios within a run hold.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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
BREADTHS = (2 * K, 8 * K, 32 * K)
"""Of a graph's search: the usual one, and how much wider it would have to look for all of the K."""
NARROWER_FROM, NARROWER = 200_000, 64
"""From so many vectors every graph is built at this breadth; a million take two cores a quarter of an hour a graph."""
BUILD_LIMIT_S = 1200.0
"""Of wall time for each graph, where nothing else is asked for."""
PIECE = 8192

Search = Callable[[FloatArray], npt.NDArray[np.int64]]
Searches = Mapping[int, Search]
"""By breadth; 0 for what has none."""


class _LeftOutError(Exception):
    """What is not measured, and why."""


@dataclass(frozen=True, slots=True, eq=False)
class _Build:
    """What an index is made of: vectors [n, width], and how it is told how far it got."""

    vectors: FloatArray
    limit_s: float
    """Of wall time; a graph that is not finished then is left out."""
    progress: Progress

    @property
    def breadth(self) -> int:
        """At which a graph is built."""
        return BUILD_WIDTH if len(self.vectors) < NARROWER_FROM else NARROWER

    def pieces(self) -> Iterator[slice]:
        """All rows, piece by piece, as long as there is time."""
        n, ends = len(self.vectors), time.monotonic() + self.limit_s
        for start in range(0, n, PIECE):
            if time.monotonic() > ends:
                raise _LeftOutError(f"after {self.limit_s:g} s its graph had {start:,} of {n:,} vectors")
            piece = slice(start, min(start + PIECE, n))
            yield piece
            self.progress.advance(piece.stop - start)


Builder = Callable[[_Build], Searches]


def compare_indexes(
    vectors: FloatArray, seed: int, progress: Progress, *, limit_s: float = BUILD_LIMIT_S
) -> dict[str, Any]:
    """Per library: seconds to build, milliseconds per query, the share of the true K best that it finds; and what
    was not measured, with the reason."""
    rng = np.random.default_rng([seed, 11])
    n, width = vectors.shape
    near = vectors[rng.integers(n, size=QUERIES)]
    queries = unit_rows(near + 1.5 * unit_rows(rng.standard_normal((QUERIES, width), dtype=np.float32)))
    k = min(K, n)
    builders, absent = _rivals()
    asked = _Build(vectors, limit_s, progress)
    found: dict[str, Any] = {}
    searches: dict[str, Search] = {}
    for name, build in builders.items():
        progress.start(f"build {name}", n, "vectors")
        began, before = time.process_time(), _memory_mb()
        try:
            by_breadth = build(asked)
        except _LeftOutError as why:
            absent[name] = str(why)
            continue
        built_s, memory = time.process_time() - began, _memory_mb() - before
        for breadth, search in by_breadth.items():
            own = name if breadth in (0, BREADTHS[0]) else f"{name}, breadth {breadth}"
            searches[own], found[own] = search, {"build_s": round(built_s, 2), "memory_mb": round(memory)}
            if breadth:
                found[own]["built_at_breadth"] = asked.breadth
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


def _rivals() -> tuple[dict[str, Builder], dict[str, str]]:
    """(what is measured, why the rest is not)."""
    faiss = "" if importlib.util.find_spec("faiss") else "faiss-cpu is not installed"
    usearch = "" if importlib.util.find_spec("usearch") else "usearch is not installed"
    bytes_ = "" if quick_codes() else "this processor is no quicker with bytes"
    every: list[tuple[str, Builder, str]] = [
        ("numpy product", _numpy, ""),
        ("ours, exact", _exact, ""),
        ("ours, bytes", _coded, bytes_),
        ("faiss-cpu flat", _faiss_flat, faiss),
        ("ours, HNSW", _hnsw, "" if available() else "hnswlib is not installed"),
        ("faiss-cpu HNSW", _faiss_hnsw, faiss),
        ("usearch", _usearch, usearch),
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


def _numpy(asked: _Build) -> Searches:
    vectors, k = asked.vectors, min(K, len(asked.vectors))
    return {0: lambda query: np.argpartition(-(vectors @ query), k - 1)[:k]}


def _exact(asked: _Build) -> Searches:
    places = np.arange(len(asked.vectors), dtype=np.int64)
    index = MappedIndex(asked.vectors.shape[1], places, [Part(asked.vectors, places)])
    return {0: lambda query: index.search(query, K)[0]}


def _coded(asked: _Build) -> Searches:
    """In segments of the size that a library has."""
    vectors, n = asked.vectors, len(asked.vectors)
    places = np.arange(n, dtype=np.int64)
    pieces = [slice(start, start + SEGMENT) for start in range(0, n, SEGMENT)]
    parts = [Part(vectors[own], places[own], CodedRows(*coded(vectors[own]))) for own in pieces]
    index = MappedIndex(vectors.shape[1], places, parts)
    return {0: lambda query: index.search(query, K)[0]}


def _hnsw(asked: _Build) -> Searches:
    n, width = asked.vectors.shape
    index = HnswIndex(width, room=n, build_breadth=asked.breadth)
    for piece in asked.pieces():
        index.add(np.arange(piece.start, piece.stop, dtype=np.int64), asked.vectors[piece])

    def at(breadth: int) -> Search:
        return lambda query: index.search(query, K, breadth=breadth)[0]

    return {breadth: at(breadth) for breadth in BREADTHS}


def _faiss_flat(asked: _Build) -> Searches:
    import faiss  # an extra for measuring only

    index = faiss.IndexFlatIP(asked.vectors.shape[1])
    index.add(asked.vectors)
    return {0: lambda query: np.asarray(index.search(query[None], K)[1][0], np.int64)}


def _faiss_hnsw(asked: _Build) -> Searches:
    import faiss

    index = faiss.IndexHNSWFlat(asked.vectors.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = asked.breadth
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(os.cpu_count() or 1)  # as the other two build
    try:
        for piece in asked.pieces():
            index.add(asked.vectors[piece])
    finally:
        faiss.omp_set_num_threads(threads)

    def at(breadth: int) -> Search:
        def search(query: FloatArray) -> npt.NDArray[np.int64]:
            index.hnsw.efSearch = breadth
            return np.asarray(index.search(query[None], K)[1][0], np.int64)

        return search

    return {breadth: at(breadth) for breadth in BREADTHS}


def _usearch(asked: _Build) -> Searches:
    from usearch.index import Index  # an extra for measuring only

    index: Any = Index(  # its stubs know no setters
        ndim=asked.vectors.shape[1],
        metric="ip",
        dtype="f32",
        connectivity=LINKS,
        expansion_add=asked.breadth,
    )
    for piece in asked.pieces():
        index.add(np.arange(piece.start, piece.stop), asked.vectors[piece])

    def at(breadth: int) -> Search:
        def search(query: FloatArray) -> npt.NDArray[np.int64]:
            index.expansion_search = breadth
            return np.asarray(index.search(query, K).keys, np.int64)

        return search

    return {breadth: at(breadth) for breadth in BREADTHS}
