"""With a trained scorer the engine's scores are M2HF's own, and its order is that of a plain reading of the rules."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from m2hf_core.index import Segment
from m2hf_core.model.inputs import EncodedVideo, Side
from m2hf_core.model.m2hf import M2HF
from m2hf_core.records import BRANCHES, FUSIONS, Branch
from m2hf_core.search import everywhere as everywhere_module
from m2hf_core.search import lanes as lanes_module
from m2hf_core.search.asked import AskedStep, EncodedNegative, fuse_steps, score_step
from m2hf_core.search.derive import video_features
from m2hf_core.search.encoded import EncodedClips
from m2hf_core.search.engine import fuse_lanes
from m2hf_core.search.gallery import Gallery
from m2hf_core.search.lanes import EncodedQuery, Scored, score_lanes
from m2hf_core.search.timeline import timeline

DENSE_NAMES = ("visual", "audio", "motion")
WORDS = ("dog", "sea", "bread", "engine", "song")
few = settings(max_examples=15)
seeds = st.integers(0, 10_000)
Make = Callable[..., Any]


def halved(encoded: EncodedVideo) -> EncodedVideo:
    """As it comes back from the store."""
    sides = {
        name: Side(side.unit.half().float(), side.weight, side.mask)
        for name, side in encoded.branches.items()
    }
    return EncodedVideo(sides, encoded.present)


def nouns_of(rng: np.random.Generator) -> list[str]:
    return rng.choice(WORDS, int(rng.integers(0, 3)), replace=False).tolist()


def reference(
    own: dict[str, dict[int, float]],
    fusion: str,
    size: int,
    estimated: dict[str, dict[int, int]] | None = None,
) -> list[int]:
    """Ids, best first, from scores per lane: ranks, fusion and ties by the rules in words.

    `estimated`: the ranks of dense lanes, where these are not places in the pool.
    """
    ranks: dict[str, dict[int, int]] = {}
    for name, scores in own.items():
        if name in ("speech", "name"):
            ranks[name] = {i: sum(o >= s for o in scores.values()) for i, s in scores.items()}
        elif estimated is not None:
            ranks[name] = estimated[name]
        else:
            order = sorted(scores, key=lambda i: (-scores[i], i))
            ranks[name] = {i: n for n, i in enumerate(order, 1)}
    silent = 10**9

    def key(i: int) -> tuple[object, ...]:
        mine = [lane.get(i, silent) for lane in ranks.values()]
        last = (ranks.get("visual", {}).get(i, silent), i)
        if fusion == "mmbf":
            return (sorted(mine), *last)
        if fusion == "rrf":
            return (-round(sum(1 / (60 + rank) for rank in mine if rank != silent), 11), *last)
        return (sum(min(rank, size) for rank in mine), *last)

    return sorted({i for lane in ranks.values() for i in lane}, key=key)


@few
@given(seed=seeds, parts=st.integers(1, 4))
def test_scores_are_those_of_the_scorer(
    seed: int, parts: int, scorer: M2HF, raw_clips: Make, gallery_with: Make, text_of: Make, query_from: Make
) -> None:
    rng = np.random.default_rng(seed)
    clips = raw_clips(rng, range(1, 15))
    gallery, text = gallery_with(rng, clips, parts), text_of(rng)
    scored = score_lanes(gallery, query_from(rng, text), {})
    video = video_features(clips, 3, 5)
    with torch.inference_mode():
        encoded = halved(scorer.encode_video(video))
        expected = scorer.score(text, encoded)
        vectors = scorer.query_vectors(text)
    for branch in (Branch.VISUAL, Branch.AUDIO, Branch.MOTION):
        lane = scored.lanes.get(branch)
        present = encoded.present[branch].numpy()
        if lane is None:
            assert not present.any()
            continue
        assert (~lane.abstain).tolist() == present.tolist()
        np.testing.assert_allclose(lane.scores[present], expected[branch][0].numpy()[present], atol=2e-6)
        found = gallery.encoded.index[branch].scores(vectors[branch][0].numpy())
        plain = (vectors[branch] @ encoded.vectors()[branch].T)[0].numpy()
        np.testing.assert_allclose(found[present], plain[present], atol=2e-3)


@few
@given(seed=seeds, fusion=st.sampled_from(FUSIONS), filtered=st.booleans(), minus=st.booleans())
def test_order_equals_the_reference_for_every_branch_subset(
    seed: int,
    fusion: str,
    filtered: bool,
    minus: bool,
    raw_clips: Make,
    gallery_with: Make,
    text_of: Make,
    query_from: Make,
) -> None:
    rng = np.random.default_rng(seed)
    gallery = gallery_with(rng, raw_clips(rng, range(1, 13)), 2)
    query = query_from(rng, text_of(rng), nouns_of(rng))
    passing = rng.random(12) < 0.6 if filtered else None
    no = query_from(rng, text_of(rng))
    negatives = [EncodedNegative(no, Branch.AUDIO)] if minus else []
    scored = score_lanes(gallery, query, {}, passing)
    unwanted = score_lanes(gallery, no, {}, passing).lanes.get("audio")
    for size in range(1, 5):
        for branches in itertools.combinations(BRANCHES, size):
            step = score_step(gallery, AskedStep(query, {}, negatives), passing)
            hits, _, _ = fuse_steps(gallery, [step], k=12, fusion=fusion, branches=branches)
            inside = np.ones(12, np.bool_) if passing is None else passing
            pushed = set()
            if minus and unwanted is not None and "audio" in scored.lanes:
                worse = (unwanted.scores > scored.lanes["audio"].scores) & ~unwanted.abstain
                pushed = set(gallery.ids[worse].tolist())
            own = {
                name: {
                    clip_id: float(lane.scores[row]) - (100 if clip_id in pushed else 0)
                    for row, clip_id in enumerate(gallery.ids.tolist())
                    if inside[row] and not lane.abstain[row]
                }
                for name, lane in scored.lanes.items()
                if name in branches or (name == "name" and len(branches) == 4)
            }
            order = reference({name: lane for name, lane in own.items() if lane}, fusion, int(inside.sum()))
            order = [i for i in order if i not in pushed] + [i for i in order if i in pushed]
            assert [hit.clip_id for hit in hits] == order


@few
@given(seed=seeds, parts=st.integers(1, 4))
def test_neither_insertion_nor_segments_change_an_answer(
    seed: int, parts: int, raw_clips: Make, gallery_with: Make, text_of: Make, query_from: Make
) -> None:
    clips = raw_clips(np.random.default_rng(seed), range(1, 13))
    shuffled = [clips[i] for i in np.random.default_rng(seed + 1).permutation(12)]
    query = query_from(np.random.default_rng(2), text_of(np.random.default_rng(seed)), ["dog"])

    def hits(own: list[Any], parts: int) -> object:
        gallery = gallery_with(np.random.default_rng(seed), own, parts)
        found = fuse_lanes(gallery, score_lanes(gallery, query, {}), k=12, fusion="mmbf", explain=True)
        return [(hit.clip_id, hit.won_by, hit.without, hit.heard, hit.moved, hit.best_s) for hit in found]

    assert hits(clips, 1) == hits(shuffled, parts)


def test_a_large_gallery_is_scored_from_candidates_and_says_what_lies_beyond(
    monkeypatch: pytest.MonkeyPatch, raw_clips: Make, gallery_with: Make, text_of: Make, query_from: Make
) -> None:
    """A pool that holds everything answers as no pool; a small one holds each lane's best and nothing else."""
    rng = np.random.default_rng(4)
    gallery = gallery_with(rng, raw_clips(rng, range(1, 61)), 3)
    query = query_from(rng, text_of(rng), ["dog"])
    whole = score_lanes(gallery, query, {})
    assert whole.pool is None
    everything = fuse_lanes(gallery, whole, k=60, fusion="mmbf")
    monkeypatch.setattr(lanes_module, "SCORED_WHOLE", 10)
    wide = score_lanes(gallery, query, {}, per_lane=60)
    assert [h.clip_id for h in fuse_lanes(gallery, wide, k=60, fusion="mmbf")] == [
        h.clip_id for h in everything
    ]
    narrow = score_lanes(gallery, query, {}, per_lane=5)
    assert narrow.pool is not None
    assert 5 <= narrow.pool.sum() <= 25
    hits = fuse_lanes(gallery, narrow, k=60, fusion="mmbf")
    assert {hit.clip_id for hit in hits} <= set(gallery.ids[narrow.pool].tolist())
    beyond = f"beyond {narrow.pool.sum()}"
    alone = [hit for hit in hits if beyond in hit.without.values()]
    assert alone, "some clip was brought by one lane alone"
    for hit in alone:
        row = gallery.row_of(hit.clip_id)
        (lane,) = [name for name, place in hit.without.items() if place == beyond]
        assert not any(own[row] for name, own in narrow.brought_by.items() if name != lane)


def places_among_all(
    gallery: Gallery, scored: Scored, lanes: dict[str, dict[int, float]], pushed: set[int]
) -> dict[str, dict[int, int]]:
    """Per dense lane the estimated ranks of the pool's clips, what is pushed behind all that the lane ranks."""
    found: dict[str, dict[int, int]] = {}
    for name in lanes.keys() & {"visual", "audio", "motion"}:
        ids = sorted(lanes[name])
        rows = np.asarray([gallery.row_of(i) for i in ids])
        ranks = scored.everywhere.ranks(name, rows, scored.lanes[name].scores[rows]).tolist()
        plain = dict(zip(ids, ranks, strict=True))
        down = sorted(pushed & plain.keys(), key=plain.get)
        last = int(scored.everywhere.active[name].sum()) - len(down)
        found[name] = {
            i: last + 1 + down.index(i) if i in down else rank - sum(plain[other] < rank for other in down)
            for i, rank in plain.items()
        }
    return found


@few
@given(
    seed=seeds,
    fusion=st.sampled_from(FUSIONS),
    per_lane=st.integers(1, 8),
    filtered=st.booleans(),
    minus=st.booleans(),
)
@example(seed=1, fusion="mean-rank", per_lane=2, filtered=False, minus=True)
def test_a_pool_is_ranked_by_the_rules(
    seed: int, fusion: str, per_lane: int, filtered: bool, minus: bool, raw_clips: Make, gallery_with: Make,
    text_of: Make, query_from: Make,
) -> None:  # fmt: skip
    """Dense branches rank what is in the pool; speech and names, and for mean rank all, rank everything that passes."""
    rng = np.random.default_rng(seed)
    gallery = gallery_with(rng, raw_clips(rng, range(1, 41)), 2)
    query = query_from(rng, text_of(rng), nouns_of(rng))
    passing = rng.random(40) < 0.7 if filtered else None
    said = [EncodedNegative(query_from(rng, text_of(rng), ["dog"]), Branch.SPEECH)] if minus else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lanes_module, "SCORED_WHOLE", 10)
        patch.setattr(lanes_module, "PER_LANE", per_lane)
        patch.setattr(everywhere_module, "DRAWN", 3)
        patch.setattr(everywhere_module, "SPREAD", 4)
        patch.setattr(score_lanes, "__defaults__", (None, None, per_lane, None))
        for_mean = BRANCHES if fusion == "mean-rank" else None
        scored = score_step(gallery, AskedStep(query, {}, said), passing, for_mean=for_mean)
    assert scored.pool is not None
    pool = set(gallery.ids[scored.pool].tolist())
    pushed = set() if scored.pushed is None else set(gallery.ids[scored.pushed].tolist())
    for branches in (BRANCHES, ("speech", "audio"), ("visual",)):
        own = {
            name: {
                clip_id: float(lane.scores[row]) - (100 if clip_id in pushed else 0)
                for row, clip_id in enumerate(gallery.ids.tolist())
                if (passing is None or passing[row]) and not lane.abstain[row]
            }
            for name, lane in scored.lanes.items()
            if name in branches or (name == "name" and len(branches) == 4)
        }
        lanes = {name: lane for name, lane in own.items() if pool & lane.keys()}
        estimated = places_among_all(gallery, scored, lanes, pushed) if fusion == "mean-rank" else None
        among = 40 if passing is None else int(passing.sum())
        order = [i for i in reference(lanes, fusion, among, estimated) if i in pool]
        order = [i for i in order if i not in pushed] + [i for i in order if i in pushed]
        hits, _, _ = fuse_steps(gallery, [scored], k=40, fusion=fusion, branches=branches)
        assert [hit.clip_id for hit in hits] == order
        for hit in hits:
            for name, ranks in (estimated or {}).items():
                own_hit = hit.branches[name]
                assert ranks.get(hit.clip_id) == (own_hit and own_hit.rank)
            if hit.branches["speech"] is not None:
                beaten = sum(o >= own["speech"][hit.clip_id] for o in own["speech"].values())
                assert hit.branches["speech"].rank == beaten


@few
@given(seed=seeds)
def test_heard_and_moved_equal_ranking_with_the_input_completed(
    seed: int, scorer: M2HF, raw_clips: Make, gallery_with: Make, text_of: Make, query_from: Make
) -> None:
    rng = np.random.default_rng(seed)
    clips = raw_clips(rng, range(1, 11))
    gallery, text = gallery_with(rng, clips), text_of(rng)
    hits = fuse_lanes(gallery, score_lanes(gallery, query_from(rng, text), {}), k=10, fusion="mmbf")
    video = video_features(clips, 3, 5)
    with torch.inference_mode():
        plain = scorer.score(text, halved(scorer.encode_video(video)))
        muted = {
            "audio": scorer.score(text, halved(scorer.encode_video(video.without_audio()))),
            "motion": scorer.score(text, halved(scorer.encode_video(video.without_motion()))),
        }
    for hit in hits:
        for branch, said in (("audio", hit.heard), ("motion", hit.moved)):
            own = hit.branches[branch]
            if own is None:
                assert not said
                continue
            there = [
                row for row, clip in enumerate(clips) if (clip.audio if branch == "audio" else clip.motion)
            ]
            row = hit.clip_id - 1
            scores = {other: float(plain[branch][0, other]) for other in there}
            scores[row] = float(muted[branch][branch][0, row])
            rank = 1 + sum(other > scores[row] + 1e-6 for key, other in scores.items() if key != row)
            assert own.completed_rank == rank
            assert said == (rank > own.rank)


@settings(max_examples=5)
@given(seed=seeds)
def test_threads_do_not_change_an_answer(
    seed: int, raw_clips: Make, gallery_with: Make, text_of: Make, query_from: Make
) -> None:
    rng = np.random.default_rng(seed)
    gallery = gallery_with(rng, raw_clips(rng, range(1, 101)), 3)
    query = query_from(rng, text_of(rng), ["dog"])
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(lanes_module, "SCORED_WHOLE", 10)
                scored = score_lanes(gallery, query, {}, per_lane=15)
            found.append(fuse_lanes(gallery, scored, k=100, fusion="rrf", explain=True))
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


def test_the_receipt_shows_the_scorers_own_alignment(
    scorer: M2HF, raw_clips: Make, gallery_with: Make, text_of: Make, query_from: Make
) -> None:
    rng = np.random.default_rng(8)
    clips = raw_clips(rng, range(1, 6))
    gallery, text = gallery_with(rng, clips), text_of(rng)
    query = query_from(rng, text)
    with torch.inference_mode():
        encoded = halved(scorer.encode_video(video_features(clips, 3, 5)))
        aligned = scorer.align(text, encoded)
    hits = fuse_lanes(gallery, score_lanes(gallery, query, {}), k=5, fusion="mmbf", explain=True)
    assert len(hits) == 5
    for hit in hits:
        row, times = hit.clip_id - 1, gallery.encoded.times(hit.clip_id - 1)
        for branch, found in aligned.items():
            own = [entry for entry in hit.alignment if entry.branch == branch]
            if hit.branches[branch] is None:
                assert not own
                continue
            assert hit.branches[branch].best_s == times[int(found.best_frame[row])]
            assert [entry.time_s for entry in own] == times[found.frame[row].numpy()].tolist()
            np.testing.assert_allclose([entry.weight for entry in own], found.weight.numpy(), atol=1e-6)
            assert [entry.word for entry in own] == [*(f"w{n}" for n in range(1, len(own))), "words"]
    strips = timeline(gallery, [0], query)
    np.testing.assert_allclose(
        [score for _, score in strips["visual"]],
        gallery.encoded.frames(0, "visual") @ query.dense["visual"].vector,
    )


def test_a_branch_without_words_or_input_abstains(
    raw_clips: Make, gallery_with: Make, text_of: Make, query_from: Make
) -> None:
    rng = np.random.default_rng(1)
    clips = [type(c)(c.clip_id, c.mark, c.frames, None, c.motion) for c in raw_clips(rng, range(1, 6))]
    gallery, query = gallery_with(rng, clips), query_from(rng, text_of(rng))
    scored = score_lanes(gallery, query, {})
    assert "sound" in scored.abstained["audio"]
    only = EncodedQuery("words", None, frozenset(), frozenset(), {"motion": query.dense["motion"]})
    scored = score_lanes(gallery, only, {"visual": "no words"})
    assert scored.abstained["visual"] == "no words"
    assert set(scored.lanes) == {"motion"}


@few
@given(seed=seeds, known_to_new=st.integers(1, 10))
def test_two_models_are_searched_together_by_rank(
    seed: int, known_to_new: int, raw_clips: Make, gallery_with: Make, text_of: Make, query_from: Make
) -> None:
    """While models change, a clip scores by its place among the clips of its own models; every clip is found."""
    rng = np.random.default_rng(seed)
    clips = raw_clips(rng, range(1, 13))
    new = gallery_with(rng, clips)
    query, other = query_from(rng, text_of(rng)), query_from(rng, text_of(rng))
    own, former = (
        EncodedClips(new.ids, [Segment("s", new.encoded.segments[0].arrays, alive)], DENSE_NAMES, False)
        for alive in (np.arange(12) < known_to_new, np.arange(12) >= known_to_new)
    )
    gallery = Gallery(new.clips, own, new.lines, new.names, former)
    both = replace(query, former=other.dense)
    lane = score_lanes(gallery, both, {}).lanes["visual"]
    assert not lane.abstain.any()
    for rows, asked in ((slice(0, known_to_new), query), (slice(known_to_new, 12), other)):
        alone = score_lanes(new, asked, {}).lanes["visual"].scores[rows]
        n = len(alone)
        places = [1 + sum(o > score for o in alone) for score in alone]
        np.testing.assert_allclose(lane.scores[rows], [1 - (place - 0.5) / n for place in places], atol=1e-6)
    hits = fuse_lanes(gallery, score_lanes(gallery, both, {}), k=12, fusion="mmbf", explain=True)
    assert {hit.clip_id for hit in hits} == set(range(1, 13))
    assert not any(hit.heard or hit.moved for hit in hits), "nothing is claimed across models"
    assert all(hit.alignment for hit in hits)
