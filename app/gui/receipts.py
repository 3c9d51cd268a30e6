"""Says in one sentence why a moment stands where it stands, and then in full."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from app.gui.records import clock
from m2hf_core.records import BranchHit, SearchHit


def tr(text: str) -> str:
    return QCoreApplication.translate("receipt", text)


def ordinal(rank: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    if rank % 100 in (11, 12, 13):
        return f"{rank}th"
    return f"{rank}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(rank % 10, 'th') }"


def headline(hit: SearchHit) -> str:
    """What happened, by the branch that won: heard and moved are said only when the receipt shows it."""
    lane = hit.won_by[0] if hit.won_by else ""
    seen = hit.branches.get(lane)
    at = clock(seen.best_s if seen is not None and seen.best_s is not None else hit.best_s)
    if lane == "audio" and hit.heard:
        return tr("Heard at {}").format(at)
    if lane == "motion" and hit.moved:
        return tr("Moved at {}").format(at)
    if lane == "speech":
        words = ", ".join(f"“{word}”" for word in hit.words)
        return tr("Said at {}: {}").format(at, words) if words else tr("Said at {}").format(at)
    if lane == "name":
        return tr("Named so")
    if lane:
        return tr("Found by {} at {}").format(_sense(lane), at)
    return tr("No branch ranks this moment")


def explanation(hit: SearchHit) -> str:
    """The rest of the sentence: other branches, and where the hit would be without the one that won it."""
    ranked = sorted(
        ((name, seen) for name, seen in hit.branches.items() if seen is not None),
        key=lambda entry: (entry[0] not in hit.won_by, entry[1].rank),
    )
    parts = [tr("{} by {}").format(ordinal(seen.rank), _sense(name)) for name, seen in ranked]
    sentence = ", ".join(parts)
    if len(hit.won_by) == 1 and len(hit.without) > 1:
        without = hit.without.get(hit.won_by[0])
        if without is not None:
            place = ordinal(without) if isinstance(without, int) else str(without)
            sentence += ". " + tr("Without {} it would be {}").format(_sense(hit.won_by[0]), place)
    return sentence + "." if sentence else ""


def in_full(hit: SearchHit) -> list[tuple[str, str]]:
    """(lane, what it says) for every lane, abstaining ones too."""
    return [(name, _view(hit, name, seen)) for name, seen in hit.branches.items()]


def _view(hit: SearchHit, name: str, seen: BranchHit | None) -> str:
    if seen is None:
        return tr("abstains here")
    parts = [tr("{}, score {:.3f}").format(ordinal(seen.rank), seen.score)]
    if seen.best_s is not None:
        parts.append(tr("best at {}").format(clock(seen.best_s)))
    without = hit.without.get(name)
    if without is not None:
        place = ordinal(without) if isinstance(without, int) else str(without)
        parts.append(tr("without it {}").format(place))
    return ", ".join(parts)


def _sense(lane: str) -> str:
    return {
        "visual": tr("picture"),
        "audio": tr("sound"),
        "motion": tr("motion"),
        "speech": tr("speech"),
        "name": tr("file name"),
    }.get(lane, lane)
