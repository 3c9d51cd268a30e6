"""Everything about words: tokenizers, the text tower, noun sets and the query language.

Only what needs no torch is offered here; the tower is in `m2hf_core.text.tower`.
"""

from m2hf_core.text.nouns import NounExtractor, load_nouns

__all__ = ["NounExtractor", "load_nouns"]
