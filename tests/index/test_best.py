"""The first k equal those of a plain sort, ties and all."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from m2hf_core.index.best import best_of


@given(scores=st.lists(st.integers(-3, 3), max_size=40), k=st.integers(-1, 45), seed=st.integers(0, 99))
def test_the_first_k_of_a_plain_sort(scores: list[int], k: int, seed: int) -> None:
    ids = np.random.default_rng(seed).permutation(len(scores)) * 3
    plain = sorted(range(len(scores)), key=lambda place: (-scores[place], ids[place]))
    found = best_of(np.asarray(scores, np.float32), ids, k)
    assert found.tolist() == plain[: max(k, 0)]
