"""Every sign of invented speech closes the gate, and ordinary speech passes."""

from __future__ import annotations

import pytest

from m2hf_core.features.whisper_gates import Gate, Heard, is_loop
from m2hf_core.records import Line


def heard(text: str, log_prob: float = -0.3, no_speech: float = 0.05) -> Heard:
    return Heard(Line(text, 0.0, 2.0), log_prob, no_speech)


def test_ordinary_speech_passes() -> None:
    gate = Gate()
    for text in (
        "We went down to the harbour.",
        "The harbour was closed.",
        "Why?",
        "Nobody knew.",
        "好的,我们走吧",
    ):
        assert gate.admits(heard(text))


@pytest.mark.parametrize(
    ("log_prob", "no_speech", "passes"),
    [
        (-0.99, 0.05, True),
        (-1.01, 0.05, False),  # the network does not believe its own words
        (-0.4, 0.7, True),
        (-0.6, 0.7, False),  # doubtful words where probably nobody speaks
        (-0.1, 0.96, False),  # however sure of the words: nobody speaks
    ],
)
def test_certainty(log_prob: float, no_speech: float, passes: bool) -> None:
    assert Gate().admits(heard("Turn left at the church.", log_prob, no_speech)) is passes


@pytest.mark.parametrize(
    "text",
    [
        "and so on and so on and so on and so on and so on",
        "Thank you. Thank you. Thank you. Thank you. Thank you.",
        "thanks for watching please subscribe thanks for watching please subscribe "
        "thanks for watching please subscribe thanks for watching please subscribe",
        "哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈",
        "Oh " * 60,
    ],
)
def test_a_text_that_goes_round_in_circles_is_dropped(text: str) -> None:
    assert is_loop(text)
    assert not Gate().admits(heard(text))


@pytest.mark.parametrize(
    "text",
    [
        "No no no no, that is the wrong one.",
        "It was very, very, very good.",
        "Row, row, row your boat gently down the stream, merrily merrily merrily merrily.",
        "The more we looked the more we saw, and the more we saw the more we wondered.",
        "",
    ],
)
def test_what_people_really_repeat_is_no_loop(text: str) -> None:
    assert not is_loop(text)


def test_a_sentence_said_again_word_for_word_is_dropped() -> None:
    gate = Gate()
    assert gate.admits(heard("Subtitles by the community"))
    assert not gate.admits(heard("subtitles by the community."))
    assert gate.admits(heard("Something else was said"))
    assert not gate.admits(heard("Subtitles by the community!"))


def test_short_answers_may_return_but_not_at_once() -> None:
    gate = Gate()
    assert [gate.admits(heard(text)) for text in ("Yes.", "Yes.", "Really?", "Yes.")] == [
        True,
        False,
        True,
        True,
    ]


def test_signs_without_letters_are_no_words() -> None:
    assert not Gate().admits(heard("♪♪ ..."))
