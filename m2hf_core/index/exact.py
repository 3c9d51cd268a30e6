"""The exact index: one matrix product over everything, which is quick enough far beyond 100,000 clips.

An exact float32 product over 100,000 x 512 takes about 8 ms on two cores and forgets nobody, so an
approximate index has to earn its place by measurement.
"""

from __future__ import annotations

import numpy as np

from m2hf_core.index.vectors import FloatArray, IdArray


class ExactIndex:
    """Vectors in one growing matrix; removed rows are overwritten by the last one."""

    def __init__(self, width: int) -> None:
        if width < 1:
            raise ValueError(f"width must be positive, not {width}")
        self._width = width
        self._vectors = np.empty((0, width), np.float32)
        self._ids = np.empty(0, np.int64)
        self._count = 0
        self._row_of: dict[int, int] = {}

    @property
    def width(self) -> int:
        return self._width

    def __len__(self) -> int:
        return self._count

    @property
    def ids(self) -> IdArray:
        """All ids in row order, [n]; the rows of `scores`."""
        return self._ids[: self._count]

    def add(self, ids: IdArray, vectors: FloatArray) -> None:
        """Add or replace. ids [n], vectors [n, width]."""
        ids = np.asarray(ids, np.int64)
        vectors = np.asarray(vectors, np.float32)
        if vectors.shape != (len(ids), self._width):
            raise ValueError(f"expected vectors of shape {(len(ids), self._width)}, got {vectors.shape}")
        if not np.isfinite(vectors).all():
            raise ValueError("vectors must be finite")
        self._reserve(self._count + len(ids))
        for clip_id, vector in zip(ids.tolist(), vectors, strict=True):
            row = self._row_of.get(clip_id)
            if row is None:
                row = self._count
                self._row_of[clip_id] = row
                self._ids[row] = clip_id
                self._count += 1
            self._vectors[row] = vector

    def remove(self, ids: IdArray) -> None:
        """Forget ids; unknown ones are ignored."""
        for clip_id in np.asarray(ids, np.int64).tolist():
            row = self._row_of.pop(clip_id, None)
            if row is None:
                continue
            last = self._count - 1
            if row != last:
                self._vectors[row] = self._vectors[last]
                self._ids[row] = self._ids[last]
                self._row_of[int(self._ids[row])] = row
            self._count = last

    def scores(self, query: FloatArray) -> FloatArray:
        """Inner products of query [width] with every vector, in row order: [n]."""
        query = np.asarray(query, np.float32)
        if query.shape != (self._width,):
            raise ValueError(f"expected a query of width {self._width}, got shape {query.shape}")
        product: FloatArray = self._vectors[: self._count] @ query
        return product

    def search(self, query: FloatArray, k: int) -> tuple[IdArray, FloatArray]:
        """The k best: ids and scores, best first, ties by ascending id."""
        scores, ids = self.scores(query), self.ids
        best = best_of(scores, ids, k)
        return ids[best], scores[best]

    def _reserve(self, rows: int) -> None:
        if rows <= len(self._ids):
            return
        room = max(rows, 2 * len(self._ids), 64)
        vectors = np.empty((room, self._width), np.float32)
        ids = np.empty(room, np.int64)
        vectors[: self._count] = self._vectors[: self._count]
        ids[: self._count] = self._ids[: self._count]
        self._vectors, self._ids = vectors, ids


def best_of(scores: FloatArray, ids: IdArray, k: int) -> IdArray:
    """Places of the k best, best first, ties by ascending id."""
    k = min(max(k, 0), len(scores))
    if k == 0:
        return np.empty(0, np.int64)
    # Keep everything that ties with the k-th best, so that ties resolve by id and not by row order.
    threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
    kept = np.flatnonzero(scores >= threshold)
    best: IdArray = kept[np.lexsort((ids[kept], -scores[kept]))][:k]
    return best
