"""Training pairs are true, and pictures are those that the program's own preprocessing will show the network."""

from __future__ import annotations

import numpy as np

from m2hf_core.records import Branch
from m2hf_core.synthetic import captions, describes, draw_specs, sound
from m2hf_core.training.demo_data import (
    VALUES,
    VISUAL,
    caption_truth,
    class_numbers,
    clip_values,
    heard_samples,
    moved_runs,
    seen_frames,
    sighted_captions,
)


def test_truth_agrees_with_the_world() -> None:
    specs = draw_specs("train", 60, 0)
    written = [caption for spec in specs for caption in captions(spec, 2, seed=1)]
    truth = caption_truth(written).of(clip_values(specs), tuple(VALUES))
    for row, caption in enumerate(written):
        without_words = {key: value for key, value in caption.attributes.items() if key != "nouns"}
        assert truth[row].tolist() == [describes(without_words, spec) for spec in specs], caption.text


def test_truth_of_some_attributes_ignores_the_others() -> None:
    specs = draw_specs("train", 40, 0)
    written = [sighted_captions(spec, 1, 0)[0] for spec in specs]
    every = caption_truth(written).of(clip_values(specs), tuple(VALUES))
    visual = caption_truth(written).of(clip_values(specs), VISUAL)
    assert visual.diagonal().all()
    assert (visual >= every).all()
    assert visual.sum() > every.sum()


def test_captions_of_words_alone_are_left_out() -> None:
    for spec in draw_specs("train", 30, 0):
        written = sighted_captions(spec, 5, 0)
        assert len(written) == 5
        assert all(caption.senses - {Branch.SPEECH} for caption in written)
        assert written[:2] == sighted_captions(spec, 2, 0)


def test_class_numbers_are_the_bits_of_the_values() -> None:
    specs = draw_specs("train", 50, 0)
    for column, name in enumerate(VALUES):
        assert (clip_values(specs)[:, column] == 1 << class_numbers(specs, name)).all()


def test_arrays() -> None:
    spec = draw_specs("train", 1, 0)[0]
    assert seen_frames(spec, [0.5, 3.0], 64).shape == (2, 64, 64, 3)
    runs = moved_runs(spec, [0.0, 2.9], 32)
    assert runs.shape == (2, 16, 32, 32, 3)
    assert runs.dtype == np.uint8


def test_a_clip_without_a_track_is_silent() -> None:
    specs = draw_specs("train", 80, 0)
    mute = next(spec for spec in specs if spec.sound == "none")
    assert sound(mute, 16_000) is None
    assert heard_samples(mute).shape == (64_000,)
    assert not heard_samples(mute).any()
    loud = next(spec for spec in specs if spec.sound == "drum")
    np.testing.assert_array_equal(heard_samples(loud), sound(loud, 16_000))
