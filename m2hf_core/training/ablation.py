"""Tables 6 and 11 to 15 of the paper on any data set: each variant trained like the others, then evaluated alike.

A variant that several tables share is trained once. A finished run is found again, so a stopped ablation goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from m2hf_core.errors import UsageError
from m2hf_core.model.bootstrap import compare, interval
from m2hf_core.model.checkpoint import load_scorer
from m2hf_core.model.metrics import table
from m2hf_core.progress import Progress
from m2hf_core.records import BRANCHES, FUSIONS
from m2hf_core.training.data.dataset import PairedData
from m2hf_core.training.evaluate import Document, Scored, ranks_under, score_split, t2v_readings
from m2hf_core.training.run import train
from m2hf_core.training.settings import TrainSettings

TABLES = (6, 11, 12, 13, 14, 15)
FULL = "M2HF"


@dataclass(frozen=True, slots=True)
class Variant:
    """One row: what differs from the recipe, and which lanes are left out after training (Table 6)."""

    label: str
    changes: tuple[tuple[str, Any], ...] = ()
    without: str | None = None


def _changed(label: str, **changes: Any) -> Variant:
    return Variant(label, tuple(sorted(changes.items())))


ROWS: Mapping[int, tuple[str, tuple[Variant, ...]]] = {
    6: (
        "each branch left out, both strategies",
        (
            *(Variant(f"E2E without {branch}", (), branch.value) for branch in BRANCHES),
            _changed("E2E"),
            *(Variant(f"Ensemble without {b}", (("strategy", "ensemble"),), b.value) for b in BRANCHES),
            _changed("Ensemble", strategy="ensemble"),
        ),
    ),
    11: (
        "one branch or several",
        (
            _changed("multiply", one_branch="multiply"),
            _changed("average", one_branch="average"),
            _changed("add", one_branch="add"),
            _changed("several branches"),
        ),
    ),
    12: (
        "early fusion",
        (_changed("without", audio_fusion="none", motion_fusion="none"), _changed("with")),
    ),
    13: (
        "which early fusion (A audio, M motion; M bilinear, D dual transformer)",
        (
            _changed("AM_MM", audio_fusion="mfb", motion_fusion="mfb"),
            _changed("AD_MM", audio_fusion="dual", motion_fusion="mfb"),
            _changed("AD_MD", audio_fusion="dual", motion_fusion="dual"),
            _changed("AM_MD", audio_fusion="mfb", motion_fusion="dual"),
        ),
    ),
    14: (
        "balance loss",
        tuple(_changed(f"element-wise {how}", balance=how) for how in ("mean", "sum", "max", "min")),
    ),
    15: (
        "completion of missing sound and movement",
        (_changed("without", completion=False), _changed("with", completion=True)),
    ),
}


def run_ablation(
    data: PairedData,
    folder: Path,
    settings: TrainSettings,
    *,
    split: str = "test",
    tables: Sequence[int] = TABLES,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Document:
    """Train what is not there yet below `folder`, evaluate all on `split`.

    Raises `UsageError` for an unknown table, and what training raises.
    """
    if unknown := [number for number in tables if number not in ROWS]:
        raise UsageError(
            f"There is no ablation table {unknown[0]}.", f"There are: {', '.join(map(str, ROWS))}."
        )
    progress = progress or Progress()
    scored: dict[str, Scored] = {}
    whole = _scored(Variant(FULL), data, folder, settings, split, device, progress, scored)
    found = []
    for number in tables:
        title, variants = ROWS[number]
        rows = [
            _row(variant, _scored(variant, data, folder, settings, split, device, progress, scored), whole)
            for variant in variants
        ]
        found.append({"table": number, "title": title, "rows": rows})
    return {"dataset": data.name, "split": split, "settings": asdict(settings), "tables": found}


def _scored(
    variant: Variant,
    data: PairedData,
    folder: Path,
    settings: TrainSettings,
    split: str,
    device: str,
    progress: Progress,
    known: dict[str, Scored],
) -> Scored:
    own = replace(settings, **dict(variant.changes))
    # What is the recipe's own value is no change: such a row shares the run of the full model.
    name = "-".join(f"{key}={value}" for key, value in variant.changes if getattr(settings, key) != value)
    name = name or FULL
    if name not in known:
        progress.check()
        outcome = train(data, folder / name, own, progress=progress)
        scorer, _ = load_scorer(outcome.scorer, data.backbone)
        known[name] = score_split(name, scorer.to(device), data[split], dataset=data.name, device=device)
    if variant.without is None:
        return known[name]
    return known[name].only([lane for lane in known[name].scores if lane != variant.without])


def _row(variant: Variant, scored: Scored, whole: Scored) -> Document:
    readings, full = t2v_readings(scored), t2v_readings(whole)
    row: Document = {"label": variant.label, "oracle": table(readings.oracle)}
    for fusion in FUSIONS:
        ranks = ranks_under(readings, fusion)
        against = compare(ranks_under(full, fusion), ranks, "R@1")
        row[fusion] = {
            **table(ranks),
            "interval": interval(ranks, "R@1"),
            "minus_full": [against.difference, against.low, against.high],
        }
    return row


def markdown(document: Document) -> Iterator[str]:
    """The tables as a person reads them."""
    yield f"Ablation on {document['dataset']}, {document['split']}: text to video, R@1 [95 %]; in brackets the paired"
    yield "difference from the full model. `oracle` is the paper's reading, which no list can show."
    for one in document["tables"]:
        yield ""
        yield f"**Table {one['table']}**: {one['title']}"
        yield ""
        yield "| variant | mmbf | rrf | mean rank | oracle |"
        yield "|---|---|---|---|---|"
        for row in one["rows"]:
            cells = []
            for fusion in FUSIONS:
                found = row[fusion]
                low, high = found["interval"]
                change, least, most = found["minus_full"]
                cells.append(
                    f"{found['R@1']:.1f} [{low:.1f}, {high:.1f}] ({change:+.1f} [{least:+.1f}, {most:+.1f}])"
                )
            yield f"| {row['label']} | " + " | ".join(cells) + f" | {row['oracle']['R@1']:.1f} |"
