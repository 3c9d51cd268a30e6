"""The speech branch (M2HF, Eq. 11): how far the nouns of a query and the nouns that were spoken are the same.

Which words are nouns is decided elsewhere, by one function for both sides; here are only sets. A pair abstains, that is
takes no part in any ranking, when either set is empty or nothing is shared: all such pairs would tie at zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
import numpy.typing as npt


def jaccard(query: AbstractSet[str], spoken: AbstractSet[str]) -> float | None:
    """Shared nouns over all nouns, in (0, 1]; None when the pair abstains."""
    shared = len(query & spoken)
    return shared / (len(query) + len(spoken) - shared) if shared else None


class SpokenNouns:
    """An inverted index over the noun sets of N clips: a query touches only the clips that share a word.

    Memory: 4 bytes per noun of each clip, plus the vocabulary.
    """

    def __init__(self, clips: Iterable[AbstractSet[str]]) -> None:
        word_ids: dict[str, int] = {}
        words: list[int] = []
        sizes: list[int] = []
        for nouns in clips:
            words.extend(word_ids.setdefault(noun, len(word_ids)) for noun in nouns)
            sizes.append(len(nouns))
        self._word_ids = word_ids
        self._sizes = np.asarray(sizes, np.int64)
        word_of = np.asarray(words, np.int64)
        owner = np.repeat(np.arange(len(sizes), dtype=np.int32), self._sizes)
        self._clips = owner[np.argsort(word_of, kind="stable")]
        self._start = np.concatenate([[0], np.cumsum(np.bincount(word_of, minlength=len(word_ids)))])

    def __len__(self) -> int:
        return len(self._sizes)

    def scores(self, query: AbstractSet[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """(clips ascending, their Jaccard): only pairs that do not abstain."""
        clips, shared = self.shared(query)
        return clips, shared / (len(query) + self._sizes[clips] - shared)

    def shared(self, query: AbstractSet[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(clips ascending, how many of the query's nouns each holds): only clips that hold one."""
        known = [self._word_ids[noun] for noun in query if noun in self._word_ids]
        if not known:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        postings = np.concatenate([self._clips[self._start[word] : self._start[word + 1]] for word in known])
        counts = np.bincount(postings, minlength=len(self._sizes))
        clips = np.flatnonzero(counts)
        return clips, counts[clips]


def jaccard_matrix(
    queries: Sequence[AbstractSet[str]], clips: Sequence[AbstractSet[str]]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """For evaluation: (S [Q, N] with S[i, j] = query i and clip j, abstains [Q, N]); an abstaining pair scores 0."""
    spoken = SpokenNouns(clips)
    scores = np.zeros((len(queries), len(clips)))
    for row, query in zip(scores, queries, strict=True):
        found, values = spoken.scores(query)
        row[found] = values
    return scores, scores == 0.0
