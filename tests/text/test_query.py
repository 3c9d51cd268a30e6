"""The query language: what each sign means, and that no keystroke is an error."""

from __future__ import annotations

import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m2hf_core.records import Branch
from m2hf_core.text.query import MAX_CHARACTERS, MAX_STEPS, Exact, Negative, Part, Query, parse_query
from m2hf_core.text.query_filters import Filters, day_after, first_day, seconds

EVERYTHING = (
    'Dog on a beach speech:"good boy" audio:barking -cat -"red car" -motion:jumping "exact words" '
    "in:Holidays before:2024 after:2023-05 longer:30s shorter:1h30m has:speech type:mp4 > it runs > 🐕 sleeps"
)


def test_everything_at_once() -> None:
    query = parse_query(EVERYTHING)
    assert query.text == "Dog on a beach"
    assert query.parts == (
        Part(Branch.SPEECH, "good boy", EVERYTHING.index("speech:")),
        Part(Branch.AUDIO, "barking", EVERYTHING.index("audio:")),
    )
    assert query.negatives == (
        Negative("cat", EVERYTHING.index("-cat")),
        Negative("red car", EVERYTHING.index('-"red')),
        Negative("jumping", EVERYTHING.index("-motion"), Branch.MOTION),
    )
    assert query.exact == (Exact("exact words", EVERYTHING.index('"exact')),)
    assert query.filters == Filters(
        folders=("Holidays",),
        before=date(2024, 1, 1),
        since=date(2023, 6, 1),
        longer_s=30,
        shorter_s=5400,
        has=frozenset({"speech"}),
        types=("mp4",),
    )
    assert query.notes == ()
    assert [step.text for step in query.steps] == ["Dog on a beach", "it runs", "🐕 sleeps"]
    assert all(step.filters == query.filters for step in query.steps)


def test_a_branch_searches_for_its_own_words_else_the_plain_ones() -> None:
    query = parse_query('dog speech:"good boy" speech:sit')
    assert query.text_for(Branch.SPEECH) == "good boy sit"
    assert query.text_for(Branch.VISUAL) == "dog"
    alone = parse_query("audio:thunder")
    assert alone.text_for(Branch.AUDIO) == "thunder"
    assert alone.text_for(Branch.VISUAL) == "", "nothing was asked of the picture"


@pytest.mark.parametrize(
    "typed",
    [
        "Paris in May",
        "a t-shirt, well-known",
        'a 19" screen',
        "meet at 10:30",
        "http://example.org/a?b=c",
        r"C:\Films",
        "Note: this is a test",
        "what's up?",
        "שלום עולם",
        "café الحياة 日本語 👩‍👩‍👧",
    ],
)
def test_ordinary_text_stays_as_it_is(typed: str) -> None:
    assert parse_query(typed) == Query(text=typed)


@pytest.mark.parametrize(
    ("typed", "text", "position"),
    [
        ('dog "good b', "dog", 4),
        ("dog speech:", "dog", 4),
        ('dog speech:"', "dog", 4),
        ("dog -", "dog", 4),
        ('dog ""', "dog", 4),
        ("dog >", "dog", 4),
        ("> dog", "dog", 0),
        ("dog before:202", "dog", 11),
        ("dog before:2024-13", "dog", 11),
        ("dog longer:3x", "dog", 11),
        ("dog longer:", "dog", 4),
        ("dog has:wings", "dog", 8),
        ("dog type:.", "dog", 9),
        ("dog -in:Holidays", "dog", 4),
        ("dog lenght:30s", "dog lenght:30s", 4),
        ("dog colour:red", "dog colour:red", 4),
        ("longer:1m shorter:30s dog", "dog", 10),
        ("before:2020 after:2020 dog", "dog", 12),
    ],
)
def test_what_is_half_typed_is_noted_where_it_stands(typed: str, text: str, position: int) -> None:
    query = parse_query(typed)
    assert query.text == text
    assert position in {note.position for note in query.notes}
    assert all(note.message.endswith((".", "?")) for note in query.notes)


def test_an_open_quotation_holds_all_that_follows() -> None:
    query = parse_query('a "red car > b')
    assert (query.text, query.exact, query.then) == ("a", (Exact("red car > b", 2),), None)
    assert [note.position for note in query.notes] == [2]
    assert parse_query('speech:"good b').parts == (Part(Branch.SPEECH, "good b", 0),)


def test_a_slip_of_the_key_is_guessed() -> None:
    assert "did you mean “longer:”?" in parse_query("lenger:30s").notes[0].message
    assert "did you mean" not in parse_query("zzzzz:30s").notes[0].message


def test_later_moments_need_no_spaces() -> None:
    for typed in ("a>b", "a > b", "a -> b", "a >> b", 'a>"b"'):
        query = parse_query(typed)
        assert query.text == "a"
        assert query.then is not None
        assert query.then.text == "b" or query.then.exact[0].text == "b"
        assert query.then.then is None
        assert query.then.notes == ()


def test_moments_are_bounded() -> None:
    typed = " > ".join("abcdefghijkl")
    query = parse_query(typed)
    assert len(query.steps) == MAX_STEPS
    assert " ".join(step.text for step in query.steps) == "a b c d e f g h i j k l"
    assert [note.position for note in query.notes] == [4 * i + 2 for i in range(7, 11)]


def test_typographic_quotation_marks_and_capital_keys() -> None:
    assert parse_query("“good boy” SPEECH:«bon garçon» Type:.MP4,mkv") == Query(
        parts=(Part(Branch.SPEECH, "bon garçon", 11),),
        exact=(Exact("good boy", 0),),
        filters=Filters(types=("mp4", "mkv")),
    )


def test_filters_of_one_kind_widen_or_tighten() -> None:
    filters = parse_query(
        'in:a in:"b c" before:2024 before:2022 after:2019 after:2020 longer:10 longer:20 '
        "shorter:9m shorter:5m has:speech has:audio"
    ).filters
    assert filters.folders == ("a", "b c")
    assert (filters.before, filters.since) == (date(2022, 1, 1), date(2021, 1, 1))
    assert (filters.longer_s, filters.shorter_s) == (20, 300)
    assert filters.has == {"speech", "sound"}


def test_only_words_ask() -> None:
    assert parse_query("dog").asks
    assert parse_query('"dog"').asks
    assert not parse_query("-dog in:Holidays").asks
    assert parse_query("") == Query()


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("90", 90),
        ("30s", 30),
        ("1.5m", 90),
        ("2min", 120),
        ("1h30m", 5400),
        ("1h2m3s", 3723),
        ("1:30", 90),
        ("1:02:03", 3723),
        ("0", 0),
        ("", None),
        ("s", None),
        ("h", None),
        ("-3", None),
        ("9" * 5000, None),
    ],
)
def test_durations(typed: str, expected: float | None) -> None:
    assert seconds(typed) == expected


@pytest.mark.parametrize(
    ("typed", "first", "after"),
    [
        ("2024", date(2024, 1, 1), date(2025, 1, 1)),
        ("2024-02", date(2024, 2, 1), date(2024, 3, 1)),
        ("2024/12", date(2024, 12, 1), date(2025, 1, 1)),
        ("2024.2.29", date(2024, 2, 29), date(2024, 3, 1)),
        ("9999", date(9999, 1, 1), None),
        ("9999-12-31", date(9999, 12, 31), None),
        ("2023-02-29", None, None),
        ("0000", None, None),
        ("24", None, None),
        ("soon", None, None),
    ],
)
def test_days(typed: str, first: date | None, after: date | None) -> None:
    assert (first_day(typed), day_after(typed)) == (first, after)


signs = st.sampled_from(['"', "“", "»", "-", ">", ":", " ", "\u200f", "\0", "a", "2024"])
keys = st.sampled_from(["speech:", "in:", "before:", "longer:", "has:", "type:", "no:"])


def check(typed: str) -> Query:
    query = parse_query(typed)
    hash(query)
    assert list(query.notes) == sorted(query.notes, key=lambda note: note.position)
    assert all(0 <= note.position <= len(typed) for note in query.notes)
    for step in query.steps:
        said = [step.text, *(found.text for found in (*step.parts, *step.negatives, *step.exact))]
        for text in said:
            text.encode()  # no lone surrogate reaches a tokenizer
            assert text == " ".join(text.split())
            assert not any(unicodedata.category(character) == "Cc" for character in text)
        for found in (*step.parts, *step.negatives, *step.exact):
            assert 0 <= found.position < len(typed)
    return query


@given(st.text() | st.text(st.characters(categories=["Cs", "Cc", "Cf", "Lo", "So", "Po"])))
def test_any_text_is_a_query(typed: str) -> None:
    check(typed)


@given(st.lists(signs | keys).map("".join))
def test_any_signs_are_a_query(typed: str) -> None:
    check(typed)


@pytest.mark.parametrize(
    "unit", ["dog ", ">", "a>", '"', '-"', "in:x ", "\ud800", "👩‍👩‍👧", "שלום ", "\0", "a" * 9, "9:"]
)
def test_ten_thousand_characters_are_cut_and_noted(unit: str) -> None:
    query = check(unit * (10_000 // len(unit)))
    assert MAX_CHARACTERS in {note.position for note in query.notes}


def test_every_prefix_of_a_query_is_a_query() -> None:
    for end in range(len(EVERYTHING)):
        check(EVERYTHING[:end])


@given(st.lists(st.from_regex(r"[a-zé]+", fullmatch=True), max_size=6))
def test_plain_words_pass_unchanged(words: list[str]) -> None:
    assert parse_query("  ".join(words)) == Query(text=" ".join(words))
