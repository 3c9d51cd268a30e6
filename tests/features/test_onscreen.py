"""A text that stays on the screen becomes one line; other texts stay apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from m2hf_core.features.onscreen import BRIDGE_S, lines_on_screen


def seconds(*frames: tuple[str, ...]) -> list[tuple[float, float, tuple[str, ...]]]:
    return [(float(i), float(i + 1), texts) for i, texts in enumerate(frames)]


def test_a_sign_is_one_line_and_the_longest_reading_stands() -> None:
    lines = lines_on_screen(seconds(("Grand Hote",), ("Grand Hotel",), ("Grand Hotei",), (), ("Taxi",)))
    assert [(line.text, line.start_s, line.end_s) for line in lines] == [
        ("Grand Hotel", 0.0, 3.0),
        ("Taxi", 4.0, 5.0),
    ]


def test_a_short_gap_is_bridged_and_a_long_one_is_not() -> None:
    text = ("Platform nine",)
    lines = lines_on_screen(seconds(text, (), (), text, (), (), (), (), text))
    assert [(line.start_s, line.end_s) for line in lines] == [(0.0, 4.0), (8.0, 9.0)]


def test_numbers_and_short_words_are_never_taken_for_each_other() -> None:
    lines = lines_on_screen(seconds(("10:4", "Exit"), ("10:5", "Exit")))
    assert [line.text for line in lines] == ["10:4", "Exit", "10:5"]


def test_one_text_twice_in_a_frame_is_two_lines() -> None:
    lines = lines_on_screen(seconds(("Emergency", "Emergency"), ("Emergency", "Emergency")))
    assert [(line.text, line.end_s) for line in lines] == [("Emergency", 2.0)] * 2


def test_strokes_and_dots_are_no_words() -> None:
    assert lines_on_screen(seconds(("|", "...", "\u2014"), ("",))) == ()


@given(
    st.lists(
        st.lists(st.sampled_from(["alpha one", "alpha two", "beta", "9", "  \u00e9t\u00e9  "]), max_size=3),
        max_size=12,
    )
)
def test_every_frame_with_a_text_lies_inside_a_line_with_it(frames: list[list[str]]) -> None:
    lines = lines_on_screen(seconds(*map(tuple, frames)))
    for second, texts in enumerate(frames):
        covering = [line for line in lines if line.start_s <= second and line.end_s >= second + 1]
        assert len(covering) >= len(texts)
    assert sum(line.end_s - line.start_s for line in lines) <= sum(map(len, frames)) + BRIDGE_S * len(
        lines
    ) * len(frames)
    assert [line.start_s for line in lines] == sorted(line.start_s for line in lines)
