"""The first k of many scores, in an order that depends on nothing but scores and ids."""

from __future__ import annotations

import numpy as np

from m2hf_core.index.vectors import FloatArray, IdArray


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
