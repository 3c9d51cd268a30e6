"""The nouns of a text as a set: what the speech branch compares (M2HF, Eq. 11), by one function for both sides.

With NLTK's tagger the nouns are tagged; without its data, or in another language, every content word stands in for
them, and the mode says so wherever the words are stored or shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from m2hf_core.errors import BadModelFile
from m2hf_core.hub.files import digest_of, extractor_fingerprint, locate
from m2hf_core.hub.manifest import load_manifest
from m2hf_core.text.languages import ENGLISH, has_word_lists, is_foreign_to, language_code, lemma, stop_list

NounMode = Literal["tagger", "content-words"]

NOUN_VERSION = "1"
"""Raised whenever the same text would give other words, so that stored words are made again."""

TAGGER_FILES = ("tagger-weights", "tagger-tagdict", "tagger-classes")
"""Weight ids, in the order in which NLTK's tagger wants them."""

_MARKUP = re.compile(r"<[^>]*>|\{\\[^}]*\}")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|\n+")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "“": '"', "”": '"', "♪": " ", "_": " "})
_WORD = re.compile(r"[^\W\d_](?:[^\W_]|['-](?=[^\W\d_]))*")


class NounExtractor:
    """`extractor(text, language)` -> lower-case lemmas; give both sides of a comparison the same one."""

    version = NOUN_VERSION

    def __init__(self, tagger_files: Sequence[Path] | None = None) -> None:
        """`tagger_files`: weights, tag dictionary and classes of NLTK's English tagger; None = content words."""
        self._files = tuple(tagger_files) if tagger_files else None
        self.mode: NounMode = "tagger" if self._files else "content-words"

    @cached_property
    def fingerprint(self) -> str:
        """Stored with the words: sets of different fingerprints are not compared."""
        digest = digest_of(self._files[0]) if self._files else "none"
        return extractor_fingerprint("nouns", self.mode, digest, int(NOUN_VERSION))

    def __call__(self, text: str, language: str | None = None) -> frozenset[str]:
        """Empty when nothing is left, or when the language is one for which `abstains` gives a reason."""
        code = language_code(language)
        text = _MARKUP.sub(" ", text).translate(_QUOTES)
        if not has_word_lists(code) or is_foreign_to(text, code):
            return frozenset()
        words = self._nouns(text) if self.mode == "tagger" and code == ENGLISH else _WORD.findall(text)
        return frozenset(kept_lemmas(words, code))

    def abstains(self, language: str | None) -> str | None:
        """Why nothing is taken from a language, or None if something is."""
        code = language_code(language)
        return None if has_word_lists(code) else f"there are no word lists for the language {code!r}"

    def _nouns(self, text: str) -> Iterable[str]:
        """Words tagged NN*, in their original case: lower-casing first costs a tenth of the names."""
        for sentence in _SENTENCE_END.split(text):
            words = self._tokenizer.tokenize(_unshouted(sentence))
            for word, tag in self._tagger.tag(words):
                if tag.startswith("NN"):
                    yield from _WORD.findall(word)

    @cached_property
    def _tokenizer(self) -> Any:
        from nltk.tokenize.treebank import TreebankWordTokenizer  # nltk takes seconds to import

        return TreebankWordTokenizer()

    @cached_property
    def _tagger(self) -> Any:
        from nltk.tag.perceptron import PerceptronTagger

        # Read here rather than by NLTK, which refuses every folder that is not one of its own.
        assert self._files is not None
        return PerceptronTagger.decode_json_obj(tuple(_read_json(path) for path in self._files))


def load_nouns() -> NounExtractor:
    """With the tagger if its files are on this machine, else by content words."""
    weights = load_manifest().weights
    paths = [locate(weights[name]) for name in TAGGER_FILES]
    found = [path for path in paths if path is not None]
    return NounExtractor(found if len(found) == len(paths) else None)


def kept_lemmas(words: Iterable[str], code: str) -> Iterable[str]:
    """Lemmas of words, compounds taken apart, without stop words and single letters."""
    stops = stop_list(code)
    for word in words:
        for part in _parts(word):
            noun = lemma(part, code)
            if len(noun) > 1 and noun not in stops and part.lower() not in stops:
                yield noun


def _parts(word: str) -> list[str]:
    """`dog's` -> dog; `fire-truck` -> fire, truck; but `e-mail` -> email, whose parts mean nothing alone."""
    pieces = re.sub(r"'s?$|'(?=-)", "", word, flags=re.IGNORECASE).split("-")
    return ["".join(pieces)] if any(len(piece) < 2 for piece in pieces) else pieces


def _unshouted(sentence: str) -> str:
    """Subtitles in capitals throughout: their capitals say nothing, and every word would be tagged as a name."""
    return sentence.lower() if sentence.isupper() and " " in sentence.strip() else sentence


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadModelFile(
            f"{path.name} of the noun tagger cannot be read.",
            "Check it with `m2hf-app models verify`, then prepare or bring it again.",
            detail=str(error),
        ) from error
