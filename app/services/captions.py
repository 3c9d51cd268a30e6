"""Video to text: the captions of the bank that are nearest to a clip.

The bank is everything that could describe it: captions of the owner's and imported ones, the captions that are
shipped, and what is said in other videos. The clip's own transcript is told beside the answer and not compared.
Videos whose files were deleted give nothing to it until a file comes back; those on a drive that is away do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from sqlalchemy.orm import Session

from app.services.everyday import everyday_captions
from app.services.eyes import Sight
from app.services.library import Library
from app.services.searching import Searcher, chosen_fusion, open_searcher
from app.services.targets import clip_of_target
from m2hf_core.model.checkpoint import UNTRAINED
from m2hf_core.model.inputs import TextFeatures
from m2hf_core.model.speech import SpokenNouns
from m2hf_core.progress import Progress
from m2hf_core.records import CaptionAnswer, Fusion
from m2hf_core.search.captions import ActiveScorer, CaptionBank, rank_captions, score_captions
from m2hf_core.search.captions_cache import BankVectors, NounCache, VectorCache, cache_folder
from m2hf_core.search.moment import Moment, load_moment
from m2hf_core.store import captions as bank_rows
from m2hf_core.store import files, transcripts
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
    """The texts, without anybody's vectors."""
    _vectors: dict[str, BankVectors] = field(default_factory=dict, init=False)
    """Of these texts by the tower that made them: two towers answer while the library changes over to new models."""
    _made_of: tuple[object, ...] = field(default=(), init=False)
    _left_out: tuple[str, ...] = field(default=(), init=False)
    """What the bank does not hold, in sentences."""

    def over(self, searcher: Searcher) -> CaptionSearch:
        """The search for the library as opened anew, with what of the bank is still valid."""
        if searcher is self.searcher:
            return self
        renewed = CaptionSearch(searcher)
        sights = (searcher.eyes.own, searcher.eyes.former)
        towers = {sight.tower.words_fingerprint for sight in sights if sight is not None}
        renewed._bank, renewed._made_of, renewed._left_out = self._bank, self._made_of, self._left_out
        renewed._vectors = {name: made for name, made in self._vectors.items() if name in towers}
        return renewed

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
        bank = self.bank(None if sight is None else sight.tower, progress)
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

    def bank(self, tower: TextTower | None, progress: Progress) -> CaptionBank:
        """Everything to compare with as this tower reads it; what is new in it is encoded and kept on disk."""
        bank = self._texts(progress)
        if tower is None:
            return bank
        name = tower.words_fingerprint
        if name not in self._vectors:
            cache = VectorCache(cache_folder(self.searcher.library.paths.data, name))
            self._vectors[name] = cache.vectors(
                bank.texts, lambda batch: tower.encode(batch).pooled_vector.numpy(), progress
            )
        return replace(bank, vectors=self._vectors[name])

    def _texts(self, progress: Progress) -> CaptionBank:
        """The bank without vectors, read again only when something was added or removed."""
        library, nouns = self.searcher.library, self.searcher.nouns
        with library.store.library.reading() as session:
            gone = files.gone_videos(session)
            made_of = (nouns.fingerprint, gone, *_made_of(session))
            if self._bank is not None and self._made_of == made_of:
                return self._bank
            sources, said_in = _texts(session, gone)
            lines = transcripts.line_figures(session)[0] - transcripts.count_lines_of(session, gone)
        self._bank, self._vectors, self._left_out = None, {}, ()
        if lines > MOST_LINES:
            newest = f"the newest {MOST_LINES:,} of {lines:,} spoken lines"
            self._left_out = (f"Of what is said in the library only {newest} are compared.",)
        texts = sorted(sources)
        words = NounCache(cache_folder(library.paths.data, nouns.fingerprint)).nouns(texts, nouns, progress)
        self._bank = CaptionBank(
            texts=texts,
            sources=[sources[text] for text in texts],
            vectors=None,
            spoken=SpokenNouns(words),
            said_only_in=np.asarray([said_in.get(text, 0) for text in texts], np.int64),
        )
        self._made_of = made_of
        return self._bank


def _trained(sight: Sight | None) -> ActiveScorer | None:
    """The scorer that answers searches, None while that is the one before training."""
    if sight is None or sight.answering.state == UNTRAINED:
        return None
    answering, tower = sight.answering, sight.tower

    def tokens(texts: Sequence[str]) -> TextFeatures:
        # Texts of a length are encoded together, or all would be computed as long as the longest of their batch.
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        made = tower.encode([texts[index] for index in order])
        back = torch.from_numpy(np.argsort(order))
        return TextFeatures(made.tokens[back], made.mask[back], made.pooled[back])

    return ActiveScorer(answering.scorer, answering.branches, answering.widths, tokens)


def _texts(session: Session, gone: frozenset[int]) -> tuple[dict[str, str], dict[str, int]]:
    """Text -> source, and text -> video for texts that are only said, and in that video alone.

    What belongs to a video in `gone` is left out, as that video is left out of searches.
    """
    sources: dict[str, str] = {}
    for text, source in bank_rows.texts_and_sources(session, gone):
        sources.setdefault(text, source)
    for text in everyday_captions():
        sources.setdefault(text, EVERYDAY)
    said_in: dict[str, int] = {}
    for line in transcripts.latest_line_texts(session, MOST_LINES, gone):
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
