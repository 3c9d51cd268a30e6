"""How unusual a score is: for this clip, and for this library.

Every clip is compared with captions that are not about it (the null bank) when it is taken into the index. A score
then counts in deviations from the clip's own mean, which takes from a clip that likes every sentence what it has not
earned. And every null caption leaves a mark on the library: how far it got at its best clip. A query whose best
clip gets no farther than such captions do probably has no answer here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from m2hf_core.model.ranks import BoolArray
from m2hf_core.records import Branch, Likelihood
from m2hf_core.search.gallery import FloatArray, Gallery

LIKELY, MAYBE = 0.95, 0.6
"""Shares of the null captions that a hit has to surpass; README.md has what they do on the synthetic world."""
HUB = 3.0
"""A hub's mean score with unrelated captions is so many deviations above the mean of an ordinary clip."""
FEWEST = 24
"""Fewer null captions say nothing about the ends of a distribution."""


class Calibration:
    """One gallery's; made once when it is loaded."""

    def __init__(self, gallery: Gallery, caption_nouns: Sequence[frozenset[str]]) -> None:
        """`caption_nouns` [M]: the noun sets of the null captions, in the order of the bank.

        While models change, a score is a place among the clips of its own models: nothing to compare with captions,
        so nothing is known then.
        """
        null = {str(branch): gallery.encoded.null(branch) for branch in gallery.encoded.branches}
        self._null = {branch: values for branch, values in null.items() if values is not None}
        tops: dict[str, FloatArray] = {}
        for branch in gallery.encoded.branches if gallery.former is None else ():
            found = gallery.encoded.null_tops(branch)
            if found is not None and len(found) >= FEWEST and np.isfinite(found).all():
                tops[str(branch)] = found
        if tops and any(gallery.nouns) and len(caption_nouns) == len(next(iter(tops.values()))):
            best = [gallery.spoken.scores(nouns)[1].max(initial=0.0) for nouns in caption_nouns]
            tops[Branch.SPEECH.value] = np.asarray(best, np.float32)
        self._tops = {branch: np.sort(values) for branch, values in tops.items()}
        # A hit at a time is looked up in lists: numpy's way of asking for one place takes ten times as long.
        self._listed = {branch: values.tolist() for branch, values in self._tops.items()}
        own = [self._quantiles(branch, values) for branch, values in tops.items()]
        # With more branches something unusual turns up somewhere more often, for null captions as for queries.
        self._joint: list[float] = np.sort(np.max(own, axis=0)).tolist() if own else []
        self.hubs = self._find_hubs(gallery)

    @property
    def known(self) -> bool:
        return len(self._joint) > 0

    def percentile(self, branch: str, row: int, score: float) -> float | None:
        """The share of null captions whose best clip is less unusual than this one, 0 to 1; None where unknown."""
        if branch not in self._tops:
            return None
        unusual = score
        if branch != Branch.SPEECH:
            if branch not in self._null:
                return None
            mean, deviation = self._null[branch][row].tolist()
            if np.isnan(mean):
                return None
            unusual = (score - mean) / deviation
        ordered = self._listed[branch]
        return bisect_left(ordered, float(np.float32(unusual))) / len(ordered)

    def likelihood(self, row: int, scores: Mapping[str, float]) -> Likelihood:
        """What a hit's scores by branch are worth together."""
        share = self.share(row, scores)
        return "unknown" if share is None else self.mark(share)

    @staticmethod
    def mark(share: float) -> Likelihood:
        """A share of null captions in words."""
        return "likely" if share >= LIKELY else "maybe" if share >= MAYBE else "probably not"

    def share(self, row: int, scores: Mapping[str, float]) -> float | None:
        """The share of null captions that get less far in their best branch than this clip does in its best."""
        found = [
            percentile
            for branch, score in scores.items()
            if (percentile := self.percentile(branch, row, score)) is not None
        ]
        if not found:
            return None
        return bisect_left(self._joint, max(found)) / len(self._joint)

    def _quantiles(self, branch: str, values: FloatArray) -> npt.NDArray[np.float64]:
        ordered = self._tops[branch]
        # An equal score is no more unusual than the null caption's own.
        shares: npt.NDArray[np.float64] = np.searchsorted(ordered, values, side="left") / len(ordered)
        return shares

    def _find_hubs(self, gallery: Gallery) -> BoolArray:
        """[N] clips that on average fit any caption better than an ordinary clip fits one in hundreds."""
        hubs = np.zeros(len(gallery), np.bool_)
        for branch in self._tops.keys() & self._null.keys():
            rows = np.flatnonzero(gallery.encoded.present[branch])
            null = self._null[branch][rows]
            if len(rows):
                mean, deviation = np.median(null, axis=0)
                hubs[rows] |= null[:, 0] > mean + HUB * deviation
        return hubs
