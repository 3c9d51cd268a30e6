"""Keep the segments of one scorer in step with SQLite, which alone says what there is.

A clip is up to date when its mark is: a digest of its times and of the checksums of the features that it is made of.
So adding, deleting and re-deriving are one comparison, and interrupted work goes on where it stopped. Whatever is
wrong with the folder is answered by building again; where it cannot be written, the missing clips are held in memory.
Clips without a frame (flat stretches, which words can find) have no row; their marks are remembered beside the rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from m2hf_core.errors import CorruptStore, DiskFull, LibraryBusy
from m2hf_core.index import DamagedSegments, Segment, SegmentFolder
from m2hf_core.progress import Progress
from m2hf_core.records import Feature
from m2hf_core.search.derive import Array, RawClip, joined, within
from m2hf_core.store import Store, clips, features
from m2hf_core.store.clips import ClipRow
from m2hf_core.store.lock import FileLock
from m2hf_core.store.trouble import NotWritable

KINDS = ("clip", "vggish", "s3d")
SEGMENT_CLIPS = 2048
"""At most so many to a segment: about 130 MB with three branches, which is also what building holds in memory."""
SMALL, MANY = 512, 12
"""More than 12 segments of fewer than 512 clips become one."""
LOCK_PATIENCE_S = 0.5

Derive = Callable[[Sequence[RawClip]], Mapping[str, Array]]


@dataclass(frozen=True, slots=True)
class Refreshed:
    segments: list[Segment]
    notes: list[str]
    """What was repaired, or could not be kept, in sentences for the owner."""


def refresh(
    store: Store,
    folder: SegmentFolder,
    extractors: Mapping[str, str],
    derive: Derive,
    progress: Progress | None = None,
    only: frozenset[str] | None = None,
) -> Refreshed:
    """Bring the segments in step with the store. `extractors`: kind -> fingerprint; `only`: these contents.

    Another process that does the same is waited for, shortly; then this one holds what is missing in memory.
    """
    progress = progress or Progress()
    notes: list[str] = []
    wanted = {row.clip_id: (row, mark) for row, mark in _wanted(store, extractors)}
    if only is not None:
        wanted = {clip_id: found for clip_id, found in wanted.items() if found[0].fingerprint in only}
    lock = FileLock(folder.folder / "lock", LOCK_PATIENCE_S)
    try:
        folder.folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        try:
            return Refreshed(_update(store, folder, extractors, derive, wanted, progress, notes), notes)
        finally:
            lock.release()
    except (LibraryBusy, NotWritable, DiskFull, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.sentence
        notes.append(f"The search index could not be written, so it is held in memory. {reason}")
    try:
        kept, vacant = folder.open(), folder.vacant()
    except DamagedSegments:
        kept, vacant = [], frozenset()
    fit, missing = _compared(kept, wanted, vacant)
    added = [
        Segment(f"memory-{number}", derive(batch), np.ones(len(batch), np.bool_))
        for number, batch in enumerate(_batches(store, extractors, missing, progress, notes, set()))
    ]
    return Refreshed([*fit, *added], notes)


def _update(
    store: Store,
    folder: SegmentFolder,
    extractors: Mapping[str, str],
    derive: Derive,
    wanted: Mapping[int, tuple[ClipRow, int]],
    progress: Progress,
    notes: list[str],
) -> list[Segment]:
    try:
        kept = folder.open()
    except DamagedSegments as damage:
        notes.append(f"The search index was of no use ({damage}); it has been made again.")
        folder.discard()
        kept = []
    vacant = folder.vacant()
    fit, missing = _compared(kept, wanted, vacant)
    gone = [
        clip_id
        for before, after in zip(kept, fit, strict=True)
        for clip_id in before.ids[before.alive & ~after.alive].tolist()
    ]
    if gone:
        folder.remove(gone)
    still = set(vacant & {mark for _, mark in wanted.values()})
    for batch in _batches(store, extractors, missing, progress, notes, still):
        folder.add(derive(batch))
    if still != vacant:
        folder.put_vacant(still)
    segments = folder.open()
    small = [segment.name for segment in segments if np.count_nonzero(segment.alive) < SMALL]
    thin = [s.name for s in segments if np.count_nonzero(s.alive) < len(s.alive) / 2]
    if len(small) > MANY or thin:
        folder.merge(small if len(small) > MANY else thin, joined)
        segments = folder.open()
    return segments


def _compared(
    kept: Sequence[Segment], wanted: Mapping[int, tuple[ClipRow, int]], vacant: frozenset[int]
) -> tuple[list[Segment], list[tuple[ClipRow, int]]]:
    """(the segments with what is out of date no longer alive, what is missing then). `vacant`: marks without a row."""
    fit, fresh = [], set()
    for segment in kept:
        marks = np.asarray(segment.arrays["marks"]).tolist()
        alive = segment.alive.copy()
        for place, clip_id in enumerate(segment.ids.tolist()):
            found = wanted.get(clip_id)
            if found is None or found[1] != marks[place]:
                alive[place] = False
            elif alive[place]:
                fresh.add(clip_id)
        fit.append(Segment(segment.name, segment.arrays, alive))
    return fit, [
        found for clip_id, found in wanted.items() if clip_id not in fresh and found[1] not in vacant
    ]


def _wanted(store: Store, extractors: Mapping[str, str]) -> Iterator[tuple[ClipRow, int]]:
    """Every searchable clip that was looked at, with its mark."""
    names = [extractors.get(kind, "") for kind in KINDS]
    with store.features.reading() as session:
        checksums = {name: features.checksums(session, name) for name in names if name}
    with store.library.reading() as session:
        rows = clips.searchable_clips(session)
    for row in rows:
        made_of = [checksums.get(name, {}).get(row.fingerprint) for name in names]
        if made_of[0] is not None:
            text = f"{row.start_s!r} {row.end_s!r} {made_of}".encode()
            yield row, int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def _batches(
    store: Store,
    extractors: Mapping[str, str],
    missing: Sequence[tuple[ClipRow, int]],
    progress: Progress,
    notes: list[str],
    vacant: set[int],
) -> Iterator[list[RawClip]]:
    """The missing clips with their raw features, a segment at a time. Marks of clips without a frame go to `vacant`."""
    progress.start("index", len(missing), "clips")
    batch: list[RawClip] = []
    held, own = "", dict[str, Feature | None]()
    for row, mark in sorted(missing, key=lambda found: (found[0].fingerprint, found[0].clip_id)):
        if row.fingerprint != held:
            held = row.fingerprint
            try:
                own = _features(store, held, extractors)
            except CorruptStore as damage:
                own = {}
                notes.append(f"{Path(row.path).name} is left out of seeing, hearing and moving: {damage}")
        seen = own.get("clip")
        if seen is not None:
            frames = within(seen, row.start_s, row.end_s)
            if len(frames.values):
                batch.append(RawClip(row.clip_id, mark, frames, own["vggish"], own["s3d"]))
            else:
                vacant.add(mark)
        progress.advance()
        if len(batch) == SEGMENT_CLIPS:
            yield batch
            batch = []
    if batch:
        yield batch


def _features(store: Store, fingerprint: str, extractors: Mapping[str, str]) -> dict[str, Feature | None]:
    with store.features.reading() as session:
        return {
            kind: features.get(session, fingerprint, extractors[kind]) if kind in extractors else None
            for kind in KINDS
        }
