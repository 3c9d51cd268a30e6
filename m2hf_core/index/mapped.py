"""The exact index over matrices that lie elsewhere, mapped from disk: one product, no copy, no memory of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from m2hf_core.index.exact import best_of
from m2hf_core.index.vectors import BoolArray, FloatArray, IdArray


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One matrix and where its rows stand in the whole."""

    vectors: FloatArray
    """[n, width]"""
    rows: IdArray
    """[n] the place of each row in the whole; -1 for one that does not count."""


class MappedIndex:
    """Fixed vectors of N places in parts; a place without a vector is never found."""

    def __init__(self, width: int, ids: IdArray, parts: Sequence[Part]) -> None:
        """`ids` [N], ascending, by place."""
        self.width, self.ids = width, ids
        self._parts = [(part, np.flatnonzero(part.rows >= 0)) for part in parts]
        self.known: BoolArray = np.zeros(len(ids), np.bool_)
        for part, taken in self._parts:
            self.known[part.rows[taken]] = True

    def __len__(self) -> int:
        return int(np.count_nonzero(self.known))

    def scores(self, query: FloatArray) -> FloatArray:
        """Inner products of query [width] by place, [N]; 0 where no vector is."""
        found = np.zeros(len(self.ids), np.float32)
        query = np.ascontiguousarray(query, np.float32)
        if query.shape != (self.width,):
            raise ValueError(f"expected a query of width {self.width}, got shape {query.shape}")
        for part, taken in self._parts:
            product = part.vectors @ query
            found[part.rows[taken]] = product if len(taken) == len(product) else product[taken]
        return found

    def search(
        self, query: FloatArray, k: int, allowed: BoolArray | None = None
    ) -> tuple[IdArray, FloatArray]:
        """As `VectorIndex.search`; `allowed` [N] by place."""
        scores = self.scores(query)
        taking = np.flatnonzero(self.known if allowed is None else self.known & allowed)
        best = taking[best_of(scores[taking], self.ids[taking], k)]
        return self.ids[best], scores[best]
