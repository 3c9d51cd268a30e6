"""Vectors of length one, and what search asks of an index of them, whichever kind serves."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IdArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def unit_rows(values: npt.NDArray[np.floating]) -> FloatArray:
    """Rows [n, d] scaled to length one; zero rows stay zero."""
    rows = np.asarray(values, np.float32)
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: FloatArray = rows / np.maximum(norms, np.float32(1e-12))
    return unit


class VectorIndex(Protocol):
    """Vectors of one width under stable ids; the score is the inner product."""

    @property
    def width(self) -> int: ...

    def __len__(self) -> int: ...

    def search(self, query: FloatArray, k: int) -> tuple[IdArray, FloatArray]:
        """The k best for query [width]: ids and scores, best first, ties by ascending id."""
        ...
