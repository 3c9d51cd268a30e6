"""Moments like a given one: the same branches, asked with a clip or a picture instead of a sentence.

Sight compares frame features; with a trained scorer sound and movement compare their gated frames; speech compares
nouns. Each ranks the library for itself and the ranks are fused as for a sentence, so a hit says what is alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from m2hf_core.model.fusion import fuse
from m2hf_core.model.ranks import ABSTAINED, branch_ranks
from m2hf_core.model.receipt import Receipt, receipts
from m2hf_core.records import BRANCHES, Branch, BranchHit, Copy, Fusion, SearchHit
from m2hf_core.search.captions_cache import FloatArray
from m2hf_core.search.copies import Frames, Stretch, extended, same_stretch
from m2hf_core.search.encoded import EncodedClips
from m2hf_core.search.gallery import Gallery
from m2hf_core.search.lanes import UNTRAINED

LOOKED_THROUGH = 4
"""So many times the hits wanted are compared with one another for copies."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What to find more of."""

    visual: FloatArray | None
    """[d] unit; None where nothing is known of the picture."""
    dense: Mapping[str, FloatArray]
    """Audio and motion [d] as the active scorer keeps them; empty before training, and for a picture."""
    nouns: frozenset[str] = frozenset()
    video_id: int | None = None
    """Where it comes from: that video's own clips are left out."""
    former: bool = False
    """Known to the former models alone, while a library changes over: it is compared with what those know."""


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One branch over the library: scores [N], and where it abstains [N]."""

    scores: FloatArray
    abstain: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Alike:
    hits: tuple[SearchHit, ...]
    abstained: Mapping[str, str]
    copies: tuple[Copy, ...]
    """Of the sample's own video, which are no hits."""


def sample_of_clip(gallery: Gallery, row: int, at_s: float | None) -> Sample:
    """A clip of the gallery; with `at_s` its sight is that of the nearest frame, else of the whole clip."""
    clip = gallery.clips[row]
    former = gallery.former is not None and not gallery.seen[row] and bool(gallery.former.seen[row])
    encoded = compared_with(gallery, former)
    frames = _frames(encoded, row)
    visual = None
    if frames is not None:
        near = slice(None) if at_s is None else [int(np.argmin(np.abs(frames.times - at_s)))]
        mean = frames.values[near].mean(axis=0)
        visual = mean / max(float(np.linalg.norm(mean)), 1e-12)
    dense = {}
    for branch in (Branch.AUDIO, Branch.MOTION):
        if branch in encoded.branches and encoded.present[branch][row]:
            mean = encoded.frames(row, branch).mean(axis=0)
            dense[str(branch)] = mean / max(float(np.linalg.norm(mean)), 1e-12)
    return Sample(visual, dense, gallery.nouns[row], clip.video_id, former)


def compared_with(gallery: Gallery, former: bool) -> EncodedClips:
    """The clips that one preset's models know: frames of two models have nothing in common."""
    return gallery.former if former and gallery.former is not None else gallery.encoded


def similar_clips(
    gallery: Gallery, sample: Sample, asleep: Mapping[str, str], *, k: int, fusion: Fusion
) -> Alike:
    """The k clips most like the sample, copies of one another told under the first of them."""
    lanes, abstained = _lanes(gallery, sample, asleep)
    own = np.asarray([clip.video_id == sample.video_id for clip in gallery.clips], np.bool_)
    ids = gallery.ids
    ranks = branch_ranks(
        {name: lane.scores for name, lane in lanes.items()},
        ids,
        {name: lane.abstain | own for name, lane in lanes.items()},
    )
    if not ranks:
        return Alike((), abstained, ())
    order = fuse(ranks, fusion, ids, top=LOOKED_THROUGH * k + int(own.sum()))
    order = order[np.any([values[order] != ABSTAINED for values in ranks.values()], axis=0)]
    order, copies_of_sample, copies = _collapsed(gallery, sample, order, k)
    hits = [
        _hit(gallery, sample, lanes, receipt, copies.get(receipt.item, ()))
        for receipt in receipts(ranks, fusion, ids, order)
    ]
    numbered = tuple(replace(hit, rank=place) for place, hit in enumerate(hits, 1))
    return Alike(numbered, abstained, copies_of_sample)


def _frames(encoded: EncodedClips, row: int) -> Frames | None:
    """The unit frames of a clip, None where these models have not looked at it."""
    return Frames(encoded.frames(row, Branch.VISUAL), encoded.times(row)) if encoded.seen[row] else None


def _frames_of_video(gallery: Gallery, encoded: EncodedClips, video_id: int) -> Frames | None:
    """The unit frames of a whole video as far as its clips hold them."""
    parts = [found for row in gallery.rows_by_video[video_id] if (found := _frames(encoded, row))]
    if not parts:
        return None
    return Frames(np.concatenate([p.values for p in parts]), np.concatenate([p.times for p in parts]))


def _lanes(
    gallery: Gallery, sample: Sample, asleep: Mapping[str, str]
) -> tuple[dict[str, Lane], dict[str, str]]:
    lanes: dict[str, Lane] = {}
    abstained: dict[str, str] = {}
    dense = {**sample.dense} if sample.visual is None else {str(Branch.VISUAL): sample.visual, **sample.dense}
    encoded = compared_with(gallery, sample.former)
    for branch in (Branch.VISUAL, Branch.AUDIO, Branch.MOTION):
        index = encoded.index.get(branch)
        if branch in dense and index is not None and len(index) and len(dense[branch]) == index.width:
            lanes[branch] = Lane(index.scores(dense[branch]), ~index.known)
        elif branch == Branch.VISUAL:
            abstained[branch] = asleep.get(branch, "this has not been looked at yet")
        elif index is None:
            abstained[branch] = asleep.get(branch, UNTRAINED)
        else:
            abstained[branch] = "there is nothing of it to compare"
    scores = np.zeros(len(gallery), np.float32)
    rows, values = gallery.spoken.scores(sample.nouns)
    scores[rows] = values
    if len(rows):
        lanes[Branch.SPEECH] = Lane(scores, scores == 0)
    else:
        said = "no other clip shares a noun with it" if sample.nouns else "nothing is said in it"
        abstained[Branch.SPEECH] = said
    return lanes, abstained


def _collapsed(
    gallery: Gallery, sample: Sample, order: npt.NDArray[np.int64], k: int
) -> tuple[npt.NDArray[np.int64], tuple[Copy, ...], dict[int, tuple[Copy, ...]]]:
    """The first k rows that show something of their own; copies of the source; copies of each of these rows."""
    known: dict[int, Frames | None] = {}
    source, encoded = sample.video_id, compared_with(gallery, sample.former)

    def frames(video_id: int) -> Frames | None:
        if video_id not in known:
            known[video_id] = _frames_of_video(gallery, encoded, video_id)
        return known[video_id]

    kept: list[int] = []
    of_source: dict[int, Copy] = {}
    of_kept: dict[int, dict[int, Copy]] = {}
    for row in order.tolist():
        clip, own = gallery.clips[row], _frames(encoded, row)
        if source is not None and (stretch := _copied(own, frames(source))):
            of_source.setdefault(
                clip.video_id, _copy(gallery, row, frames(clip.video_id), frames(source), stretch)
            )
            continue
        for earlier in kept:
            other = gallery.clips[earlier]
            stretch = _copied(own, _frames(encoded, earlier)) if other.video_id != clip.video_id else None
            if stretch is not None:
                copy = _copy(gallery, row, frames(clip.video_id), frames(other.video_id), stretch)
                of_kept.setdefault(earlier, {}).setdefault(clip.video_id, copy)
                break
        else:
            if len(kept) == k:
                break
            kept.append(row)
    copies = {row: tuple(found.values()) for row, found in of_kept.items()}
    return np.asarray(kept, np.int64), tuple(of_source.values()), copies


def _copied(clip: Frames | None, other: Frames | None) -> Stretch | None:
    """The stretch that a clip shares with something else, if it is at least half of the clip."""
    if clip is None or other is None:
        return None
    stretch = same_stretch(clip, other)
    if stretch is None or 2 * (stretch.end_s - stretch.start_s) < len(clip.times):
        return None
    return stretch


def _copy(gallery: Gallery, row: int, own: Frames | None, other: Frames | None, found: Stretch) -> Copy:
    """The whole stretch that two videos share, not only that of one clip."""
    whole = extended(own, other, found) if own is not None and other is not None else None
    stretch = whole or found
    return Copy(
        gallery.clips[row].path, stretch.start_s, stretch.end_s, stretch.other_start_s, stretch.other_end_s
    )


def _hit(
    gallery: Gallery, sample: Sample, lanes: Mapping[str, Lane], receipt: Receipt, copies: tuple[Copy, ...]
) -> SearchHit:
    row = receipt.item
    clip = gallery.clips[row]
    frames = _frames(compared_with(gallery, sample.former), row)
    seen_s = None
    if frames is not None and sample.visual is not None:
        seen_s = float(frames.times[int(np.argmax(frames.values @ sample.visual))])
    branches: dict[str, BranchHit | None] = dict.fromkeys(BRANCHES)
    for name, rank in receipt.ranks.items():
        if rank is not None:
            best_s = seen_s if name == Branch.VISUAL else None
            branches[name] = BranchHit(rank, float(lanes[name].scores[row]), best_s)
    return SearchHit(
        rank=receipt.rank,
        clip_id=clip.clip_id,
        video=clip.path,
        start_s=clip.start_s,
        end_s=clip.end_s,
        best_s=clip.start_s if seen_s is None else seen_s,
        title=clip.path.name,
        won_by=receipt.won_by,
        branches=branches,
        without=receipt.without,
        words=tuple(sorted(gallery.nouns[row] & sample.nouns)) if Branch.SPEECH in receipt.ranks else (),
        copies=copies,
    )
