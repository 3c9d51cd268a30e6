"""Which languages have word lists here, and the stop words of each; containers and subtitles name them in many ways."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

import simplemma
import stop_words
from simplemma.strategies.dictionaries.dictionary_factory import SUPPORTED_LANGUAGES

ENGLISH = "en"

_THREE_LETTERS = {
    "ara": "ar", "bul": "bg", "cat": "ca", "ces": "cs", "cze": "cs", "dan": "da", "deu": "de", "dut": "nl",
    "ell": "el", "eng": "en", "fas": "fa", "fin": "fi", "fra": "fr", "fre": "fr", "ger": "de", "gre": "el",
    "heb": "he", "hin": "hi", "hun": "hu", "ind": "id", "ita": "it", "may": "ms", "msa": "ms", "nld": "nl",
    "no": "nb", "nob": "nb", "nor": "nb", "per": "fa", "pol": "pl", "por": "pt", "ron": "ro", "rum": "ro",
    "rus": "ru", "slk": "sk", "slo": "sk", "spa": "es", "swe": "sv", "tur": "tr", "ukr": "uk",
}  # fmt: skip
_UNSAID = {"", "und", "mul", "mis", "zxx"}

_UNKNOWN_PLURAL = re.compile(r"\w{3,}[^siu]s")

_KEPT_ENGLISH = {
    "bill", "caption", "computer", "face", "faces", "fire", "goods", "group", "groups", "home", "key", "keys", "line",
    "man", "member", "members", "men", "mill", "mug", "net", "novel", "page", "pages", "ring", "room", "rooms",
    "shed", "shell", "site", "state", "states", "system", "text", "tv", "web", "webpage", "website", "world",
}  # fmt: skip
"""The English list counts these as stop words, though a camera or a microphone can find each of them."""


def language_code(said: str | None) -> str:
    """`eng`, `en-GB`, `EN` -> `en`; a language that nobody said is taken for English."""
    code = (said or "").strip().lower().replace("_", "-").split("-")[0]
    if code in _UNSAID:
        return ENGLISH
    return _THREE_LETTERS.get(code, code)


def has_word_lists(code: str) -> bool:
    """Whether lemmas and stop words are both known; Chinese, say, has stop words but is not written in words."""
    return code in SUPPORTED_LANGUAGES and code in stop_words.LANGUAGE_MAPPING


@cache
def stop_list(code: str) -> frozenset[str]:
    """Lower-case stop words of a language that `has_word_lists`."""
    words = frozenset(word.lower() for word in stop_words.get_stop_words(code))
    return words - _KEPT_ENGLISH if code == ENGLISH else words


@lru_cache(maxsize=1 << 16)
def lemma(word: str, code: str) -> str:
    """The dictionary form, lower-cased last: in German and for names the capital is part of the word.

    An English word that the dictionary does not know ("firetrucks") loses a plural s, so that both forms meet.
    """
    found = str(simplemma.lemmatize(word, lang=code))
    if code == ENGLISH and _UNKNOWN_PLURAL.fullmatch(found) and not simplemma.is_known(word, lang=code):
        found = found[:-1]
    return found.lower()


def is_foreign_to(text: str, code: str) -> bool:
    """Whether text said to be English is mostly in another script, so that its words could only be misread."""
    if code != ENGLISH:
        return False
    letters = [character for character in text if character.isalpha()]
    latin = sum("LATIN" in unicodedata.name(character, "") for character in letters)
    return 2 * latin < len(letters)
