"""Video to text: the captions of the bank that are nearest to a clip."""

from __future__ import annotations

import numpy as np

from app.services.library import Library
from app.services.searching import Searcher, chosen_fusion, open_searcher
from app.services.targets import clip_of_target
from m2hf_core.errors import KnownError
from m2hf_core.records import CaptionAnswer, Fusion
from m2hf_core.search.captions import CaptionBank, nearest_captions
from m2hf_core.search.gallery import FloatArray, unit_rows
from m2hf_core.store import captions as bank_rows
from m2hf_core.store import transcripts


def captions(library: Library, target: str, *, k: int) -> CaptionAnswer:
    """One search for captions from a cold start, for the command line."""
    return nearest(open_searcher(library), target, k=k)


def nearest(searcher: Searcher, target: str, *, k: int = 10, fusion: Fusion | None = None) -> CaptionAnswer:
    """The k captions nearest to VIDEO[@SECONDS] (default: its first clip)."""
    clip, _ = clip_of_target(searcher.library, target)
    gallery = searcher.gallery
    row = gallery.row_of(clip.clip_id)
    if row is None:
        raise KnownError(f"{target} is not searchable yet.", "Index its folder first.")
    hits, abstained = nearest_captions(
        gallery,
        row,
        bank_of(searcher),
        searcher.asleep,
        k=k,
        fusion=fusion or chosen_fusion(searcher.library),
    )
    found = gallery.clips[row]
    return CaptionAnswer(found.path, found.start_s, found.end_s, hits, abstained)


def bank_of(searcher: Searcher) -> CaptionBank:
    """The owner's captions and every transcript line, as one bank; a text that occurs twice stands once."""
    with searcher.library.store.library.reading() as session:
        rows = [(row.text, row.source) for row in bank_rows.list_captions(session)]
        videos = sorted({clip.video_id for clip in searcher.gallery.clips})
        spoken = [row for video_id in videos for row in transcripts.lines_of(session, video_id)]
    lines = [(row.line.text, "transcript") for row in spoken]
    texts = dict(reversed([*rows, *lines]))
    if not texts:
        raise KnownError("There is no caption to compare with yet.", "Add some: m2hf-app caption import FILE")
    ordered = sorted(texts)
    vectors: FloatArray | None = None
    tower = searcher.tower
    if tower is not None:
        pooled = [tower.encode(ordered[i : i + 64]).pooled_vector.numpy() for i in range(0, len(ordered), 64)]
        vectors = unit_rows(np.concatenate(pooled))
    return CaptionBank(
        ids=range(len(ordered)),
        texts=ordered,
        sources=[texts[text] for text in ordered],
        vectors=vectors,
        nouns=[searcher.nouns(text) for text in ordered],
    )
