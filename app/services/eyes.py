"""What reads a query for the branches that see, hear and watch: tower, scorer, and what the scorer keeps of the clips.

Changing the preset leaves no gap: clips that the new models have not seen yet are searched with the former ones,
whose features stay. Both are then compared by rank. Going back to the former preset finds its index as it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from app.services.everyday import everyday_captions
from app.services.library import Library, Offer
from m2hf_core.errors import BadModelFile, KnownError
from m2hf_core.hub import Preset, load_manifest
from m2hf_core.index import Segment
from m2hf_core.model.checkpoint import UNTRAINED, read_info
from m2hf_core.model.inputs import TextFeatures
from m2hf_core.progress import Progress
from m2hf_core.records import Branch
from m2hf_core.search.derive import Array, RawClip, derive
from m2hf_core.search.gallery import FloatArray
from m2hf_core.search.lanes import unit_vector
from m2hf_core.search.load import Kept
from m2hf_core.search.meeting import DenseQuery, pooled_query, read_query
from m2hf_core.search.refresh import refresh
from m2hf_core.search.scorer import Answering, open_scorer, segment_folder, sweep, untrained
from m2hf_core.store import features, scorers
from m2hf_core.text import NounExtractor
from m2hf_core.text.tower import TextTower, open_text_tower

NULL_CAPTIONS = 128
"""Enough for a percentile in steps of one per cent, few enough to add a tenth to the cost of indexing."""


@dataclass(slots=True)
class Sight:
    """One preset's tower and scorer over its own features."""

    preset: Preset
    tower: TextTower
    answering: Answering
    kept: Kept

    def read(self, texts: Mapping[Branch, str]) -> tuple[FloatArray | None, dict[str, DenseQuery]]:
        """(the visual words as one unit vector [d], per branch how the scorer reads its words)."""
        visual, dense = None, dict[str, DenseQuery]()
        for text in dict.fromkeys(texts[branch] for branch in (Branch.VISUAL, Branch.AUDIO, Branch.MOTION)):
            if not text:
                continue
            made = self.tower.encode([text])
            if text == texts[Branch.VISUAL]:
                visual = unit_vector(made.pooled_vector[0].numpy())
            own = [name for name in self.answering.branches if texts[Branch(name)] == text]
            if own:
                read = TextFeatures(made.tokens, made.mask, made.pooled)
                dense |= read_query(self.answering.scorer, read, made.words[0], own)
        return visual, dense


@dataclass(slots=True)
class Eyes:
    """The preset's own sight, and the former one's while the library changes over."""

    own: Sight | None
    former: Sight | None
    asleep: dict[str, str]
    notes: tuple[str, ...]
    null_texts: Sequence[str] = ()
    _nouns: list[frozenset[str]] = field(default_factory=list)

    @property
    def tower(self) -> TextTower | None:
        return self.own.tower if self.own else None

    @property
    def kept(self) -> Kept | None:
        return self.own.kept if self.own else None

    @property
    def former_kept(self) -> Kept | None:
        return self.former.kept if self.former else None

    @property
    def scorer_id(self) -> str:
        return self.own.answering.scorer_id if self.own else UNTRAINED

    @property
    def scorer_state(self) -> str:
        return self.own.answering.state.partition(":")[0] if self.own else UNTRAINED

    def read(
        self, texts: Mapping[Branch, str]
    ) -> tuple[FloatArray | None, dict[str, DenseQuery], dict[str, DenseQuery]]:
        """(the visual words as one vector, per branch how the scorer reads its words, the same for the former)."""
        visual, dense = self.own.read(texts) if self.own else (None, {})
        former: dict[str, DenseQuery] = {}
        if self.former is not None:
            seen, former = self.former.read(texts)
            if seen is not None and self.former.kept.pooled_is_score:
                former = {str(Branch.VISUAL): pooled_query(seen)}
        return visual, dense, former

    def null_nouns(self, nouns: NounExtractor) -> list[frozenset[str]]:
        """The noun sets of the null captions."""
        if not self._nouns:
            self._nouns = [nouns(text) for text in self.null_texts]
        return self._nouns


def open_eyes(library: Library, before: Eyes | None, progress: Progress | None) -> Eyes:
    """Open what sees, and bring its index in step with the store."""
    asleep: dict[str, str] = {}
    notes: list[str] = []
    texts = null_captions(library.preset)
    own = _open_sight(library, library.preset, library.offer(), before, texts, asleep, notes, progress, None)
    former = _open_former(library, before, texts, notes, progress)
    return Eyes(own, former, asleep, tuple(notes), texts, list(before._nouns) if before else [])


def _open_sight(
    library: Library,
    preset: Preset,
    offer: Offer,
    before: Eyes | None,
    null_texts: Sequence[str],
    asleep: dict[str, str],
    notes: list[str],
    progress: Progress | None,
    only: frozenset[str] | None,
) -> Sight | None:
    """The tower and the segments of one preset; None, with the reason in `asleep`, when it cannot see."""
    extracted = offer.fingerprints.get("clip")
    held = [sight.tower for sight in (before.own, before.former) if sight is not None] if before else []
    taught_by, words_from = _taught(library, preset)
    try:
        tower = _in_its_words(preset, extracted, taught_by, words_from, held, notes)
    except KnownError as missing:
        asleep[Branch.VISUAL] = str(missing)
        return None
    if extracted is not None and tower.fingerprint != extracted:
        # Features of other weights live in another space: comparing them would be noise that looks like an answer.
        asleep[Branch.VISUAL] = (
            "the weights have changed since these videos were looked at; run m2hf-app index"
        )
        return None
    backbone = extracted or tower.fingerprint
    answering, why = open_scorer(library.store, preset.id, backbone, tower.width)
    if why:
        notes.append(why)
    wanted = answering.scorer_id if answering.words_from else ""
    if tower.taught_by != wanted:  # its words do not fit, or the scorer behind them cannot be used
        if wanted:
            answering = untrained(tower.width)
        else:
            tower = _in_its_words(preset, extracted, "", None, held, notes)
    reads = {"visual": "clip", "audio": "vggish", "motion": "s3d"}
    extractors = {
        kind: offer.fingerprints[kind]
        for branch, kind in reads.items()
        if branch in answering.branches and kind in offer.fingerprints
    }
    if "clip" not in extractors:
        return Sight(preset, tower, answering, _kept(answering, ()))
    found = tower
    bank: list[TextFeatures] = []

    def made(clips: Sequence[RawClip]) -> Mapping[str, Array]:
        if (
            not bank
        ):  # encoding the captions takes seconds, and is needed only when there is something to index
            text = found.encode(null_texts)
            bank.append(TextFeatures(text.tokens, text.mask, text.pooled))
        return derive(answering.scorer, answering.branches, clips, answering.widths, bank[0], progress)

    index = library.paths.data / "index"
    folder = segment_folder(index, answering, extractors, _digest(null_texts))
    refreshed = refresh(library.store, folder, extractors, made, progress, only)
    notes.extend(refreshed.notes)
    if only is None:
        sweep(index, [folder.folder])
    return Sight(preset, tower, answering, _kept(answering, refreshed.segments))


def _taught(library: Library, preset: Preset) -> tuple[str, Path | None]:
    """(id, file) of the active scorer where it brings a text tower of its own, else ("", None).

    Known before any tower is opened, or the published one would be loaded for nothing: hundreds of megabytes.
    """
    with library.store.library.reading() as session:
        row = scorers.active(session, preset.id)
    if row is None or row.file is None:
        return "", None
    path = library.paths.data / row.file
    try:
        info = read_info(path)
    except BadModelFile:
        return "", None  # said where the scorer itself is opened
    return (info.scorer_id, path) if info.own_text else ("", None)


def _in_its_words(
    preset: Preset,
    extracted: str | None,
    taught_by: str,
    words_from: Path | None,
    held: Sequence[TextTower],
    notes: list[str],
) -> TextTower:
    """The text tower that the scorer was trained with: the published one, unless its file holds its own."""
    for one in held:
        if (one.fingerprint, one.taught_by) == (extracted, taught_by):
            return one
    try:
        return open_text_tower(preset, scorer=words_from)
    except BadModelFile as error:
        if words_from is None:
            raise
        tower = _in_its_words(preset, extracted, "", None, held, notes)
        notes.append(f"The trained scorer is not used. {error}")
        return tower


def _kept(answering: Answering, segments: Sequence[Segment]) -> Kept:
    return Kept(segments, answering.branches, answering.scorer.tokens == "pooled")


def _open_former(
    library: Library,
    before: Eyes | None,
    null_texts: Sequence[str],
    notes: list[str],
    progress: Progress | None,
) -> Sight | None:
    """The preset that has seen most of what the present one has not; None when nothing is missing."""
    present = library.offer().fingerprints.get("clip")
    best: tuple[int, Preset, Offer, frozenset[str]] | None = None
    with library.store.features.reading() as session:
        seen = set(features.checksums(session, present)) if present else set[str]()
        for preset in load_manifest().presets.values():
            offer = library.offer(preset)
            extractor = offer.fingerprints.get("clip")
            if preset.id == library.preset.id or extractor is None or extractor == present:
                continue
            lacking = frozenset(features.checksums(session, extractor)) - seen
            if lacking and (best is None or len(lacking) > best[0]):
                best = (len(lacking), preset, offer, lacking)
    if best is None:
        return None
    count, preset, offer, lacking = best
    asleep: dict[str, str] = {}
    sight = _open_sight(library, preset, offer, before, null_texts, asleep, notes, progress, lacking)
    how = "searched with the former models" if sight else f"not searched ({asleep[Branch.VISUAL]})"
    notes.append(
        f"changing from {preset.id} to {library.preset.id}: {count} videos wait for the new models and are {how}."
    )
    return sight


def null_captions(preset: Preset) -> list[str]:
    """Captions about nothing in particular, in the words that the preset's models know."""
    if preset.id == "demo":
        from m2hf_core.synthetic import captions, draw_specs  # with OpenCV, which no other search needs

        specs = draw_specs("train", NULL_CAPTIONS, seed=7)
        return [captions(spec, 1, seed=7)[0].text for spec in specs]
    lines = everyday_captions()
    return [lines[place] for place in np.linspace(0, len(lines) - 1, NULL_CAPTIONS).astype(int).tolist()]


def _digest(texts: Sequence[str]) -> str:
    return hashlib.blake2b("\n".join(texts).encode(), digest_size=8).hexdigest()
