"""The index over matrices that lie elsewhere, mapped from disk: products, no copy, no memory of its own.

With floats alone an answer is exact. With codes beside them everything is looked through in bytes, and only the
best by these are scored with floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from m2hf_core.index.best import best_of
from m2hf_core.index.codes import CodedQuery, CodedRows, coded_query
from m2hf_core.index.vectors import BoolArray, FloatArray, IdArray

SPARE = 4
"""Of k wanted, k / 4 more are taken by their codes and scored exactly: that lost none of those that floats find, at
1,000 to 1,000,000 clips (README.md)."""


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
        coded = [part.codes for part in parts if part.codes is not None]
        self._coded = _CodedParts(ids, parts, coded) if parts and len(coded) == len(parts) else None

    def __len__(self) -> int:
        return int(np.count_nonzero(self.known))

    def scores(self, query: FloatArray) -> FloatArray:
        """Inner products of query [width] by place, [N]; 0 where no vector is."""
        query = self._checked(query)
        return self._by_place([part.vectors @ query for part, _ in self._parts])

    def likely(self, query: FloatArray) -> FloatArray:
        """As `scores`, from the codes where there are some: right to 0.002 for unit rows."""
        query = self._checked(query)
        return self.scores(query) if self._coded is None else self._coded.scores(query)

    def search(
        self, query: FloatArray, k: int, allowed: BoolArray | None = None
    ) -> tuple[IdArray, FloatArray]:
        """As `VectorIndex.search`; `allowed` [N] by place.

        With codes everything is looked through in bytes and the best are scored exactly, so scores are exact and now
        and then one that just belongs among the k is missed.
        """
        query = self._checked(query)
        if self._coded is None:
            places, scores = self._best(self.scores(query), k, allowed)
            return self.ids[places], scores
        places = self._coded.near(query, k + k // SPARE, allowed)
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
        order = np.argsort(self._part_of[places], kind="stable")
        owner, rows = self._part_of[places[order]], self._row_of[places[order]]
        vectors = np.empty((len(places), self.width), np.float32)
        for first, end in runs(owner):
            own = self._parts[owner[first]][0].vectors
            np.take(own, rows[first:end], axis=0, out=vectors[first:end], mode="clip")
        scores = np.empty(len(places), np.float32)
        # Row by row, so that a score does not depend on which rows stand beside it.
        scores[order] = np.einsum("nd,d->n", vectors, query)
        return scores


class _CodedParts:
    """The codes of every part, whose products stand one after the other in the parts' own order."""

    def __init__(self, ids: IdArray, parts: Sequence[Part], codes: Sequence[CodedRows]) -> None:
        self._codes, self._size = codes, len(ids)
        self._place = np.concatenate([part.rows for part in parts])
        self._ids = ids[self._place]
        self._step = np.concatenate([rows.step for rows in codes])
        self._counts: BoolArray = self._place >= 0
        self._all_count = bool(self._counts.all())

    def scores(self, query: FloatArray) -> FloatArray:
        """Inner products [N] by place, as the codes have them; 0 where no vector is."""
        asked = coded_query(query)
        found = np.zeros(self._size, np.float32)
        found[self._place[self._counts]] = (self._products(asked) * np.float32(asked.step))[self._counts]
        return found

    def _products(self, asked: CodedQuery) -> FloatArray:
        """In the parts' order, without the query's own step."""
        found: FloatArray = np.concatenate([rows.sums(asked) for rows in self._codes]).astype(np.float32)
        found *= self._step
        return found

    def near(self, query: FloatArray, k: int, allowed: BoolArray | None) -> IdArray:
        """The places of the k best by their codes, in no order; `allowed` by place."""
        # The query's own step is the same for all and changes no order.
        scores = self._products(coded_query(query))
        if allowed is None and self._all_count:
            return self._place[best_of(scores, self._ids, k)]
        counts = self._counts if allowed is None else self._counts & allowed[self._place]
        taking = np.flatnonzero(counts)
        return self._place[taking[best_of(scores[taking], self._ids[taking], k)]]


def runs(values: npt.NDArray[np.integer]) -> list[tuple[int, int]]:
    """(first, end) of each stretch of equal neighbours."""
    if not len(values):
        return []
    return list(pairwise([0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)]))
