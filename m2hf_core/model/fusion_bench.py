"""Time ranks, fusion and receipts at gallery size: `python -m m2hf_core.model.fusion_bench` prints JSON.

"against" is what one would write first, timed in the same run on the same scores: a stable argsort per branch and
`np.lexsort` over the rank vectors, once for the list and once more for each lane that a receipt leaves out.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from m2hf_core.model.fusion import Places, fuse
from m2hf_core.model.ranks import ABSTAINED, BoolArray, FloatArray, RankArray, branch_ranks
from m2hf_core.model.receipt import receipts, weigh_input
from m2hf_core.records import FUSIONS, Fusion

CANDIDATES = 100_000
HITS = 50
ROUNDS = 11


def main() -> None:
    sys.stdout.write(json.dumps(measure(CANDIDATES, HITS, ROUNDS), indent=2) + "\n")


def measure(candidates: int, hits: int, rounds: int) -> dict[str, dict[str, object]]:
    """Median milliseconds of `rounds` runs; "all" is ranks, order and receipts together."""
    scores, abstain = pool(candidates, np.random.default_rng(0))
    ids = np.arange(candidates)
    visual = scores["visual"]
    took_ms = partial(_median_ms, rounds)

    def whole(fusion: Fusion) -> None:
        ranks = branch_ranks(scores, ids, abstain)
        receipts(ranks, fusion, ids, fuse(ranks, fusion, ids, hits))

    def plain_whole() -> None:
        ranks = plain_ranks(scores, abstain)
        plain_order(ranks, visual)
        for left_out in ranks:
            plain_order({lane: values for lane, values in ranks.items() if lane != left_out}, visual)

    ranks = branch_ranks(scores, ids, abstain)
    figures: dict[str, object] = {"ranks_ms": took_ms(partial(branch_ranks, scores, ids, abstain))}
    for fusion in FUSIONS:
        best = fuse(ranks, fusion, ids, hits)
        figures[f"{fusion}_ms"] = took_ms(partial(fuse, ranks, fusion, ids, hits))
        figures[f"{fusion}_receipts_ms"] = took_ms(partial(receipts, ranks, fusion, ids, best))
        figures[f"{fusion}_all_ms"] = took_ms(partial(whole, fusion))
    heard = np.flatnonzero(ranks["audio"] != ABSTAINED)[:hits]
    figures["heard_ms"] = took_ms(
        partial(weigh_input, scores["audio"], ranks["audio"], ids, heard, visual[heard])
    )
    return {
        "machine": {
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        "sizes": {"candidates": candidates, "branches": len(scores), "hits": hits, "rounds": rounds},
        "figures": figures,
        "against": {
            "ranks_ms": took_ms(partial(plain_ranks, scores, abstain)),
            "mmbf_ms": took_ms(partial(plain_order, ranks, visual)),
            "mmbf_all_ms": took_ms(plain_whole),
        },
    }


def pool(size: int, rng: np.random.Generator) -> tuple[dict[str, FloatArray], dict[str, BoolArray]]:
    """Scores that look like a library's: three related dense branches, a fifth without sound, little speech."""
    visual = rng.standard_normal(size, dtype=np.float32)
    scores: dict[str, FloatArray] = {"visual": visual}
    for lane in ("audio", "motion"):
        scores[lane] = visual + rng.standard_normal(size, dtype=np.float32)
    scores["speech"] = (1 / rng.integers(2, 12, size)).astype(np.float32)
    return scores, {"audio": rng.random(size) < 0.2, "speech": rng.random(size) < 0.95}


def plain_ranks(scores: dict[str, FloatArray], abstain: dict[str, BoolArray]) -> dict[str, RankArray]:
    """The ranks of `branch_ranks`, for ids that ascend."""
    ranks: dict[str, RankArray] = {}
    for lane, values in scores.items():
        silent = abstain.get(lane, np.zeros(values.size, np.bool_))
        order = np.argsort(np.where(silent, np.inf, -values), kind="stable")
        ranks[lane] = np.empty(values.size, np.int32)
        ranks[lane][order] = np.arange(1, values.size + 1)
        if lane == "speech":
            _, group, sizes = np.unique(values[~silent], return_inverse=True, return_counts=True)
            ranks[lane][~silent] = np.cumsum(sizes[::-1])[::-1][group]
        ranks[lane][silent] = ABSTAINED
    return ranks


def plain_order(ranks: dict[str, RankArray], visual: FloatArray) -> Places:
    """The whole order of `fuse` by mmbf, for ids that ascend."""
    vector = np.sort(np.stack(list(ranks.values())), axis=0)
    return np.lexsort((-visual, *vector[::-1]))


def _median_ms(rounds: int, work: Callable[[], object]) -> float:
    work()
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return round(1000 * float(np.median(took)), 3)


if __name__ == "__main__":
    main()
