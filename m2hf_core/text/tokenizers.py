"""Text to token ids, with the word that each token came from, which the alignment in a receipt needs."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import torch

from m2hf_core.errors import BadModelFile
from m2hf_core.text.descriptions import package_folder

WORDS_REMEMBERED = 20_000
"""Words whose byte pairs are kept: captions repeat few words, and finding the pairs is a third of encoding them."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """One text as a tower sees it, before padding."""

    ids: tuple[int, ...]
    words: tuple[str | None, ...]
    """For each id the word of the query that it belongs to, None for start and end marks."""


class Tokenizer(Protocol):
    """What a text tower asks of a tokenizer."""

    context_length: int
    has_start: bool
    """Whether position 0 is a start mark, which says nothing about the text."""

    def pieces(self, text: str) -> Pieces:
        """Tokens of one text, cut to `context_length`, the end mark kept."""
        ...

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """int64 [B, context_length], padded with 0, exactly as the network was trained."""
        ...


class BpeTokenizer:
    """CLIP's byte pairs (CLIP, PE-Core, MobileCLIP and the demo model)."""

    has_start = True

    def __init__(self, context_length: int, merges: str | None = None) -> None:
        byte_pairs = _open_clip_tokenizers()
        try:
            # The module has read its own list at its import already, for 0.1 s; only what differs is ours.
            self._bpe = byte_pairs.SimpleTokenizer(merges) if merges else copy(byte_pairs._tokenizer)
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise BadModelFile(
                "The model's list of byte pairs cannot be read.",
                "Install or bring the model again.",
                detail=str(error),
            ) from error
        # Cleaning is not idempotent ("&amp;amp;lt;"), so it happens once, on the whole text, as in training.
        self._clean, self._bpe.clean_fn = self._bpe.clean_fn, str
        self._ids = lru_cache(WORDS_REMEMBERED)(self._bpe.encode)
        self.context_length = context_length

    def pieces(self, text: str) -> Pieces:
        ids: list[int] = [self._bpe.sot_token_id]
        words: list[str | None] = [None]
        for word in self._clean(text).split():
            encoded = self._ids(word)
            ids += encoded
            words += [display_form(word)] * len(encoded)
        keep = self.context_length - 1
        return Pieces((*ids[:keep], self._bpe.eot_token_id), (*words[:keep], None))

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        return pad([self.pieces(text) for text in texts], self.context_length)


class JsonTokenizer:
    """A `tokenizer.json` (SigLIP 2), read by the `tokenizers` library; no start mark, an end mark, padding 0.

    The end mark is added here rather than by the file's own post-processor, so that a text too long for the
    tower still ends with it.
    """

    has_start = False

    def __init__(self, path: Path, context_length: int, clean: str = "whitespace") -> None:
        import tokenizers

        try:
            # The library raises plain `Exception` for a file that it cannot read.
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:
            raise BadModelFile(
                f"{path.name} is not a list of word pieces.", "Prepare or bring it again.", detail=str(error)
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        end = self._tokenizer.token_to_id("<eos>")
        if end is None:
            raise BadModelFile(f"{path.name} has no end mark.", "It belongs to another family of networks.")
        self._end, self.context_length = int(end), context_length
        self._clean: Callable[[str], str] = _open_clip_tokenizers().get_clean_fn(clean)

    def pieces(self, text: str) -> Pieces:
        cleaned = self._clean(text)
        encoded = self._tokenizer.encode(cleaned, add_special_tokens=False)
        words = [_word_at(cleaned, start, end) for start, end in encoded.offsets]
        keep = self.context_length - 1
        return Pieces((*encoded.ids[:keep], self._end), (*words[:keep], None))

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        return pad([self.pieces(text) for text in texts], self.context_length)


def tokenizer_for(text_config: Mapping[str, Any], path: Path | None) -> Tokenizer:
    """The tokenizer that a text half was trained with. `path`: a `tokenizer.json`, for the families that need one."""
    options = dict(text_config.get("tokenizer_kwargs") or {})
    length = int(text_config.get("context_length", 77))
    if text_config.get("hf_tokenizer_name"):
        if path is None:
            raise ValueError("this family needs its tokenizer.json")
        return JsonTokenizer(path, length, clean=options.get("clean", "whitespace"))
    return BpeTokenizer(length, options.get("bpe_path"))


@cache
def _open_clip_tokenizers() -> ModuleType:
    """open_clip's module of tokenizers by itself: its package loads torchvision and timm first, for 2 s."""
    name, folder = "open_clip.tokenizer", str(package_folder())
    if "open_clip" in sys.modules:
        return importlib.import_module(name)
    found = (
        finder.find_spec(name, [folder], None) for finder in sys.meta_path if hasattr(finder, "find_spec")
    )
    spec = next((one for one in found if one is not None and one.loader is not None), None)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"{name} is not installed", name=name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pad(rows: Sequence[Pieces], length: int) -> torch.Tensor:
    """int64 [B, length], 0 after each row's end."""
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    for row, pieces in enumerate(rows):
        ids[row, : len(pieces.ids)] = torch.tensor(pieces.ids, dtype=torch.long)
    return ids


def display_form(word: str) -> str:
    """A word without the punctuation around it; punctuation alone stays as it is."""
    return re.sub(r"^\W+|\W+$", "", word) or word


def _word_at(text: str, start: int, end: int) -> str | None:
    """The blank-separated word that covers text[start:end]; a piece may begin with the blank before it."""
    while start < end and text[start].isspace():
        start += 1
    if start >= len(text):
        return None
    first = text.rfind(" ", 0, start) + 1
    last = text.find(" ", start)
    return display_form(text[first : last if last >= 0 else len(text)]) or None
