"""Search over an opened library: encodes the query, asks the engine, tells the blind spots."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from app.services.library import Library
from m2hf_core.errors import BadQuery, KnownError, ModelsMissing
from m2hf_core.records import BRANCHES, FUSIONS, Branch, Fusion, SearchAnswer
from m2hf_core.search.asked import AskedStep, EncodedNegative, search_steps
from m2hf_core.search.engine import UNTRAINED, EncodedQuery, unit_vector
from m2hf_core.search.gallery import Gallery
from m2hf_core.search.load import load_gallery
from m2hf_core.search.narrow import exact_rows, filter_notes, filter_rows
from m2hf_core.search.timeline import timeline
from m2hf_core.store import files, status
from m2hf_core.store.revision import Revision, revision
from m2hf_core.text import NounExtractor, load_nouns
from m2hf_core.text.names import words_of
from m2hf_core.text.query import Query, parse_query
from m2hf_core.text.tower import TextTower, open_text_tower

NO_WORDS = "the query has no words for this branch"


@dataclass(slots=True)
class Searcher:
    """Everything that answering needs, opened once: the gallery, the text tower if it is awake, the nouns."""

    library: Library
    gallery: Gallery
    nouns: NounExtractor
    tower: TextTower | None
    asleep: dict[str, str]
    standing_notes: tuple[str, ...]
    """What is to be said with every answer of this library."""
    blind_spots: tuple[str, ...]
    revision: Revision
    """Of the library when the gallery was loaded."""

    def stale(self) -> bool:
        """Whether the library has changed since this was opened."""
        with self.library.store.library.reading() as session:
            return revision(session) != self.revision

    def reloaded(self) -> Searcher:
        """The library as it is now. The text tower is shared while its weights are those of the stored features."""
        return open_searcher(self.library, self)

    def timeline(self, video: Path, text: str) -> dict[str, list[tuple[float, float]]]:
        """Branch -> (second, score) in order of time along a whole video; a branch that abstains has none.

        Raises `BadQuery` for an empty query, `KnownError` for a video that is not searchable.
        """
        return timeline(self.gallery, self._rows_of(video), self.encode(text)[0])

    def _rows_of(self, video: Path) -> list[int]:
        with self.library.store.library.reading() as session:
            found = files.video_of_path(session, video)
        rows = [
            row for row, clip in enumerate(self.gallery.clips) if found and clip.video_id == found.video_id
        ]
        if not rows:
            raise KnownError(f"{video} is not searchable yet.", "Index its folder first.")
        return sorted(rows, key=lambda row: self.gallery.clips[row].start_s)

    def search(
        self,
        text: str,
        *,
        k: int = 10,
        branches: Collection[Branch] | None = None,
        fusion: Fusion | None = None,
        explain: bool = False,
    ) -> SearchAnswer:
        """The k best moments. Raises `BadQuery` for an empty query."""
        began = time.perf_counter()
        asked = _readable(text)
        notes = [f"character {note.position + 1}: {note.message}" for note in asked.notes]
        if not all(step.asks for step in asked.steps):
            notes.append("Minus and filters only sort and narrow: write what to look for beside them.")
        notes.extend(self._unheard(asked))
        steps = [self._step(step) for step in asked.steps]
        encode_ms = (time.perf_counter() - began) * 1000
        chosen = fusion or chosen_fusion(self.library)
        began = time.perf_counter()
        passing = filter_rows(self.gallery, asked.filters)
        hits, abstained, follows = search_steps(
            self.gallery,
            steps,
            passing,
            k=k,
            fusion=chosen,
            branches=branches or BRANCHES,
            explain=explain,
        )
        if passing is not None and not passing.any():
            notes.extend(filter_notes(self.gallery, asked.filters))
        return SearchAnswer(
            query=text,
            fusion=chosen,
            preset=self.library.preset.id,
            scorer_id="untrained",
            scorer_state="untrained",
            took_ms=(time.perf_counter() - began) * 1000,
            encode_ms=encode_ms,
            videos=self.gallery.videos,
            clips=len(self.gallery),
            hits=hits,
            abstained=abstained,
            blind_spots=self.blind_spots,
            notes=(*notes, *follows, *self.standing_notes),
            noun_mode=self.nouns.mode,
        )

    def encode(self, text: str) -> tuple[EncodedQuery, tuple[str, ...]]:
        """The first moment that a query asks for, as each lane reads it, and what of it was not read."""
        asked = _readable(text)
        return self._step(asked).query, tuple(note.message for note in asked.notes)

    def _step(self, asked: Query) -> AskedStep:
        """One step with everything encoded."""
        query = self._encoded(asked.text, asked.text_for(Branch.VISUAL), asked.text_for(Branch.SPEECH))
        asleep = dict(self.asleep)
        for branch in (Branch.VISUAL, Branch.SPEECH):
            if not asked.text_for(branch):
                asleep.setdefault(branch, NO_WORDS)
        exact = None
        if asked.exact:
            with self.library.store.library.reading() as session:
                exact = exact_rows(self.gallery, session, [phrase.text for phrase in asked.exact])
        negatives = [
            EncodedNegative(self._encoded(negative.text, negative.text, negative.text), negative.branch)
            for negative in asked.negatives
        ]
        return AskedStep(query, asleep, negatives, exact)

    def _encoded(self, text: str, seen: str, said: str) -> EncodedQuery:
        visual = None
        if self.tower is not None and seen:
            visual = unit_vector(self.tower.encode([seen]).pooled_vector[0].numpy())
        return EncodedQuery(text or seen or said, visual, self.nouns(said), words_of(text))

    def _unheard(self, asked: Query) -> list[str]:
        """Negatives that no branch can look for."""
        return [
            f"character {negative.position + 1}: “{negative.text}” pushes nothing down: "
            f"{self.asleep.get(branch, UNTRAINED).rstrip('.')}."
            for step in asked.steps
            for negative in step.negatives
            if (branch := negative.branch) in (Branch.AUDIO, Branch.MOTION)
        ]


def _readable(text: str) -> Query:
    if not text.strip():
        raise BadQuery("The query is empty.", "Describe what is seen or said, as in: a dog runs on a beach")
    return parse_query(text)


def open_searcher(library: Library, former: Searcher | None = None) -> Searcher:
    """Load the gallery and what encodes queries. A text tower without weights sleeps, and says so.

    What is costly to open and has not changed is taken over from `former`.
    """
    with library.store.library.reading() as session:
        seen = revision(session)  # before anything is read: what changes meanwhile shows as stale
    nouns = load_nouns() if former is None else former.nouns
    offer = library.offer()
    asleep: dict[str, str] = {}
    tower = None
    try:
        tower = former.tower if former is not None and former.tower else open_text_tower(library.preset)
    except ModelsMissing as missing:
        asleep[Branch.VISUAL] = str(missing)
    extracted = offer.fingerprints.get("clip")
    if tower is not None and extracted is not None and tower.fingerprint != extracted:
        # Features of other weights live in another space: comparing them would be noise that looks like an answer.
        tower = None
        asleep[Branch.VISUAL] = (
            "the weights have changed since these videos were looked at; run m2hf-app index"
        )
    gallery = load_gallery(library.store, extracted)
    return Searcher(
        library, gallery, nouns, tower, asleep, (*standing_notes(library, nouns),), blind_spots(library), seen
    )


def search(
    library: Library,
    text: str,
    *,
    k: int,
    branches: Collection[Branch] | None,
    fusion: Fusion | None,
    explain: bool,
) -> SearchAnswer:
    """One search from a cold start, for the command line."""
    return open_searcher(library).search(text, k=k, branches=branches, fusion=fusion, explain=explain)


def standing_notes(library: Library, nouns: NounExtractor) -> Iterator[str]:
    """Limits of what these models and words can know."""
    if library.preset.id == "demo":
        yield "The demo models know only the demo's own world; on other videos their answers mean nothing."
    stored = library.offer().fingerprints.get("speech")
    if stored is not None and stored != nouns.fingerprint:
        yield "Nouns of queries are found in another way now than those of the transcripts were; run m2hf-app index."


def blind_spots(library: Library) -> tuple[str, ...]:
    """What an answer could not take into account, in words."""
    with library.store.library.reading() as session:
        counts = status.status(session).videos
    spots = []
    if waiting := counts["queued"] + counts["running"]:
        spots.append(f"not extracted yet: {counted(waiting, 'video')} (m2hf-app index)")
    if counts["failed"]:
        spots.append(f"could not be read: {counted(counts['failed'], 'file')} (m2hf-app failures)")
    if counts["offline"]:
        spots.append(f"offline, so not to be played now: {counted(counts['offline'], 'video')}")
    return tuple(spots)


def counted(number: int, noun: str) -> str:
    """`1 video`, `2 videos`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def chosen_fusion(library: Library) -> Fusion:
    """The setting, as one of the fusions."""
    wanted = library.settings.get("fusion")
    return next(fusion for fusion in FUSIONS if fusion == wanted)
