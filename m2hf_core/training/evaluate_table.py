"""The document of an evaluation as Markdown that a person reads: what may be called R@K first, the rest labelled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from m2hf_core.records import FUSIONS

Document = Mapping[str, Any]
_HEAD = ("R@1", "R@5", "R@10", "MdR", "MnR")
_TITLES = {"t2v": "Text to video", "v2t": "Video to text"}
_LABELS = {"mmbf": "mmbf", "rrf": "rrf", "mean-rank": "mean rank"}


def lines(document: Document) -> Iterator[str]:
    """The whole evaluation."""
    yield (
        f"{document['system']} on {document['dataset']}, {document['split']}: "
        f"{document['texts']} captions, {document['videos']} clips."
    )
    post = document.get("post", {})
    for direction, title in _TITLES.items():
        yield ""
        protocol = f" ({document['protocol']['v2t']})" if direction == "v2t" else ""
        yield from _direction(f"{title}{protocol}", document[direction])
        for name, found in post.items():
            yield ""
            yield f"With test-time re-weighting ({name}), which needs all queries beforehand; never in a search:"
            yield ""
            yield from _direction(f"{title}{protocol}, {name}", found[direction])
    if "abstaining" in document:
        yield ""
        yield "Clips without sound or movement abstain there, as in a search:"
        yield ""
        yield from _direction("Text to video", document["abstaining"]["t2v"])
    if "subsets" in document:
        yield ""
        yield from _subsets(document["subsets"])
    if "one_sense" in document:
        yield ""
        yield from _one_sense(document["one_sense"])
    if "comparison" in document:
        yield ""
        yield from comparison_lines(document["comparison"])


def _direction(title: str, found: Document) -> Iterator[str]:
    yield f"| {title} | " + " | ".join(_HEAD) + " |"
    yield "|---|" + "---|" * len(_HEAD)
    intervals = found["intervals"]
    yield _row("mmbf", found["honest"], intervals["honest"])
    for fusion, figures in found["fusions"].items():
        yield _row(_LABELS[fusion], figures, intervals[fusion])
    for lane, figures in found["branches"].items():
        yield _row(f"{lane} alone", figures, intervals[lane])
    yield _row("no list: oracle (paper's reading)", found["oracle"], intervals["oracle"])
    yield _row("no list: pessimistic", found["pessimistic"], intervals["pessimistic"])


def _row(label: str, figures: Document, intervals: Document) -> str:
    cells = []
    for name in _HEAD:
        low_high = intervals.get(name)
        reach = f" [{low_high[0]:.1f}, {low_high[1]:.1f}]" if low_high else ""
        cells.append(f"{figures[name]:.1f}{reach}")
    return f"| {label} | " + " | ".join(cells) + " |"


def _subsets(rows: list[Document]) -> Iterator[str]:
    yield "Every choice of branches, text to video: R@1 [95 %], and in brackets what all branches lose by it."
    yield ""
    yield "| branches | " + " | ".join(_LABELS[fusion] for fusion in FUSIONS) + " |"
    yield "|---|" + "---|" * len(FUSIONS)
    for row in rows:
        cells = []
        for fusion in FUSIONS:
            found = row[fusion]
            low, high = found["interval"]
            difference, least, most = found["minus_all"]
            change = (
                f" ({difference:+.1f} [{least:+.1f}, {most:+.1f}])" if difference or least or most else ""
            )
            cells.append(f"{found['R@1']:.1f} [{low:.1f}, {high:.1f}]{change}")
        yield f"| {', '.join(row['branches'])} | " + " | ".join(cells) + " |"


def _one_sense(rows: list[Document]) -> Iterator[str]:
    lanes = list(rows[0]["branches"])
    yield f"Captions that name one sense alone: R@1 (median rank); chance is {rows[0]['chance']:.2f}."
    yield ""
    columns = [*(f"{lane} branch" for lane in lanes), *(_LABELS[fusion] for fusion in FUSIONS)]
    yield "| captions | " + " | ".join(columns) + " |"
    yield "|---|" + "---|" * len(columns)
    for row in rows:
        found = [*(row["branches"][lane] for lane in lanes), *(row["fusions"][fusion] for fusion in FUSIONS)]
        cells = [f"{one['R@1']:.1f} ({one['MdR']:.0f})" for one in found]
        yield f"| {row['sense']} ({row['texts']}) | " + " | ".join(cells) + " |"


def comparison_lines(found: Document) -> Iterator[str]:
    """The paired comparison of two systems."""
    yield f"{found['second']} minus {found['first']}, on the same queries:"
    yield ""
    yield "| | R@1 | R@5 | R@10 |"
    yield "|---|---|---|---|"
    for fusion in FUSIONS:
        cells = []
        for metric in ("R@1", "R@5", "R@10"):
            one = found[fusion][metric]
            low, high = one["interval"]
            cells.append(
                f"{one['difference']:+.1f} [{low:+.1f}, {high:+.1f}]" + ("" if one["settled"] else " ?")
            )
        yield f"| {_LABELS[fusion]} | " + " | ".join(cells) + " |"
    yield ""
    yield "A question mark: the interval holds no difference."
