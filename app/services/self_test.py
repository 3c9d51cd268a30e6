"""The test that a new scorer has to pass on the owner's own library before it may answer: known items.

Each caption, pin and spoken line of the library is asked as a query; the right answer is any clip of its video. Old and
new scorer answer the same queries, and the new one is worse only if the interval of the paired difference says so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.services.known_items import (
    KnownItem,
    LibraryFeatures,
    Span,
    Unit,
    drawn,
    known_items,
    split_of,
    units_of,
    widths_of,
)
from app.services.library import Library
from app.services.searching import chosen_fusion
from m2hf_core.errors import KnownError
from m2hf_core.model.bootstrap import compare
from m2hf_core.model.checkpoint import UNTRAINED, ScorerInfo
from m2hf_core.model.config import Scorer
from m2hf_core.model.m2hf import M2HF
from m2hf_core.model.metrics import table
from m2hf_core.model.readings import TruthRanks, read_truths
from m2hf_core.progress import Progress
from m2hf_core.records import Branch
from m2hf_core.store import clips
from m2hf_core.store.clips import ClipRow
from m2hf_core.text import load_nouns
from m2hf_core.text.tower import TextTower, open_text_tower
from m2hf_core.training.data.dataset import Split
from m2hf_core.training.data.packing import Widths, in_its_words, pack_clips, pack_texts
from m2hf_core.training.evaluate import Scored, ranks_under, score_split

QUERIES = 500
"""Beyond these the interval gains little and the wait much."""
CLIPS = 5000
"""As many candidates make the test; the videos of the queries are always among them."""
FRAMES = 12
METRICS = ("R@1", "R@10")
TRAINED_HERE = "trained:library-"
"""Scorers trained on an export of a library are tested on the videos that the export held out."""


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What the test found; `queries` 0 when the library knows nothing to test with."""

    queries: int
    videos: int
    clips: int
    against: str
    fusion: str
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)
    difference: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """metric -> new minus old, and its 95 % interval"""

    @property
    def worse(self) -> bool:
        """Some figure is lower by more than chance would explain."""
        return any(high < 0 for _, _, high in self.difference.values())

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "worse": self.worse}

    def sentence(self) -> str:
        if not self.queries:
            return "there was nothing to test it with: no caption, pin or spoken line belongs to an indexed video."
        name = max(self.difference, key=lambda name: -self.difference[name][2]) if self.worse else METRICS[0]
        change, low, high = self.difference[name]
        return (
            f"on {self.queries} captions, pins and spoken lines of this library {name} was "
            f"{self.before[name]:.1f} and becomes {self.after[name]:.1f} "
            f"(difference {change:+.1f}, 95 % interval {low:+.1f} to {high:+.1f})."
        )


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A scorer, what its file says, and that file."""

    scorer: Scorer
    info: ScorerInfo
    file: Path


def self_test(
    library: Library,
    candidate: Opened,
    current: Opened | None,
    progress: Progress,
) -> SelfTest:
    """Compare two scorers; `current` None is the one before training.

    Raises `KnownError` when nothing was indexed or the candidate reads other senses; `Interrupted`.
    """
    fusion = chosen_fusion(library)
    against = UNTRAINED if current is None else current.info.scorer_id
    known = _gather(library, held_out=candidate.info.state.startswith(TRAINED_HERE))
    if known is None:
        return SelfTest(0, 0, 0, against, fusion)
    split, owner, truth = known
    widths = (split.clips.audio.shape[2], split.clips.motion.shape[2])
    progress.start("test the scorer", 2, "scorers")
    untrained = M2HF(split.clips.frames.shape[2], branches=(Branch.VISUAL,)).eval()
    ranks = []
    for one in (current, candidate):
        if one is None:
            scored = score_split(against, untrained, split, dataset="library")
        else:
            _same_senses(one.info, widths)
            asked = in_its_words(split, library.preset, one.file)
            branches = one.info.active_branches(one.scorer)
            scored = score_split(against, one.scorer, asked, dataset="library", branches=branches)
        ranks.append(_ranks(scored.abstaining(), owner, truth, fusion))
        progress.advance()
    before, after = ranks
    found = {metric: compare(before, after, metric) for metric in METRICS}
    return SelfTest(
        queries=len(truth),
        videos=len(np.unique(owner)),
        clips=len(owner),
        against=against,
        fusion=fusion,
        before=table(before),
        after=table(after),
        difference={name: (one.difference, one.low, one.high) for name, one in found.items()},
    )


def _same_senses(info: ScorerInfo, widths: tuple[int, int]) -> None:
    if (info.config.audio_width, info.config.motion_width) != widths:
        raise KnownError(
            f"The scorer {info.scorer_id} reads sound and movement of other networks than this library's.",
            "Choose the preset that it was trained with, or train one for this library.",
            f"{info.config.audio_width}, {info.config.motion_width} against {widths}",
        )


def _ranks(
    scored: Scored, owner: npt.NDArray[np.int64], truth: npt.NDArray[np.int64], fusion: Any
) -> TruthRanks:
    """The place of the first clip of the right video."""
    return ranks_under(read_truths(scored.scores, truth, owner, scored.abstain), fusion)


def _gather(
    library: Library, *, held_out: bool
) -> tuple[Split, npt.NDArray[np.int64], npt.NDArray[np.int64]] | None:
    """(clips and queries, [N] video of each clip, [n] video of each query); None when there is no query."""
    with library.store.library.reading() as session, library.store.features.reading() as stored_rows:
        stored = LibraryFeatures(library, stored_rows)
        rows = clips.searchable_clips(session)
        print_of = {row.video_id: row.fingerprint for row in rows}
        items = [
            item
            for item in known_items(session, spoken=True)
            if item.video_id in print_of and not (held_out and split_of(print_of[item.video_id]) == "train")
        ]
        items = _fitting(drawn(items, QUERIES), rows)
        chosen = _candidates(rows, {item.video_id for item in items})
        spans: dict[int, list[Span]] = defaultdict(list)
        for row in chosen:
            spans[row.video_id].append((row.start_s, row.end_s))
        units = units_of(session, stored, chosen, spans)
    seen = {unit.row.video_id for unit in units}
    items = [item for item in items if item.video_id in seen]
    if not items:
        return None
    owner = np.asarray([unit.row.video_id for unit in units], np.int64)
    truth = np.asarray([item.video_id for item in items], np.int64)
    return _split(units, items, open_text_tower(library.preset)), owner, truth


def _fitting(items: Sequence[KnownItem], rows: Sequence[ClipRow]) -> list[KnownItem]:
    """The items whose videos, taken in this order, have at most `CLIPS` clips together: long films have hundreds."""
    sizes = Counter(row.video_id for row in rows)
    taken: set[int] = set()
    room = CLIPS
    for item in items:
        if item.video_id not in taken and sizes[item.video_id] <= room:
            taken.add(item.video_id)
            room -= sizes[item.video_id]
    return [item for item in items if item.video_id in taken]


def _candidates(rows: Sequence[ClipRow], wanted: set[int]) -> list[ClipRow]:
    """Clips of the wanted videos, then of others by chance of their content, up to `CLIPS`."""
    others = sorted((row for row in rows if row.video_id not in wanted), key=lambda row: row.fingerprint)
    own = [row for row in rows if row.video_id in wanted]
    return sorted(own + others[: max(0, CLIPS - len(own))], key=lambda row: row.clip_id)


def _split(units: Sequence[Unit], items: Sequence[KnownItem], tower: TextTower) -> Split:
    nouns = load_nouns()
    texts = [item.text for item in items]
    found = widths_of(units)
    raws = [unit.clip.raw for unit in units]
    return Split(
        "known items",
        tuple(raw.info for raw in raws),
        pack_clips(raws, FRAMES, Widths(found.frames, found.audio, found.motion)),
        tuple(unit.clip.nouns for unit in units),
        tuple(texts),
        pack_texts(tower, texts),
        tuple(nouns(text) for text in texts),
        np.zeros(len(texts), np.int64),
    )
