"""The exact index over matrices that lie elsewhere, mapped from disk: one product, no copy, no memory of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from m2hf_core.index.best import best_of
from m2hf_core.index.codes import CodedRows
from m2hf_core.index.vectors import BoolArray, FloatArray, IdArray

SPARE = 4
"""Of k wanted, k / 4 more are taken by their codes and scored exactly: README.md has what that finds."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One matrix and where its rows stand in the whole."""

    vectors: FloatArray
    """[n, width]"""
    rows: IdArray
    """[n] the place of each row in the whole; -1 for one that does not count."""
    codes: CodedRows | None = None
    """The same vectors in bytes, to look through."""


class MappedIndex:
    """Fixed vectors of N places in parts; a place without a vector is never found."""

    def __init__(self, width: int, ids: IdArray, parts: Sequence[Part]) -> None:
        """`ids` [N], ascending, by place."""
        self.width, self.ids = width, ids
        self._parts = [(part, np.flatnonzero(part.rows >= 0)) for part in parts]
        self._whole = [len(taken) == len(part.rows) for part, taken in self._parts]
        self.known: BoolArray = np.zeros(len(ids), np.bool_)
        for part, taken in self._parts:
            self.known[part.rows[taken]] = True
        self._all_known = bool(self.known.all())
        self._part_of = np.full(len(ids), -1, np.int32)
        self._row_of = np.zeros(len(ids), np.int64)
        for number, (part, taken) in enumerate(self._parts):
            self._part_of[part.rows[taken]], self._row_of[part.rows[taken]] = number, taken

    def __len__(self) -> int:
        return int(np.count_nonzero(self.known))

    def scores(self, query: FloatArray) -> FloatArray:
        """Inner products of query [width] by place, [N]; 0 where no vector is."""
        query = self._checked(query)
        return self._by_place([part.vectors @ query for part, _ in self._parts])

    def search(
        self, query: FloatArray, k: int, allowed: BoolArray | None = None
    ) -> tuple[IdArray, FloatArray]:
        """As `VectorIndex.search`; `allowed` [N] by place.

        With codes everything is looked through in bytes and the best are scored exactly, so scores are exact and now
        and then one that just belongs among the k is missed.
        """
        query = self._checked(query)
        if any(part.codes is None for part, _ in self._parts):
            places, scores = self._best(self.scores(query), k, allowed)
            return self.ids[places], scores
        near = self._by_place(
            [part.codes.products(query) for part, _ in self._parts if part.codes is not None]
        )
        places, _ = self._best(near, k + k // SPARE, allowed)
        scores = self._exactly(places, query)
        best = best_of(scores, self.ids[places], k)
        return self.ids[places[best]], scores[best]

    def _checked(self, query: FloatArray) -> FloatArray:
        query = np.ascontiguousarray(query, np.float32)
        if query.shape != (self.width,):
            raise ValueError(f"expected a query of width {self.width}, got shape {query.shape}")
        return query

    def _by_place(self, products: Sequence[FloatArray]) -> FloatArray:
        found = np.zeros(len(self.ids), np.float32)
        for (part, taken), whole, product in zip(self._parts, self._whole, products, strict=True):
            if whole:
                found[part.rows] = product
            else:
                found[part.rows[taken]] = product[taken]
        return found

    def _best(self, scores: FloatArray, k: int, allowed: BoolArray | None) -> tuple[IdArray, FloatArray]:
        """(the places of the k best, their scores)."""
        if allowed is None and self._all_known:
            best = best_of(scores, self.ids, k)
        else:
            taking = np.flatnonzero(self.known if allowed is None else self.known & allowed)
            best = taking[best_of(scores[taking], self.ids[taking], k)]
        return best, scores[best]

    def _exactly(self, places: IdArray, query: FloatArray) -> FloatArray:
        """Inner products [n] of a few places."""
        scores = np.empty(len(places), np.float32)
        owner = self._part_of[places]
        for number in np.unique(owner).tolist():
            inside = np.flatnonzero(owner == number)
            scores[inside] = self._parts[number][0].vectors[self._row_of[places[inside]]] @ query
        return scores
