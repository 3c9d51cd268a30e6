"""The page about a finished run: curves, branches, what each of them is worth, and hits with their receipts.

Everything is measured on the clips that were held out, with the best epoch's scorer. Written as Markdown for reading
anywhere and as one HTML file with the curves drawn in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from m2hf_core.model.bootstrap import interval
from m2hf_core.model.config import Scorer
from m2hf_core.model.metrics import table, text_to_video
from m2hf_core.model.readings import Readings
from m2hf_core.records import BRANCHES
from m2hf_core.training.curves import curve_svg, sparkline
from m2hf_core.training.data.dataset import PairedData, Split
from m2hf_core.training.gallery import Hit, gallery
from m2hf_core.training.metrics import read_metrics
from m2hf_core.training.page import as_html
from m2hf_core.training.runfolder import CONFIG, RunFolder, read_json
from m2hf_core.training.validation import dense_scores, lanes_of

FUSION_NAMES = {"honest": "mmbf, honest", "rrf": "rrf", "mean-rank": "mean rank"}


def write_report(run: Path, data: PairedData, held: Split, scorer: Scorer) -> None:
    """`report.md` and `report.html` in the run's folder. Raises `DiskFull`."""
    scores, silent = lanes_of(dense_scores(scorer, held, "cpu"), held)
    readings = text_to_video(scores, held.clip_of_text, silent)
    text = "\n\n".join(
        [
            f"# Training on {data.name}",
            _facts(run, data, held),
            "## Branches and fusions\n\n" + _branch_table(readings),
            "## What each branch is worth\n\n" + _worth(scores, silent, held, readings),
            "## Curves\n\n" + _curves_as_text(run),
            "## Hits with their receipts\n\n" + _hits(gallery(scorer, held, scores, silent)),
        ]
    )
    target = RunFolder(run)
    target.write("report.md", (text + "\n").encode())
    target.write("report.html", as_html(text, _curves_as_pictures(run)).encode())


def _facts(run: Path, data: PairedData, held: Split) -> str:
    config = read_json(run / CONFIG)
    settings = config["settings"]
    used = config["data"]
    return (
        f"Strategy {settings['strategy']}, balance {settings['balance']}, recipe {config['recipe'] or 'none'}, "
        f"preset {data.preset}, seed {settings['seed']}. Trained on {used['train']['clips']} clips with "
        f"{used['train']['captions']} captions. All figures are R@K text to video on {len(held)} held-out clips with "
        f"{len(held.texts)} captions, which trained nothing but chose the epoch: the test split was not looked at. "
        "In brackets the 95 % interval over captions."
    )


def _branch_table(readings: Readings) -> str:
    ways = {
        **{f"{name} alone": ranks for name, ranks in readings.branches.items()},
        FUSION_NAMES["honest"]: readings.honest,
        **{FUSION_NAMES[name]: ranks for name, ranks in readings.fusions.items()},
        "mmbf, oracle (paper's reading)": readings.oracle,
        "mmbf, pessimistic": readings.pessimistic,
    }
    rows = ["| ranking | R@1 | R@5 | R@10 | MdR | MnR |", "|---|---|---|---|---|---|"]
    for name, ranks in ways.items():
        found, (low, high) = table(ranks), interval(ranks, "R@1")
        rows.append(
            f"| {name} | {found['R@1']:.1f} [{low:.1f}, {high:.1f}] | {found['R@5']:.1f} | {found['R@10']:.1f} | "
            f"{found['MdR']:.0f} | {found['MnR']:.1f} |"
        )
    return "\n".join(rows)


def _worth(scores: Any, silent: Any, held: Split, readings: Readings) -> str:
    """Share of captions whose clip a branch ranks best (ties shared), and R@1 without it (the paper's Fig. 5)."""
    places = np.stack([ranks.expected() for ranks in readings.branches.values()])
    first = places == places.min(axis=0)
    shares = (first / first.sum(axis=0)).mean(axis=1)
    rows = ["| branch | ranks the clip best | rrf without it | mmbf without it |", "|---|---|---|---|"]
    for name, share in zip(readings.branches, shares, strict=True):
        rest = {lane: values for lane, values in scores.items() if lane != name}
        if not rest:
            continue
        without = text_to_video(rest, held.clip_of_text, silent)
        rrf, honest = table(without.fusions["rrf"])["R@1"], table(without.honest)["R@1"]
        rows.append(f"| {name} | {share:.1%} | {rrf:.1f} | {honest:.1f} |")
    whole = f"{table(readings.fusions['rrf'])['R@1']:.1f} | {table(readings.honest)['R@1']:.1f}"
    return "\n".join([*rows, f"| (all) | | {whole} |"])


def _series(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Curve -> (step, value), from the metrics of all phases one after the other."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in read_metrics(run):
        name = row["phase"] if row["phase"] != "e2e" else "all branches"
        if row["event"] == "train":
            found.setdefault(f"loss, {name}", []).append((row["step"], row["loss"]))
        else:
            found.setdefault(f"held-out R@1 by rrf, {name}", []).append((row["step"], row["rrf"]))
            for branch, value in row["branches"].items():
                found.setdefault(f"held-out R@1 of {branch} alone, {name}", []).append((row["step"], value))
    return found


def _curves_as_text(run: Path) -> str:
    rows = ["| curve | first | last | |", "|---|---|---|---|"]
    for name, points in _series(run).items():
        rows.append(
            f"| {name} | {points[0][1]:.2f} | {points[-1][1]:.2f} | `{sparkline([y for _, y in points])}` |"
        )
    return "\n".join(rows)


def _curves_as_pictures(run: Path) -> str:
    return "".join(curve_svg(name, points) for name, points in _series(run).items())


def _hits(found: list[tuple[str, list[Hit]]]) -> str:
    """Per caption its first hits: the place in each branch, and where in the clip its words were found."""
    parts = []
    for caption, hits in found:
        rows = ["| | clip | " + " | ".join(BRANCHES) + " | best moment |", "|---|---" + "|---" * 5 + "|"]
        for place, hit in enumerate(hits, start=1):
            ranks = " | ".join(str(hit.ranks.get(str(branch), "-")) for branch in BRANCHES)
            mark = f"**{place}**" if hit.right else str(place)
            rows.append(f"| {mark} | {hit.clip} | {ranks} | {hit.words} |")
        parts.append(f"### {caption}\n\n" + "\n".join(rows))
    return "The right clip's place is bold; the numbers are its rank in each branch.\n\n" + "\n\n".join(parts)
