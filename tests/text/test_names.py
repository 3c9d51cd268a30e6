"""File names as words."""

from __future__ import annotations

from pathlib import Path

import pytest

from m2hf_core.text.names import name_words, words_of


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("IMG_2023-birthdayParty at_theLake.MOV", {"2023", "birthday", "party", "lake"}),
        ("Holidays/GOPR0042.mp4", {"holiday", "0042"}),
        # "html" is in the English stop list
        ("HTMLParserTalk.mkv", {"parser", "talk"}),
        ("Käse-Brötchen.mp4", {"käse", "brötchen"}),
        ("собака бежит.mp4", {"собака", "бежит"}),
        ("", set()),
    ],
)
def test_name_words(name: str, words: set[str]) -> None:
    assert name_words(name) == name_words(Path(name)) == words


def test_words_of_a_query() -> None:
    assert words_of("birthday cakes 2023") == {"birthday", "cake", "2023"}
