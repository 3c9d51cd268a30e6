"""Labels are drawn by seed, clip by clip, and the splits share no combination."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m2hf_core.synthetic import SPLITS, ClipSpec, Split, draw_specs, split_of, split_of_pair
from m2hf_core.synthetic.nouns import NOUNS
from m2hf_core.synthetic.vocabulary import BACKGROUNDS, COLOURS, COUNTS, MOTIONS, SHAPES, SOUNDS

Combination = tuple[str, str, str, int, str, str]


def combination(spec: ClipSpec) -> Combination:
    return (spec.shape, spec.colour, spec.background, spec.count, spec.motion, spec.sound)


@settings(deadline=None, max_examples=25)
@given(split=st.sampled_from(SPLITS), n=st.integers(1, 30), seed=st.integers(0, 2**40))
def test_more_clips_leave_the_earlier_ones_alone(split: Split, n: int, seed: int) -> None:
    assert draw_specs(split, n + 5, seed)[:n] == draw_specs(split, n, seed)


def test_seed_split_and_index_all_matter() -> None:
    drawn = {spec.nuisance for split in SPLITS for seed in (0, 1) for spec in draw_specs(split, 20, seed)}
    assert len(drawn) == 3 * 2 * 20


def test_splits_share_no_combination_of_picture_motion_and_sound() -> None:
    seen = {
        split: {combination(spec) for seed in (0, 1) for spec in draw_specs(split, 700, seed)}
        for split in SPLITS
    }
    for one, other in combinations(SPLITS, 2):
        assert not seen[one] & seen[other]
    for split in SPLITS:
        assert all(split_of(*each) == split for each in seen[split])


def test_splits_share_no_pair_of_nouns() -> None:
    pairs = {
        split: {
            frozenset(pair)
            for spec in draw_specs(split, 1000, seed=3)
            for pair in combinations(spec.nouns, 2)
        }
        for split in SPLITS
    }
    for one, other in combinations(SPLITS, 2):
        assert not pairs[one] & pairs[other]
    assert all(
        split_of_pair(*sorted(pair)) == split == split_of_pair(*sorted(pair)[::-1])
        for split in SPLITS
        for pair in pairs[split]
    )


def test_about_eighty_ten_ten_of_all_combinations() -> None:
    sample = [
        (shape, colour, background, count, motion, sound)
        for shape in list(SHAPES)[:3]
        for colour in list(COLOURS)[:4]
        for background in BACKGROUNDS
        for count in COUNTS
        for motion in MOTIONS
        for sound in list(SOUNDS)[:4]
    ]
    shares = Counter(split_of(*each) for each in sample)
    assert shares["train"] / len(sample) == pytest.approx(0.8, abs=0.02)
    assert shares["val"] / len(sample) == pytest.approx(0.1, abs=0.02)
    assert shares["test"] / len(sample) == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("split", SPLITS)
def test_every_value_of_every_attribute_occurs_in_every_split(split: Split) -> None:
    specs = draw_specs(split, 1500, seed=5)
    for name, values in {
        "shape": SHAPES,
        "colour": COLOURS,
        "background": BACKGROUNDS,
        "count": COUNTS,
        "motion": MOTIONS,
        "sound": SOUNDS,
    }.items():
        shares = Counter(getattr(spec, name) for spec in specs)
        assert set(shares) == set(values)
        assert max(shares.values()) < 1.6 * min(shares.values())


@pytest.mark.parametrize("split", SPLITS)
def test_clips_say_nothing_or_one_to_three_different_nouns(split: Split) -> None:
    specs = draw_specs(split, 1000, seed=6)
    lengths = Counter(len(spec.nouns) for spec in specs)
    assert set(lengths) == {0, 1, 2, 3}
    assert 0.15 < lengths[0] / len(specs) < 0.25
    assert all(len(set(spec.nouns)) == len(spec.nouns) for spec in specs)
    assert len({noun for spec in specs for noun in spec.nouns}) > 0.9 * len(NOUNS)


def test_two_hundred_nouns() -> None:
    assert len(NOUNS) == len(set(NOUNS)) == 200
