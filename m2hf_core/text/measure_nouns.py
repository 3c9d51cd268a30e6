"""How well nouns are found in sentences that people tagged: `python -m m2hf_core.text.measure_nouns FOLDER [TAGGER]`.

FOLDER holds `*.conllu` files of Universal Dependencies English EWT, TAGGER the three files of NLTK's English tagger.
Each sentence gives a set; the truth is the lemmas of its words with an xpos of NN*. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from m2hf_core.text.nouns import NounExtractor, kept_lemmas

Sentence = tuple[str, frozenset[str]]


def read_sentences(path: Path) -> Iterator[Sentence]:
    """(text, the true noun set) of every sentence of a CoNLL-U file.

    The truth passes the same filter (stop words, parts of compounds) as what is found: what is measured is whether
    the right words are taken for nouns, not whether "thing" should count as one.
    """
    text = ""
    nouns: list[str] = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        columns = line.split("\t")
        if line.startswith("# text = "):
            text, nouns = line.removeprefix("# text = "), []
        elif len(columns) == 10 and columns[0].isdigit() and columns[4].startswith("NN"):
            nouns.append(columns[2])
        elif not line and text:
            yield text, frozenset(kept_lemmas(nouns, "en"))
            text = ""


def measure(extractor: NounExtractor, sentences: list[Sentence], *, lower: bool) -> dict[str, float]:
    """Precision and recall of sentence sets, summed over all sentences."""
    right = found = true = 0
    for text, nouns in sentences:
        words = extractor(text.lower() if lower else text)
        right, found, true = right + len(words & nouns), found + len(words), true + len(nouns)
    precision, recall = right / max(found, 1), right / max(true, 1)
    return {
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "f1": round(2 * precision * recall / max(precision + recall, 1e-9), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("tagger", type=Path, nargs="?")
    args = parser.parse_args()
    extractors = [NounExtractor()]
    if args.tagger:
        names = ("weights", "tagdict", "classes")
        extractors.append(
            NounExtractor(
                [next(args.tagger.glob(f"averaged_perceptron_tagger_*.{name}.json")) for name in names]
            )
        )
    report: dict[str, dict[str, dict[str, float]]] = {}
    for path in sorted(args.folder.glob("*.conllu")):
        sentences = list(read_sentences(path))
        report[path.name] = {
            f"{extractor.mode}, {'lower' if lower else 'original'} case": measure(
                extractor, sentences, lower=lower
            )
            for extractor in extractors
            for lower in (False, True)
        }
    json.dump(report, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
