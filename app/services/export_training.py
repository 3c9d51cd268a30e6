"""`library export-training`: captions and pins with the features of their moments, to be trained on elsewhere."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

from app.services.known_items import LibraryFeatures, Span, known_items, split_of, units_of, widths_of
from app.services.library import Library
from app.services.training_data import WORDS, Prepared
from m2hf_core.errors import KnownError
from m2hf_core.progress import Progress
from m2hf_core.store import clips
from m2hf_core.text import load_nouns
from m2hf_core.text.tower import open_text_tower
from m2hf_core.training.data.dataset import ClipInfo
from m2hf_core.training.data.packing import shorten
from m2hf_core.training.data.prepared import About, Captions, claim, encode_captions, write_about
from m2hf_core.training.data.shards import ShardWriter

DATASET = "library"
"""A scorer trained on it says so in its state, and is then tested on the videos held out of it."""


def export_training(library: Library, out: Path, progress: Progress) -> Prepared:
    """Write a prepared folder from the library; videos are split by their content.

    Raises `KnownError` when no caption or pin belongs to a video, or none of these was looked at; `ModelsMissing`,
    `DiskFull`, `Interrupted`.
    """
    tower, nouns = open_text_tower(library.preset), load_nouns()
    with library.store.library.reading() as session, library.store.features.reading() as stored_rows:
        stored = LibraryFeatures(library, stored_rows)
        items = known_items(session, spoken=False)
        if not items:
            raise KnownError(
                "No caption or pin belongs to a video of this library yet.",
                "Add some: m2hf-app caption add TEXT --video VIDEO@SECONDS",
            )
        rows = clips.searchable_clips(session)
        whole = _whole(rows)
        spans: dict[int, list[Span]] = defaultdict(list)
        for item in items:
            if item.video_id in whole:
                spans[item.video_id].append(item.span or whole[item.video_id])
        units = units_of(session, stored, [row for row in rows if row.video_id in spans], spans)
    if not units:
        raise KnownError("None of the captioned videos was looked at yet.", "Run: m2hf-app index")
    names = {(unit.row.video_id, _span_of(unit.clip.raw.info)): unit for unit in units}
    by_split: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for item in items:
        span = item.span or whole.get(item.video_id)
        unit = names.get((item.video_id, span)) if span else None
        if unit is not None:
            own = by_split[split_of(unit.row.fingerprint)].setdefault(unit.clip.raw.info.clip_id, [])
            own.append(item.text)
    fingerprints = {**stored.fingerprints, "nouns": nouns.fingerprint}
    shorten(tower, WORDS)
    claim(out, {"data": DATASET, "by": fingerprints, "words": WORDS, "clips": by_split})
    shards: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    texts: dict[str, int] = {}
    by_id = {unit.clip.raw.info.clip_id: unit.clip for unit in units}
    for split in (name for name in ("train", "val", "test") if name in by_split):
        captions = by_split[split]
        writer = ShardWriter(out, split, list(captions))
        progress.start(f"write {split}", len(captions), "clips")
        for clip_id in writer.missing():
            writer.put(by_id[clip_id])
            progress.advance()
        pairs = [(text, clip_id) for clip_id, own in captions.items() for text in own]
        encode_captions(
            out,
            split,
            Captions(tuple(text for text, _ in pairs), tuple(clip for _, clip in pairs)),
            tower,
            nouns,
            progress,
        )
        shards[split] = [path.name for path in writer.paths()]
        counts[split], texts[split] = len(captions), len(pairs)
    write_about(
        out,
        About(
            DATASET,
            library.preset.id,
            fingerprints,
            tower.logit_scale,
            tower.tokenizer.has_start,
            tower.tokenizer.context_length,
            asdict(widths_of(units)),
            shards,
        ),
    )
    left = {
        f"video {item.video_id}": "it was not looked at yet" for item in items if item.video_id not in spans
    }
    return Prepared(out, DATASET, counts, texts, left, dict(library.offer().asleep), _notes(counts))


def _notes(counts: dict[str, int]) -> tuple[str, ...]:
    total = sum(counts.values())
    if total >= 200 and "train" in counts:
        return ()
    return (f"{total} captioned moments are few to train on: a scorer may well be refused afterwards.",)


def _whole(rows: list[clips.ClipRow]) -> dict[int, Span]:
    """From the first clip's beginning to the last one's end, per video."""
    found: dict[int, Span] = {}
    for row in rows:
        start_s, end_s = found.get(row.video_id, (row.start_s, row.end_s))
        found[row.video_id] = (min(start_s, row.start_s), max(end_s, row.end_s))
    return found


def _span_of(info: ClipInfo) -> Span:
    return info.start_s, info.end_s
