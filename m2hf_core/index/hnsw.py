"""The approximate index: a graph through hnswlib. `bench search --compare` measures it; no search uses it yet.

hnswlib is not safe to query beside `add_items`, and it takes its time over many vectors; so one lock guards both and
vectors are added 64 at a time, with room for a query in between. Distances are inner products.
"""

from __future__ import annotations

import contextlib
import importlib.util
import threading
from pathlib import Path
from typing import Any

import numpy as np

from m2hf_core.index.vectors import FloatArray, IdArray

CHUNK = 64
LINKS = 16
BUILD_WIDTH = 100
"""hnswlib's M and ef_construction."""


def available() -> bool:
    """Whether the optional hnswlib is installed; the engine uses the exact index either way."""
    return importlib.util.find_spec("hnswlib") is not None


class HnswIndex:
    """A `VectorIndex` that takes and forgets vectors. Memory: 4 bytes per number and about 140 per vector."""

    def __init__(self, width: int, *, room: int = 1024, build_breadth: int = BUILD_WIDTH) -> None:
        self._lock = threading.Lock()
        self.width = width
        self._graph = _graph(width)
        self._graph.init_index(max_elements=room, M=LINKS, ef_construction=build_breadth, random_seed=1)
        self._known: set[int] = set()
        self._alive: set[int] = set()

    def __len__(self) -> int:
        return len(self._alive)

    @property
    def ids(self) -> IdArray:
        """Ascending."""
        return np.asarray(sorted(self._alive), np.int64)

    def add(self, ids: IdArray, vectors: FloatArray) -> None:
        """Add or replace. ids [n], vectors [n, width]; raises ValueError on other shapes or what is not finite."""
        ids, vectors = np.asarray(ids, np.int64), np.asarray(vectors, np.float32)
        if vectors.shape != (len(ids), self.width):
            raise ValueError(f"expected vectors of shape {(len(ids), self.width)}, got {vectors.shape}")
        if not np.isfinite(vectors).all():
            raise ValueError("vectors must be finite")
        for start in range(0, len(ids), CHUNK):
            with self._lock:
                self._add_chunk(ids[start : start + CHUNK], vectors[start : start + CHUNK])

    def _add_chunk(self, ids: IdArray, vectors: FloatArray) -> None:
        for clip_id in ids.tolist():
            if clip_id in self._known and clip_id not in self._alive:
                self._graph.unmark_deleted(clip_id)
        needed = self._graph.get_current_count() + len(ids)
        if needed > self._graph.get_max_elements():
            self._graph.resize_index(max(needed, 2 * self._graph.get_max_elements()))
        self._graph.add_items(vectors, ids, num_threads=-1)
        self._known.update(ids.tolist())
        self._alive.update(ids.tolist())

    def remove(self, ids: IdArray) -> None:
        """Forget ids; unknown ones are ignored."""
        with self._lock:
            for clip_id in np.asarray(ids, np.int64).tolist():
                if clip_id in self._alive:
                    self._graph.mark_deleted(clip_id)
                    self._alive.discard(clip_id)

    def search(self, query: FloatArray, k: int, *, breadth: int | None = None) -> tuple[IdArray, FloatArray]:
        """Up to k good ones, best first, ties by ascending id; now and then one of the k best is missed.

        `breadth`: hnswlib's ef, at least k; the wider, the fewer are missed and the longer it takes.
        """
        query = np.asarray(query, np.float32)
        if query.shape != (self.width,):
            raise ValueError(f"expected a query of width {self.width}, got shape {query.shape}")
        with self._lock:
            k = min(max(k, 0), len(self._alive))
            if k == 0:
                return np.empty(0, np.int64), np.empty(0, np.float32)
            self._graph.set_ef(max(2 * k, 100) if breadth is None else max(breadth, k))
            labels, distances = self._graph.knn_query(query[None], k=k, num_threads=1)
        ids, scores = labels[0].astype(np.int64), (1 - distances[0]).astype(np.float32)
        order = np.lexsort((ids, -scores))
        return ids[order], scores[order]

    def save(self, path: Path) -> None:
        """Write the graph; removed vectors are still in it."""
        with self._lock:
            self._graph.save_index(str(path))

    @classmethod
    def load(cls, path: Path, width: int, alive: IdArray) -> HnswIndex:
        """Read a graph back; ids that are not in `alive` count as removed."""
        index = cls.__new__(cls)
        index._lock, index.width, index._graph = threading.Lock(), width, _graph(width)
        index._graph.load_index(str(path))
        index._known = set(index._graph.get_ids_list())
        index._alive = index._known & set(alive.tolist())
        for clip_id in index._known - index._alive:
            # The file remembers what was marked before it was saved, and marking twice is an error there.
            with contextlib.suppress(RuntimeError):
                index._graph.mark_deleted(clip_id)
        return index


def _graph(width: int) -> Any:
    import hnswlib  # an extra: compiled where a compiler is

    return hnswlib.Index(space="ip", dim=width)
