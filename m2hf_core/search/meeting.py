"""Weighted token-wise interaction (M2HF, Eq. 1) of one query with clips whose frames lie on disk, in plain numpy.

`M2HF.score` pads clips to one length and needs them as tensors; a search meets a few hundred clips out of mapped files,
each with its own number of frames. Both give the same numbers to 1e-6; a test holds them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from m2hf_core.model.inputs import Side, TextFeatures
from m2hf_core.model.m2hf import M2HF
from m2hf_core.model.wti import real_rows

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class DenseQuery:
    """A query as one dense branch reads it; T are the words (parts of words) that may be matched."""

    tokens: FloatArray
    """[T, d], L2-normalised."""
    weight: FloatArray
    """[T], sums to 1."""
    words: tuple[str | None, ...]
    """[T] the word that each belongs to, None for the end mark, which stands for the text as a whole."""
    rho: float
    """Share of the direction from words to frames."""
    vector: FloatArray
    """[d] the weighted mean; its product with a clip's finds candidates."""

    def score(self, frames: FloatArray, weight: FloatArray, counts: npt.NDArray[np.int64]) -> FloatArray:
        """Scores [P] of P clips: frames [R, d] and weights [R] clip after clip, `counts` [P] frames each (>= 1)."""
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        # [T, R], since maxima over a few long rows cost a tenth of those over many short ones.
        cosines = torch.mm(torch.from_numpy(self.tokens), torch.from_numpy(frames).T).numpy()
        scores = np.zeros(len(counts), np.float32)
        if self.rho > 0:
            scores += self.rho * (self.weight @ np.maximum.reduceat(cosines, starts, axis=1))
        if self.rho < 1:
            scores += (1 - self.rho) * np.add.reduceat(cosines.max(axis=0) * weight, starts)
        return scores

    def along(self, frames: FloatArray) -> FloatArray:
        """[F] how well each frame [F, d] fits the weighted words as a whole: what a timeline shows."""
        fit: FloatArray = frames @ self.vector
        return fit

    def aligned(self, frames: FloatArray) -> list[tuple[str | None, int, float]]:
        """(word, frame, weight) in the query's order: a word's parts together, at the frame of its weightiest part."""
        places = (frames @ self.tokens.T).argmax(axis=0)
        found: list[tuple[str | None, int, float]] = []
        heaviest = 0.0
        for number, word in enumerate(self.words):
            weight = float(self.weight[number])
            if found and word is not None and found[-1][0] == word:
                place = int(places[number]) if weight > heaviest else found[-1][1]
                found[-1] = (word, place, found[-1][2] + weight)
                heaviest = max(heaviest, weight)
            else:
                found.append((word, int(places[number]), weight))
                heaviest = weight
        return found


def dense_query(side: Side, words: Sequence[str | None], rho: float) -> DenseQuery:
    """From one text's side; `words` belong to its real rows."""
    real = real_rows(side)
    return DenseQuery(
        tokens=np.ascontiguousarray(real.unit[0].numpy(), np.float32),
        weight=np.ascontiguousarray(real.weight[0].numpy(), np.float32),
        words=tuple(words),
        rho=rho,
        vector=np.ascontiguousarray(side.vector()[0].numpy(), np.float32),
    )


@torch.inference_mode()
def read_query(
    scorer: M2HF, text: TextFeatures, words: Sequence[str | None], branches: Sequence[str]
) -> dict[str, DenseQuery]:
    """One text (B = 1) for some branches; `words` [T] by position of the tower."""
    sides = scorer.encode_text(text, branches)
    found = {}
    for name, side in sides.items():
        positions = (
            [int(text.pooled[0])] if scorer.tokens == "pooled" else side.mask[0].nonzero()[:, 0].tolist()
        )
        found[name] = dense_query(side, [words[place] for place in positions], scorer.rho)
    return found


def pooled_query(vector: FloatArray) -> DenseQuery:
    """The query of a scorer that reads only the pooled token: one row of weight 1."""
    ones = np.ones(1, np.float32)
    return DenseQuery(vector[None], ones, (None,), 0.0, vector)
