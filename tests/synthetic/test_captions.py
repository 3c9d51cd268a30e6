"""Captions are true, know what they claim, and leave senses out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations

import pytest

from m2hf_core.records import BRANCHES, Branch
from m2hf_core.synthetic import (
    Caption,
    ClipSpec,
    audio_caption,
    available_senses,
    caption_for,
    caption_words,
    captions,
    demo_set,
    describes,
    motion_caption,
    speech_caption,
    transcript,
    visual_caption,
)
from m2hf_core.synthetic import vocabulary as words
from m2hf_core.synthetic.nouns import NOUNS, SENTENCES

SENSE_OF = {
    "shape": Branch.VISUAL,
    "colour": Branch.VISUAL,
    "background": Branch.VISUAL,
    "count": Branch.VISUAL,
    "motion": Branch.MOTION,
    "sound": Branch.AUDIO,
    "nouns": Branch.SPEECH,
}


def phrases_of(attribute: str, spec: ClipSpec) -> list[str]:
    """How a true caption of this clip may word an attribute, read from the vocabulary."""
    if attribute == "sound" and spec.sound in ("silence", "none"):
        return ["silen", "nothing is heard", "without any sound", "no sound"]
    return {
        "shape": [form for pair in words.SHAPES[spec.shape] for form in pair],
        "colour": list(words.COLOURS[spec.colour]),
        "background": list(words.BACKGROUNDS[spec.background]),
        "motion": [form for triple in words.MOTIONS[spec.motion] for form in triple],
        "sound": list(words.SOUNDS[spec.sound]),
    }[attribute]


def written(specs: Iterable[ClipSpec], n: int) -> list[tuple[ClipSpec, Caption]]:
    return [(spec, caption) for spec in specs for caption in captions(spec, n, seed=2)]


def test_captions_are_repeatable_and_independent_of_their_number(train_specs: list[ClipSpec]) -> None:
    for spec in train_specs[:50]:
        assert captions(spec, 3, seed=1) == captions(spec, 6, seed=1)[:3]
        assert captions(spec, 4, seed=1) != captions(spec, 4, seed=2)


def test_the_record_names_exactly_the_senses_it_mentions(train_specs: list[ClipSpec]) -> None:
    for _, caption in written(train_specs, 3):
        assert caption.senses
        assert {SENSE_OF[name] for name in caption.attributes} == caption.senses


def test_claims_are_true_and_can_be_read_in_the_text(train_specs: list[ClipSpec]) -> None:
    for spec, caption in written(train_specs, 3):
        for name, value in caption.attributes.items():
            if name == "nouns":
                assert set(value.split(",")) <= set(spec.nouns)
                assert all(noun in words.words_of(caption.text) for noun in value.split(","))
            elif name == "count":
                assert value == {1: "one", 2: "two", 3: "three"}[spec.count] or (
                    value == "several" and spec.count > 1
                )
            else:
                expected = (
                    "quiet" if name == "sound" and spec.sound in ("silence", "none") else getattr(spec, name)
                )
                assert value == expected
                assert any(phrase in caption.text for phrase in phrases_of(name, spec))


def test_the_text_holds_no_word_of_an_attribute_that_it_does_not_claim(train_specs: list[ClipSpec]) -> None:
    own_words = words.attribute_words()
    for _, caption in written(train_specs, 2):
        found = set(words.words_of(caption.text))
        for name, own in own_words.items():
            if name not in caption.attributes:
                assert not found & own, (name, caption)


def test_every_subset_of_the_senses_occurs(train_specs: list[ClipSpec]) -> None:
    seen = Counter(caption.senses for spec, caption in written(train_specs, 3) if spec.nouns)
    subsets = [frozenset(each) for size in range(1, 5) for each in combinations(BRANCHES, size)]
    assert set(seen) == set(subsets)
    sizes = Counter(len(senses) for senses in seen.elements())
    assert max(sizes.values()) < 1.4 * min(sizes.values())


def test_any_single_sense_is_missing_from_a_good_part_of_the_captions(train_specs: list[ClipSpec]) -> None:
    drawn = written(train_specs, 3)
    for sense in BRANCHES:
        assert 0.25 < sum(sense not in caption.senses for _, caption in drawn) / len(drawn) < 0.7


def test_a_clip_that_says_nothing_has_no_speech_caption(train_specs: list[ClipSpec]) -> None:
    mute = [spec for spec in train_specs if not spec.nouns]
    assert mute
    for spec in mute:
        assert Branch.SPEECH not in available_senses(spec)
        assert all(Branch.SPEECH not in caption.senses for caption in captions(spec, 5))
        with pytest.raises(ValueError, match="nothing to say"):
            speech_caption(spec)


def test_no_caption_lets_a_voice_speak_in_a_quiet_clip(train_specs: list[ClipSpec]) -> None:
    for spec in train_specs:
        if spec.sound in ("silence", "none") and spec.nouns:
            for seed in range(5):
                text = caption_for(spec, {Branch.SPEECH}, seed).text
                assert not {"someone", "somebody", "voice"} & set(text.split())


def test_silence_and_no_track_get_the_same_words(train_specs: list[ClipSpec]) -> None:
    for spec in train_specs[:100]:
        silent, trackless = replace(spec, sound="silence"), replace(spec, sound="none")
        assert captions(silent, 4) == captions(trackless, 4)


def test_a_caption_for_exactly_these_senses(train_specs: list[ClipSpec]) -> None:
    speaking = [spec for spec in train_specs if spec.nouns][:40]
    for spec in speaking:
        for size in range(1, 5):
            for senses in combinations(BRANCHES, size):
                assert caption_for(spec, senses, seed=4).senses == frozenset(senses)
    single = (visual_caption, audio_caption, motion_caption, speech_caption)
    for sense, write in zip(BRANCHES, single, strict=True):
        assert write(speaking[0]).senses == {sense}
    with pytest.raises(ValueError, match="nothing to say"):
        caption_for(speaking[0], ())


def test_describes_agrees_with_the_labels(train_specs: list[ClipSpec]) -> None:
    spec = replace(train_specs[0], shape="star", count=2, sound="none", nouns=("peace", "mercy"))
    assert describes({"shape": "star", "count": "several", "sound": "quiet", "nouns": "mercy"}, spec)
    assert describes({"count": "two"}, spec)
    assert not describes({"count": "three"}, spec)
    assert not describes({"count": "several"}, replace(spec, count=1))
    assert not describes({"nouns": "mercy,greed"}, spec)
    assert not describes({"sound": "quiet"}, replace(spec, sound="buzz"))
    assert not describes({"nouns": "mercy"}, replace(spec, nouns=()))


def test_all_caption_words_are_listed(train_specs: list[ClipSpec]) -> None:
    used = {word for _, caption in written(train_specs, 4) for word in words.words_of(caption.text)}
    assert used <= caption_words()
    assert len(used) > 0.9 * len(caption_words())


def test_no_word_belongs_to_two_attributes() -> None:
    for (one, some), (other, others) in combinations(words.attribute_words().items(), 2):
        assert not some & others, (one, other)


def test_what_is_said_shares_no_word_with_the_other_senses() -> None:
    others = frozenset().union(*(own for name, own in words.attribute_words().items() if name != "nouns"))
    sentences = {
        word for patterns in SENTENCES.values() for pattern in patterns for word in words.words_of(pattern)
    }
    assert not others & {noun.lower() for noun in NOUNS}
    assert not sentences & {noun.lower() for noun in NOUNS}
    assert not sentences & (others - {"is", "that"})


def test_transcripts_say_the_nouns_in_one_or_two_timed_sentences(train_specs: list[ClipSpec]) -> None:
    lengths = Counter[int]()
    for spec in train_specs:
        said = transcript(spec)
        if not spec.nouns:
            assert said is None
            continue
        assert said is not None
        lengths[len(said.lines)] += 1
        spoken = [word for line in said.lines for word in words.words_of(line.text)]
        assert [word for word in spoken if word in NOUNS] == list(spec.nouns)
        ends = [0.0]
        for line in said.lines:
            assert ends[-1] < line.start_s < line.end_s <= 4.0
            assert line.end_s - line.start_s > 1.0
            ends.append(line.end_s)
    assert set(lengths) == {1, 2}
    assert min(lengths.values()) > 50


@pytest.mark.parametrize("seed", range(4))
def test_each_demo_query_describes_its_clip_and_no_other(seed: int) -> None:
    drawn = demo_set(seed)
    assert (len(drawn.specs), len(drawn.queries)) == (48, 24)
    assert all(spec.split == "test" for spec in drawn.specs)
    assert len({query.clip for query in drawn.queries}) == 24
    for query in drawn.queries:
        fits = [
            number for number, spec in enumerate(drawn.specs) if describes(query.caption.attributes, spec)
        ]
        assert fits == [query.clip]


def test_the_demo_follows_from_the_seed_and_needs_every_sense() -> None:
    assert demo_set(1) == demo_set(1)
    assert demo_set(1) != demo_set(2)
    for seed in range(3):
        queries = demo_set(seed).queries
        for sense in BRANCHES:
            assert 2 <= sum(sense in query.caption.senses for query in queries) < 24


def test_a_demo_that_cannot_be_well_posed_says_so() -> None:
    with pytest.raises(ValueError, match="well posed"):
        demo_set(0, clips=3, queries=4)
