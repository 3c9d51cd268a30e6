"""Jaccard of noun sets: pairs, the dense matrix and the inverted index say the same."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from m2hf_core.model.speech import SpokenNouns, jaccard, jaccard_matrix

NOUNS = st.frozensets(
    st.sampled_from(["man", "dog", "guitar", "kitchen", "car", "sea", "child", "road"]), max_size=6
)


def test_jaccard_is_shared_over_all():
    assert jaccard({"man", "guitar"}, {"man", "dog", "car"}) == 1 / 4
    assert jaccard({"man"}, {"man"}) == 1.0


def test_a_pair_abstains_when_nothing_is_shared_or_a_side_is_empty():
    assert jaccard({"man"}, {"dog"}) is None
    assert jaccard(set(), {"dog"}) is None
    assert jaccard({"man"}, set()) is None
    assert jaccard(set(), set()) is None


@given(st.lists(NOUNS, max_size=12), st.lists(NOUNS, max_size=12))
@settings(max_examples=60, deadline=None)
def test_all_forms_agree_with_the_definition(queries, clips):
    scores, abstains = jaccard_matrix(queries, clips)
    index = SpokenNouns(clips)
    assert scores.shape == abstains.shape == (len(queries), len(clips))
    assert len(index) == len(clips)
    for i, query in enumerate(queries):
        found, values = index.scores(query)
        assert found.tolist() == sorted(found.tolist()) == np.flatnonzero(~abstains[i]).tolist()
        for j, clip in enumerate(clips):
            shared, every = query & clip, query | clip
            assert abstains[i, j] == (not shared)
            assert scores[i, j] == (len(shared) / len(every) if shared else 0.0)
            assert jaccard(query, clip) == (scores[i, j] if shared else None)
        assert values.tolist() == scores[i][found].tolist()


def test_words_that_no_clip_says_still_count_against_the_query():
    clips, values = SpokenNouns([{"man"}]).scores({"man", "zeppelin"})
    assert clips.tolist() == [0]
    assert values.tolist() == [0.5]


def test_a_hundred_thousand_clips_are_searched_by_their_words():
    rng = np.random.default_rng(0)
    words = np.array([f"noun{i}" for i in range(5_000)])
    picks = words[rng.zipf(1.3, size=(100_000, 6)) % 5_000]
    clips = [frozenset(row) for row in picks.tolist()]
    index = SpokenNouns(clips)
    query = frozenset(["noun1", "noun77", "noun4999"])
    found, values = index.scores(query)
    wanted = {i: len(query & c) / len(query | c) for i, c in enumerate(clips) if query & c}
    assert dict(zip(found.tolist(), values.tolist(), strict=True)) == wanted
