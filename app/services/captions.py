"""Video to text: the captions of the bank that are nearest to a clip.

The bank is everything that could describe it: captions of the owner's and imported ones, the captions that are
shipped, and what is said in other videos. The clip's own transcript is told beside the answer and not compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from sqlalchemy.orm import Session

from app.services.everyday import everyday_captions
from app.services.eyes import Sight
from app.services.library import Library
from app.services.searching import Searcher, chosen_fusion, open_searcher
from app.services.targets import clip_of_target
from m2hf_core.model.checkpoint import UNTRAINED
from m2hf_core.model.inputs import TextFeatures
from m2hf_core.progress import Progress
from m2hf_core.records import CaptionAnswer, Fusion
from m2hf_core.search.captions import ActiveScorer, CaptionBank, rank_captions, score_captions
from m2hf_core.search.captions_cache import BankVectors, NounCache, VectorCache, cache_folder
from m2hf_core.search.moment import Moment, load_moment
from m2hf_core.store import captions as bank_rows
from m2hf_core.store import transcripts
from m2hf_core.store.clips import ClipRow
from m2hf_core.text.tower import TextTower

EVERYDAY = "everyday"
"""The source of the captions that are shipped."""
MOST_LINES = 20_000
"""Transcript sentences in the bank, newest first: they are encoded like captions, and a large library has millions."""
FEWEST_WORDS = 3
"""Shorter lines (yes, thank you) describe nothing."""


def captions(
    library: Library, target: str, *, k: int, fusion: Fusion | None = None, progress: Progress | None = None
) -> CaptionAnswer:
    """One search for captions from a cold start, for the command line."""
    return CaptionSearch(open_searcher(library, progress=progress)).nearest(
        target, k=k, fusion=fusion, progress=progress
    )


@dataclass(slots=True)
class CaptionSearch:
    """Finds captions for the library that a `Searcher` has opened; keeps the bank until it changes."""

    searcher: Searcher
    _bank: CaptionBank | None = field(default=None, init=False)
    _made_of: tuple[int, ...] = field(default=(), init=False)
    _left_out: tuple[str, ...] = field(default=(), init=False)
    """What the bank does not hold, in sentences."""

    def nearest(
        self,
        target: str,
        *,
        k: int = 10,
        fusion: Fusion | None = None,
        progress: Progress | None = None,
    ) -> CaptionAnswer:
        """The k captions nearest to VIDEO[@SECONDS] (default: its first clip)."""
        searcher, library = self.searcher, self.searcher.library
        clip, _ = clip_of_target(library, target)
        progress = progress or Progress()
        moment, notes = self._moment(clip)
        sight = searcher.eyes.former if notes else searcher.eyes.own
        bank = self.bank(progress)
        if notes and sight is not None:
            bank = replace(bank, vectors=self._vectors(list(bank.texts), sight.tower, progress))
        scored = score_captions(moment, bank, searcher.asleep, _trained(sight))
        return CaptionAnswer(
            video=Path(clip.path),
            start_s=clip.start_s,
            end_s=clip.end_s,
            hits=rank_captions(bank, scored, k=k, fusion=fusion or chosen_fusion(library)),
            abstained=scored.abstained,
            said=moment.said,
            bank=len(bank.texts),
            notes=(*notes, *self._left_out, *searcher.standing_notes),
        )

    def _moment(self, clip: ClipRow) -> tuple[Moment, tuple[str, ...]]:
        """The clip as the preset's models know it; else as the former ones do, and that this is so."""
        searcher, library = self.searcher, self.searcher.library
        moment = load_moment(library.store, clip, library.offer().fingerprints)
        former = searcher.eyes.former
        if moment.frames is not None or former is None:
            return moment, ()
        earlier = load_moment(library.store, clip, library.offer(former.preset).fingerprints)
        if earlier.frames is None:
            return moment, ()
        return earlier, (
            f"This video waits for the new models, so the former models ({former.preset.id}) answer.",
        )

    def bank(self, progress: Progress) -> CaptionBank:
        """Everything to compare with; what is new in it is encoded and kept on disk."""
        library = self.searcher.library
        with library.store.library.reading() as session:
            made_of = _made_of(session)
            if self._bank is not None and self._made_of == made_of:
                return self._bank
            sources, said_in = _texts(session)
            lines, _ = transcripts.line_figures(session)
        self._left_out = ()
        if lines > MOST_LINES:
            newest = f"the newest {MOST_LINES:,} of {lines:,} spoken lines"
            self._left_out = (f"Of what is said in the library only {newest} are compared.",)
        texts = sorted(sources)
        self._bank = CaptionBank(
            texts=texts,
            sources=[sources[text] for text in texts],
            vectors=self._vectors(texts, self.searcher.tower, progress),
            nouns=self._nouns(texts, progress),
            said_only_in=np.asarray([said_in.get(text, 0) for text in texts], np.int64),
        )
        self._made_of = made_of
        return self._bank

    def _vectors(self, texts: list[str], tower: TextTower | None, progress: Progress) -> BankVectors | None:
        if tower is None:
            return None
        cache = VectorCache(cache_folder(self.searcher.library.paths.data, tower.words_fingerprint))
        return cache.vectors(texts, lambda batch: tower.encode(batch).pooled_vector.numpy(), progress)

    def _nouns(self, texts: list[str], progress: Progress) -> list[frozenset[str]]:
        nouns = self.searcher.nouns
        cache = NounCache(cache_folder(self.searcher.library.paths.data, nouns.fingerprint))
        return cache.nouns(texts, nouns, progress)


def _trained(sight: Sight | None) -> ActiveScorer | None:
    """The scorer that answers searches, None while that is the one before training."""
    if sight is None or sight.answering.state == UNTRAINED:
        return None
    answering, tower = sight.answering, sight.tower

    def tokens(texts: Sequence[str]) -> TextFeatures:
        made = tower.encode(texts)
        return TextFeatures(made.tokens, made.mask, made.pooled)

    return ActiveScorer(answering.scorer, answering.branches, answering.widths, tokens)


def _texts(session: Session) -> tuple[dict[str, str], dict[str, int]]:
    """Text -> source, and text -> video for texts that are only said, and in that video alone."""
    sources: dict[str, str] = {}
    for text, source in bank_rows.texts_and_sources(session):
        sources.setdefault(text, source)
    for text in everyday_captions():
        sources.setdefault(text, EVERYDAY)
    said_in: dict[str, int] = {}
    for line in transcripts.latest_line_texts(session, MOST_LINES):
        text = " ".join(line.text.split())
        if len(text.split()) < FEWEST_WORDS:
            continue
        if text not in sources:
            sources[text], said_in[text] = f"said in {line.title}", line.video_id
        elif said_in.get(text, line.video_id) != line.video_id:
            del said_in[text]
    return sources, said_in


def _made_of(session: Session) -> tuple[int, ...]:
    """Figures that differ whenever the bank does."""
    return (*bank_rows.caption_figures(session), *transcripts.line_figures(session))
