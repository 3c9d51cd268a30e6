"""Everything about words: tokenizers, the text tower, noun sets and the query language."""
