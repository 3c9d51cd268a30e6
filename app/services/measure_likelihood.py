"""Do likelihoods tell queries that have an answer from those that have none? Measured on a demo library.

    m2hf-app demo --headless --dir DIR --seed 0
    python -m app.services.measure_likelihood DIR/seed-0/library 0

Half of the queries are the demo's own; the others describe clips of the same world that are not in the library.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from app.services.demo import CLIPS, QUERIES
from app.services.library import open_library
from app.services.searching import Searcher, open_searcher
from m2hf_core.synthetic import captions, demo_set, draw_specs

FOREIGN = 80


def measure(data_dir: Path, seed: int) -> dict[str, object]:
    """Counts of the first hit's likelihood, and how well its share tells the two kinds of query apart (AUC)."""
    known = [query.caption.text for query in demo_set(seed, clips=CLIPS, queries=QUERIES).queries]
    foreign = [captions(spec, 1, seed=5)[0].text for spec in draw_specs("test", FOREIGN, seed=seed + 99)]
    with open_library(data_dir, preset="demo") as library:
        searcher = open_searcher(library)
        here, away = shares(searcher, known), shares(searcher, foreign)
        counts = {
            name: Counter(searcher.calibration.mark(share) for share in found)
            for name, found in (("answer in the library", here), ("no answer", away))
        }
        hubs = int(searcher.calibration.hubs.sum())
    wins = np.asarray(here)[:, None] - np.asarray(away)[None]
    return {
        "scorer": searcher.eyes.scorer_state,
        "first_hits": counts,
        "auc": round(float(np.mean((wins > 0) + 0.5 * (wins == 0))), 3),
        "hubs": hubs,
    }


def shares(searcher: Searcher, texts: Sequence[str]) -> list[float]:
    """The share of null captions that the first hit of each query surpasses; 0 where nothing is found."""
    found = []
    for text in texts:
        hits = searcher.search(text, k=1).hits
        row = searcher.gallery.row_of(hits[0].clip_id) if hits else None
        share = None
        if row is not None:
            scores = {name: own.score for name, own in hits[0].branches.items() if own is not None}
            share = searcher.calibration.share(row, scores)
        found.append(share or 0.0)
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2])), indent=1) + "\n")
