"""Search over an opened library: encodes the query, asks the engine, tells what could not be searched."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.services.blind_spots import blind_spots
from app.services.eyes import Eyes, open_eyes
from app.services.library import Library
from m2hf_core.errors import BadQuery, KnownError
from m2hf_core.progress import Progress
from m2hf_core.records import BRANCHES, FUSIONS, Branch, Fusion, SearchAnswer
from m2hf_core.search.asked import AskedStep, EncodedNegative, fuse_steps, score_step
from m2hf_core.search.calibrate import Calibration
from m2hf_core.search.gallery import Gallery
from m2hf_core.search.lanes import UNTRAINED, EncodedQuery, Scored
from m2hf_core.search.load import Kept, load_gallery
from m2hf_core.search.narrow import exact_rows, filter_notes, filter_rows
from m2hf_core.search.timeline import timeline
from m2hf_core.store import files
from m2hf_core.store.revision import Revision, revision
from m2hf_core.text import NounExtractor, load_nouns
from m2hf_core.text.names import words_of
from m2hf_core.text.query import Query, parse_query
from m2hf_core.text.tower import TextTower

NO_WORDS = "the query has no words for this branch"
REMEMBERED = 8
"""Queries whose scores are kept: enough to toggle branches and to take back a few letters."""


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """A query with everything scored, to be fused as often as wanted."""

    steps: list[Scored]
    notes: list[str]
    encode_ms: float

    @property
    def ranks_places(self) -> bool:
        """Whether mean rank wants more scored than other fusions."""
        return any(step.ranks_places for step in self.steps)


@dataclass(slots=True)
class Searcher:
    """Everything that answering needs, opened once: the gallery, what reads queries, and what scores are worth."""

    library: Library
    gallery: Gallery
    nouns: NounExtractor
    eyes: Eyes
    calibration: Calibration
    standing_notes: tuple[str, ...]
    """What is to be said with every answer of this library."""
    blind_spots: tuple[str, ...]
    revision: Revision
    """Of the library when the gallery was loaded."""
    _kept: OrderedDict[tuple[str, frozenset[str] | None], _Asked] = field(default_factory=OrderedDict)

    @property
    def tower(self) -> TextTower | None:
        """What reads queries for the visual branch; None while it sleeps."""
        return self.eyes.tower

    @property
    def asleep(self) -> dict[str, str]:
        """Why a branch cannot be used at all."""
        return self.eyes.asleep

    def stale(self) -> bool:
        """Whether the library has changed since this was opened."""
        with self.library.store.library.reading() as session:
            return revision(session) != self.revision

    def reloaded(self, progress: Progress | None = None) -> Searcher:
        """The library as it is now. The text tower is shared while its weights are those of the stored features."""
        return open_searcher(self.library, self, progress)

    def timeline(self, video: Path, text: str) -> dict[str, list[tuple[float, float]]]:
        """Branch -> (second, score) in order of time along a whole video; a branch that abstains has none.

        Raises `BadQuery` for an empty query, `KnownError` for a video that is not searchable.
        """
        with self.library.store.library.reading() as session:
            found = files.video_of_path(session, video)
        rows = self.gallery.rows_by_video.get(found.video_id, ()) if found else ()
        if not rows:
            raise KnownError(f"{video} is not searchable yet.", "Index its folder first.")
        return timeline(self.gallery, rows, self.encode(text)[0])

    def search(
        self,
        text: str,
        *,
        k: int = 10,
        branches: Collection[Branch] | None = None,
        fusion: Fusion | None = None,
        explain: bool = False,
    ) -> SearchAnswer:
        """The k best moments. Raises `BadQuery` for an empty query.

        The same text again, with other branches or another fusion, is fused again from kept scores. Mean rank alone
        wants other clips scored, and others for other branches, where not all are scored anyway.
        """
        chosen = fusion or chosen_fusion(self.library)
        for_mean = frozenset[str](branches or BRANCHES) if chosen == "mean-rank" else None
        asked = self._remembered(text, for_mean)
        began = time.perf_counter()
        encode_ms = 0.0
        if asked is None:
            asked = self._score(text, for_mean)
            encode_ms = asked.encode_ms
            self._kept[text, for_mean if asked.ranks_places else None] = asked
            while len(self._kept) > REMEMBERED:
                self._kept.popitem(last=False)
        hits, abstained, follows = fuse_steps(
            self.gallery, asked.steps, k=k, fusion=chosen, branches=branches or BRANCHES, explain=explain
        )
        return SearchAnswer(
            query=text,
            fusion=chosen,
            preset=self.library.preset.id,
            scorer_id=self.eyes.scorer_id,
            scorer_state=self.eyes.scorer_state,
            took_ms=(time.perf_counter() - began) * 1000 - encode_ms,
            encode_ms=encode_ms,
            videos=self.gallery.videos,
            clips=len(self.gallery),
            hits=hits,
            abstained=abstained,
            blind_spots=self.blind_spots,
            notes=(*asked.notes, *follows, *self.standing_notes),
            noun_mode=self.nouns.mode,
        )

    def _remembered(self, text: str, for_mean: frozenset[str] | None) -> _Asked | None:
        """The scores of this text, where they are kept and serve such a fusion."""
        plain = self._kept.get((text, None))
        if plain is not None and not plain.ranks_places:
            return plain
        return self._kept.get((text, for_mean))

    def encode(self, text: str) -> tuple[EncodedQuery, tuple[str, ...]]:
        """The first moment that a query asks for, as each lane reads it, and what of it was not read."""
        asked = _readable(text)
        return self._step(asked).query, tuple(note.message for note in asked.notes)

    def _score(self, text: str, for_mean: Collection[str] | None) -> _Asked:
        began = time.perf_counter()
        asked = _readable(text)
        notes = [f"character {note.position + 1}: {note.message}" for note in asked.notes]
        if not all(step.asks for step in asked.steps):
            notes.append("Minus and filters only sort and narrow: write what to look for beside them.")
        notes.extend(self._unheard(asked))
        steps = [self._step(step) for step in asked.steps]
        encode_ms = (time.perf_counter() - began) * 1000
        passing = filter_rows(self.gallery, asked.filters)
        scored = [score_step(self.gallery, step, passing, self.calibration, for_mean) for step in steps]
        if passing is not None and not passing.any():
            notes.extend(filter_notes(self.gallery, asked.filters))
        return _Asked(scored, notes, encode_ms)

    def _step(self, asked: Query) -> AskedStep:
        """One step with everything encoded."""
        texts = {branch: asked.text_for(branch) for branch in BRANCHES}
        asleep = dict(self.asleep)
        for branch, words in texts.items():
            if not words and branch in (*self.gallery.encoded.branches, Branch.SPEECH):
                asleep.setdefault(branch, NO_WORDS)
        exact = None
        if asked.exact:
            with self.library.store.library.reading() as session:
                exact = exact_rows(self.gallery, session, [phrase.text for phrase in asked.exact])
        negatives = [
            EncodedNegative(
                self._encoded(negative.text, dict.fromkeys(BRANCHES, negative.text)), negative.branch
            )
            for negative in asked.negatives
        ]
        return AskedStep(self._encoded(asked.text, texts), asleep, negatives, exact)

    def _encoded(self, text: str, texts: dict[Branch, str]) -> EncodedQuery:
        said = texts[Branch.SPEECH]
        visual, dense, former = self.eyes.read(texts)
        named = text or next((words for words in texts.values() if words), "")
        return EncodedQuery(named, visual, self.nouns(said), words_of(text), dense, former)

    def _unheard(self, asked: Query) -> list[str]:
        """Negatives that no branch can look for."""
        return [
            f"character {negative.position + 1}: “{negative.text}” pushes nothing down: "
            f"{self.asleep.get(branch, UNTRAINED).rstrip('.')}."
            for step in asked.steps
            for negative in step.negatives
            if (branch := negative.branch) in (Branch.AUDIO, Branch.MOTION)
            and branch not in self.gallery.encoded.branches
        ]


def _readable(text: str) -> Query:
    if not text.strip():
        raise BadQuery("The query is empty.", "Describe what is seen or said, as in: a dog runs on a beach")
    return parse_query(text)


def open_searcher(
    library: Library, former: Searcher | None = None, progress: Progress | None = None
) -> Searcher:
    """Load the gallery and what encodes queries. A text tower without weights sleeps, and says so.

    The search index is brought in step with the store first. What is costly to open and has not changed is taken
    over from `former`. Raises `Interrupted` when `progress` is cancelled; what was brought in step until then stays.
    """
    with library.store.library.reading() as session:
        seen = revision(session)  # before anything is read: what changes meanwhile shows as stale
    nouns = load_nouns() if former is None else former.nouns
    eyes = open_eyes(library, None if former is None else former.eyes, progress)
    gallery = load_gallery(library.store, eyes.kept or Kept(), eyes.former_kept)
    calibration = Calibration(gallery, eyes.null_nouns(nouns) if any(gallery.nouns) else ())
    notes = (*eyes.notes, *standing_notes(library, nouns))
    return Searcher(library, gallery, nouns, eyes, calibration, notes, blind_spots(library), seen)


def search(
    library: Library,
    text: str,
    *,
    k: int,
    branches: Collection[Branch] | None,
    fusion: Fusion | None,
    explain: bool,
    progress: Progress | None = None,
) -> SearchAnswer:
    """One search from a cold start, for the command line."""
    opened = open_searcher(library, progress=progress)
    return opened.search(text, k=k, branches=branches, fusion=fusion, explain=explain)


def standing_notes(library: Library, nouns: NounExtractor) -> Iterator[str]:
    """Limits of what these models and words can know."""
    if library.preset.id == "demo":
        yield "The demo models know only the demo's own world; on other videos their answers mean nothing."
    found_by, _, _listeners = library.offer().fingerprints.get("speech", "").partition("+")
    if found_by and found_by != nouns.fingerprint:
        yield "Nouns of queries are found in another way now than those of the transcripts were; run m2hf-app index."


def chosen_fusion(library: Library) -> Fusion:
    """The setting, as one of the fusions."""
    wanted = library.settings.get("fusion")
    return next(fusion for fusion in FUSIONS if fusion == wanted)
