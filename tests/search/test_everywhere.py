"""Mean rank from a pool: ranks are those among all clips that pass, counted where they can be, else estimated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m2hf_core.model.ranks import ABSTAINED
from m2hf_core.progress import Progress
from m2hf_core.records import BRANCHES, SearchHit
from m2hf_core.search import everywhere as module
from m2hf_core.search import lanes as lanes_module
from m2hf_core.search.bench_world import World, make_gallery, make_queries
from m2hf_core.search.encoded import EncodedClips
from m2hf_core.search.engine import fuse_lanes
from m2hf_core.search.everywhere import Everywhere, draw_for_mean
from m2hf_core.search.gallery import Gallery
from m2hf_core.search.lanes import EncodedQuery, score_lanes
from m2hf_core.search.order import behind

Make = Callable[..., Any]
CLIPS = 4000


@pytest.fixture
def small_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "SCORED_WHOLE", 10)
    monkeypatch.setattr(module, "DRAWN", 8)
    monkeypatch.setattr(module, "SPREAD", 12)


def drawn_from(said: np.ndarray, active: np.ndarray | None = None) -> Everywhere:
    active = np.ones(len(said), np.bool_) if active is None else active
    return draw_for_mean({"visual": said}, {"visual": active}, [], np.ones(len(said), np.bool_), ["visual"])


def true_ranks(exact: np.ndarray) -> np.ndarray:
    return np.asarray([1 + int((exact > score).sum()) for score in exact])


@pytest.mark.parametrize(("noise", "allowed"), [(0.0, 0.04), (0.4, 0.15)])
def test_ranks_outside_the_pool_are_estimated(noise: float, allowed: float) -> None:
    rng = np.random.default_rng(7)
    said = rng.normal(size=CLIPS).astype(np.float32)
    exact = (2 + 3 * said + 0.2 * said**2 + 3 * noise * rng.normal(size=CLIPS)).astype(np.float32)
    found = drawn_from(said)
    rows = found.drawn
    assert len(rows) < 600
    ranks, true = found.ranks("visual", rows, exact[rows]), true_ranks(exact)[rows]
    by_score = np.argsort(-exact[rows], kind="stable")
    assert (np.diff(ranks[by_score]) > 0).all(), "a better score never stands behind a worse one"
    places = np.argsort(np.argsort(-exact[rows])) + 1
    far = true > 600
    assert far.sum() > 50

    def off(guess: np.ndarray) -> float:
        return float(np.median(np.abs(np.log(guess / true))[far]))

    assert off(ranks) < allowed
    assert off(places) > 4 * allowed, "what places in the pool would give"


def test_clips_that_the_lane_cannot_rank_are_ahead_of_nobody() -> None:
    rng = np.random.default_rng(3)
    said = rng.normal(size=CLIPS).astype(np.float32)
    active = rng.random(CLIPS) < 0.3
    found = drawn_from(said, active)
    rows = found.drawn[active[found.drawn]]
    worst = found.ranks("visual", rows, said[rows]).max()
    assert abs(worst - active.sum()) < 0.02 * active.sum()


@pytest.mark.parametrize("apart", [0.0, 1e-7])
def test_scores_that_are_all_one_tell_nobody_apart(apart: float) -> None:
    """Every clip outside is as likely ahead as behind, whatever the vectors say."""
    rng = np.random.default_rng(3)
    said = rng.normal(size=CLIPS).astype(np.float32)
    found = drawn_from(said)
    exact = np.full(CLIPS, 0.3, np.float32) + (apart * rng.random(CLIPS)).astype(np.float32)
    ranks = found.ranks("visual", found.drawn, exact[found.drawn])
    ahead = np.sort(ranks) - np.arange(1, len(ranks) + 1)
    outside = CLIPS - len(found.drawn)
    assert (np.abs(ahead / outside - 0.5) < 0.1).all()


@given(
    scores=st.lists(st.integers(0, 5), min_size=1, max_size=20),
    seed=st.integers(0, 1000),
)
def test_pushed_clips_stand_behind_all_that_a_lane_ranks(scores: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    exact = np.asarray(scores, np.float32)
    silent, pushed = rng.random(len(scores)) < 0.2, rng.random(len(scores)) < 0.4
    taking = [n for n in range(len(scores)) if not silent[n]]
    ranks = np.full(len(scores), ABSTAINED, np.int32)
    for place, n in enumerate(sorted(taking, key=lambda n: (-exact[n], n)), 1):
        ranks[n] = place
    expected = np.full(len(scores), ABSTAINED, np.int64)
    for place, n in enumerate(sorted(taking, key=lambda n: (pushed[n], -exact[n], n)), 1):
        expected[n] = place
    assert behind(ranks, pushed, len(taking)).tolist() == expected.tolist()


def test_the_answer_is_that_of_an_exhaustive_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRAWN", 100)
    monkeypatch.setattr(module, "SPREAD", 60)
    world = World.draw(900, 5)
    gallery = make_gallery(world, 900, tmp_path, Progress())
    kept = []
    for query in make_queries(world, gallery, 6):
        whole = score_lanes(gallery, query, {}, per_lane=900, for_mean=BRANCHES)
        truth = [hit.clip_id for hit in fuse_lanes(gallery, whole, k=10, fusion="mean-rank")]
        scored = score_lanes(gallery, query, {}, per_lane=20, for_mean=BRANCHES)
        assert scored.pool is not None
        assert scored.pool.sum() < 350
        hits = fuse_lanes(gallery, scored, k=10, fusion="mean-rank")
        kept.append(len({hit.clip_id for hit in hits} & set(truth)) / 10)
        assert [hit.rank for hit in hits] == list(range(1, 11))
    assert np.mean(kept) >= 0.9


def told(hits: tuple[SearchHit, ...]) -> list[object]:
    """All but scores, whose last bits depend on what they are calculated beside."""
    return [
        (
            hit.clip_id,
            {name: own and (own.rank, own.completed_rank, own.best_s) for name, own in hit.branches.items()},
            hit.won_by,
            hit.heard,
            hit.moved,
        )
        for hit in hits
    ]


def test_a_completed_rank_is_estimated_among_all_clips(
    small_pool: None, raw_clips: Make, gallery_with: Make, text_of: Make, query_from: Make
) -> None:
    """As if the clip had the other score and everything else were as it is, clips outside the pool included."""
    rng = np.random.default_rng(4)
    gallery = gallery_with(rng, raw_clips(rng, range(1, 301)))
    query = query_from(rng, text_of(rng), ["dog"])
    scored = score_lanes(gallery, query, {}, per_lane=5, for_mean=BRANCHES)
    own, drawn = scored.everywhere, scored.pool
    assert own is not None
    assert drawn is not None
    past_outside = 0
    for hit in fuse_lanes(gallery, scored, k=60, fusion="mean-rank"):
        for branch in ("audio", "motion"):
            row, found = gallery.row_of(hit.clip_id), hit.branches[branch]
            if found is None or row in own.spread:
                continue
            rows = np.flatnonzero(drawn & own.active[branch])
            exact = scored.lanes[branch].scores[rows].copy()
            muted = gallery.encoded.score(branch, query.dense[branch], np.asarray([row]), "muted")[0]
            if not exact.min() < muted < exact.max() or found.score in (exact.min(), exact.max()):
                continue  # the ends between which ranks are estimated stay as they are
            places = int((exact > muted).sum() - (found.score > muted)) + 1
            exact[rows == row] = muted
            expected = own.ranks(branch, rows, exact)[rows == row][0]
            assert abs(found.completed_rank - expected) <= 2
            past_outside += expected > places + 20
    assert past_outside > 10


def test_a_pool_that_holds_everything_answers_as_the_whole_gallery(
    monkeypatch: pytest.MonkeyPatch, raw_clips: Make, gallery_with: Make, text_of: Make, query_from: Make
) -> None:
    rng = np.random.default_rng(4)
    gallery = gallery_with(rng, raw_clips(rng, range(1, 61)), 3)
    query = query_from(rng, text_of(rng), ["dog"])
    whole = fuse_lanes(gallery, score_lanes(gallery, query, {}), k=60, fusion="mean-rank")
    monkeypatch.setattr(lanes_module, "SCORED_WHOLE", 10)
    scored = score_lanes(gallery, query, {}, per_lane=5, for_mean=BRANCHES)
    assert scored.everywhere is not None
    assert told(fuse_lanes(gallery, scored, k=60, fusion="mean-rank")) == told(whole)


@settings(max_examples=5)
@given(seed=st.integers(0, 10_000), parts=st.integers(1, 4), filtered=st.booleans())
def test_neither_insertion_nor_what_was_deleted_changes_an_answer(
    seed: int,
    parts: int,
    filtered: bool,
    raw_clips: Make,
    gallery_with: Make,
    text_of: Make,
    query_from: Make,
) -> None:
    clips = raw_clips(np.random.default_rng(seed), range(1, 51))
    query = query_from(np.random.default_rng(2), text_of(np.random.default_rng(seed)), ["dog"])
    passing = np.random.default_rng(seed).random(40) < 0.8 if filtered else None

    def answer(gallery: Gallery) -> list[object]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lanes_module, "SCORED_WHOLE", 10)
            patch.setattr(module, "DRAWN", 6)
            patch.setattr(module, "SPREAD", 8)
            scored = score_lanes(gallery, query, {}, passing, per_lane=4, for_mean=BRANCHES)
            assert scored.pool is not None
            assert scored.pool.sum() < 40
            return told(fuse_lanes(gallery, scored, k=20, fusion="mean-rank"))

    own = clips[:40]
    plain = gallery_with(np.random.default_rng(seed), own)
    shuffled = [own[i] for i in np.random.default_rng(seed + 1).permutation(40)]
    inserted = gallery_with(np.random.default_rng(seed), shuffled, parts)
    more = gallery_with(np.random.default_rng(seed), clips, parts).encoded.segments
    left = EncodedClips(plain.ids, more, BRANCHES[:3], pooled_is_score=False)
    deleted = Gallery(plain.clips, left, plain.lines, plain.names)
    assert answer(plain) == answer(inserted) == answer(deleted)


def test_scores_for_another_fusion_are_refused(
    small_pool: None, raw_clips: Make, gallery_with: Make, text_of: Make, query_from: Make
) -> None:
    rng = np.random.default_rng(4)
    gallery = gallery_with(rng, raw_clips(rng, range(1, 61)))
    query = query_from(rng, text_of(rng))
    scored = score_lanes(gallery, query, {}, per_lane=5)
    with pytest.raises(ValueError, match="another fusion"):
        fuse_lanes(gallery, scored, k=5, fusion="mean-rank")


@pytest.mark.parametrize("filtered", [False, True])
def test_clips_without_a_dense_lane_are_ranked_by_what_is_said(
    filtered: bool, small_pool: None, raw_clips: Make, gallery_with: Make, text_of: Make, query_from: Make
) -> None:
    """In the order of the same ranks among all that pass, though few of these are candidates."""
    rng = np.random.default_rng(4)
    gallery = gallery_with(rng, raw_clips(rng, range(1, 61)))
    asked = query_from(rng, text_of(rng), ["dog"])
    query: EncodedQuery = replace(asked, dense={}, visual=None)
    passing = (np.arange(60) != 6) & (np.arange(60) // 20 != 1) if filtered else None
    scored = score_lanes(gallery, query, {}, passing, per_lane=2, for_mean=BRANCHES)
    hits = fuse_lanes(gallery, scored, k=60, fusion="mean-rank")
    rows = [row for row in range(60) if passing is None or passing[row]]
    spoken = {row: 1 / len(gallery.nouns[row]) for row in rows if "dog" in gallery.nouns[row]}
    named = {row: 1.0 for row in rows if "dog" in gallery.names[row]}

    def cost(row: int) -> int:
        return sum(
            sum(other >= lane[row] for other in lane.values()) if row in lane else len(rows)
            for lane in (spoken, named)
        )

    found = [gallery.row_of(hit.clip_id) for hit in hits]
    assert found == sorted(np.flatnonzero(scored.pool).tolist(), key=lambda row: (cost(row), row))
    assert found != sorted(found), "as they would stand if all these ranks were beyond the pool's size"
