"""Minus, filters, exact words and moments that follow each other equal a plain reading of their rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m2hf_core.model.fusion import RRF_K
from m2hf_core.records import BRANCHES, FUSIONS, NAME_LANE, Branch, SearchHit
from m2hf_core.search.asked import AskedStep, EncodedNegative, fuse_steps, score_step
from m2hf_core.search.gallery import Gallery, GalleryClip, SpokenLine, build_gallery
from m2hf_core.search.lanes import EncodedQuery, score_lanes, unit_vector
from m2hf_core.search.narrow import ExactRows, filter_notes, filter_rows
from m2hf_core.text.query import parse_query

WIDTH = 4
COUNT = 12
WORDS = ("dog", "sea", "bread", "engine")
LANES = ("visual", "speech", "name")
few = settings(max_examples=40)
seeds, fusions = st.integers(0, 10_000), st.sampled_from(FUSIONS)


def gallery_of(rng: np.random.Generator) -> Gallery:
    """Three videos of four clips; some clips are not seen, some silent, some files named after a word."""
    clips, frames, lines, names = [], [], [], []
    for n in range(COUNT):
        clips.append(GalleryClip(n + 1, n // 4, Path(f"/v/{n // 4}.mp4"), n % 4 * 5.0, n % 4 * 5.0 + 5))
        seen = rng.normal(size=(2, WIDTH)).astype(np.float32)
        frames.append((seen, np.arange(2.0)) if rng.random() < 0.8 else None)
        said = frozenset(rng.choice(WORDS, int(rng.integers(0, 3)), replace=False).tolist())
        lines.append((SpokenLine(0.0, said),) if said else ())
        names.append(frozenset(rng.choice(WORDS, int(rng.integers(0, 2)), replace=False).tolist()))
    return build_gallery(clips, frames, lines, names)


def query_of(rng: np.random.Generator, most: int = 3) -> EncodedQuery:
    nouns = frozenset(rng.choice(WORDS, int(rng.integers(1, most + 1)), replace=False).tolist())
    return EncodedQuery("words", unit_vector(rng.normal(size=WIDTH).astype(np.float32)), nouns, nouns)


def search(
    gallery: Gallery, *steps: AskedStep, passing: np.ndarray | None = None, fusion: str = "mmbf"
) -> tuple[SearchHit, ...]:
    scored = [score_step(gallery, step, passing) for step in steps]
    return fuse_steps(gallery, scored, k=COUNT, fusion=fusion, branches=BRANCHES)[0]


def plain_pushed(gallery: Gallery, query: EncodedQuery, no: EncodedQuery, branch: Branch | None) -> set[int]:
    pushed = set()
    for row in range(COUNT):
        seen = gallery.frames[row]
        mean = None if seen is None else seen.mean(axis=0)
        if branch in (None, "visual") and mean is not None and mean @ no.visual > mean @ query.visual:
            pushed.add(row)
        if branch in (None, "speech") and no.nouns <= gallery.nouns[row]:
            pushed.add(row)
        if branch is None and no.words <= gallery.names[row]:
            pushed.add(row)
    return pushed


def plain_order(
    gallery: Gallery,
    query: EncodedQuery,
    fusion: str,
    lanes: tuple[str, ...] = LANES,
    pushed: frozenset[int] | set[int] = frozenset(),
    pool: set[int] | None = None,
) -> tuple[list[int], dict[str, dict[int, int]]]:
    """(rows, best first; lane -> row -> rank): each lane ranks (not pushed, score), and so does the list."""
    pool = set(range(COUNT)) if pool is None else pool
    scored = score_lanes(gallery, query, {})
    ranks: dict[str, dict[int, int]] = {}
    for name in lanes:
        if name not in scored.lanes:
            continue
        lane = scored.lanes[name]
        keys = {row: (row not in pushed, float(lane.scores[row])) for row in pool if not lane.abstain[row]}
        if name == "visual":
            order = sorted(keys, key=lambda row: (-keys[row][0], -keys[row][1], row))
            ranks[name] = {row: n for n, row in enumerate(order, 1)}
        else:
            ranks[name] = {row: sum(other >= key for other in keys.values()) for row, key in keys.items()}
    silent = 10**9

    def key(row: int) -> tuple[object, ...]:
        mine = [own.get(row, silent) for own in ranks.values() if own]
        last = (row in pushed, ranks.get("visual", {}).get(row, silent), row)
        if fusion == "mmbf":
            first: object = sorted(mine)
        elif fusion == "rrf":
            first = -round(sum(1 / (RRF_K + rank) for rank in mine if rank != silent), 11)
        else:
            first = sum(len(pool) if rank == silent else rank for rank in mine)
        return (last[0], first, *last[1:])

    return sorted({row for own in ranks.values() for row in own}, key=key), ranks


def assert_equal(hits: tuple[SearchHit, ...], order: Callable[..., tuple[list[int], dict]]) -> None:
    """Places, lane ranks and every `without` are those of the plain order."""
    rows, ranks = order()
    assert [hit.clip_id - 1 for hit in hits] == rows
    assert [hit.rank for hit in hits] == list(range(1, len(rows) + 1))
    for row, hit in zip(rows, hits, strict=True):
        for name, own in ranks.items():
            found = hit.branches.get(name)
            assert (found.rank if found else None) == own.get(row)
        for name, place in hit.without.items():
            again = order(lanes=tuple(lane for lane in LANES if lane != name))[0]
            if row in again:
                assert place == again.index(row) + 1
            else:
                assert str(place).startswith("beyond")


@few
@given(seed=seeds, fusion=fusions, branch=st.sampled_from((None, Branch.VISUAL, Branch.SPEECH)))
def test_minus_pushes_behind_all_others_and_takes_nothing_away(
    seed: int, fusion: str, branch: Branch | None
) -> None:
    rng = np.random.default_rng(seed)
    gallery, query, no = gallery_of(rng), query_of(rng), query_of(rng, 1)
    hits = search(gallery, AskedStep(query, {}, [EncodedNegative(no, branch)]), fusion=fusion)
    without_minus = search(gallery, AskedStep(query, {}), fusion=fusion)
    assert {hit.clip_id for hit in hits} == {hit.clip_id for hit in without_minus}
    pushed = plain_pushed(gallery, query, no, branch)
    places = [hit.clip_id - 1 in pushed for hit in hits]
    assert places == sorted(places)
    assert_equal(hits, lambda lanes=LANES: plain_order(gallery, query, fusion, lanes, pushed))


def test_minus_holds_where_only_the_pushed_clip_is_spoken_of() -> None:
    """A clip alone in its lane is first in it, and yet comes last."""
    frames = np.eye(WIDTH, dtype=np.float32)
    clips = [GalleryClip(n, n, Path(f"/{n}.mp4"), 0.0, 5.0) for n in range(3)]
    said = [(SpokenLine(0.0, frozenset({"dog", "cat"})),), (), ()]
    gallery = build_gallery(clips, [(frames[[n]], np.zeros(1)) for n in range(3)], said, [frozenset()] * 3)
    query = EncodedQuery("dog", frames[2], frozenset({"dog"}), frozenset())
    cat = EncodedNegative(EncodedQuery("cat", None, frozenset({"cat"}), frozenset()))
    assert search(gallery, AskedStep(query, {}))[0].clip_id == 0
    hits = search(gallery, AskedStep(query, {}, [cat]))
    assert [hit.clip_id for hit in hits] == [2, 1, 0]
    assert hits[2].without == {"visual": 1, "speech": 3}


@few
@given(seed=seeds, fusion=fusions)
def test_a_smaller_pool_is_ranked_as_if_nothing_else_were_there(seed: int, fusion: str) -> None:
    rng = np.random.default_rng(seed)
    gallery, query = gallery_of(rng), query_of(rng)
    passing = rng.random(COUNT) < 0.6
    pool = set(np.flatnonzero(passing).tolist())
    hits = search(gallery, AskedStep(query, {}), passing=passing, fusion=fusion)
    assert_equal(hits, lambda lanes=LANES: plain_order(gallery, query, fusion, lanes, pool=pool))


@few
@given(seed=seeds, fusion=fusions)
def test_what_follows_equals_trying_every_pair(seed: int, fusion: str) -> None:
    rng = np.random.default_rng(seed)
    gallery, first, second = gallery_of(rng), query_of(rng), query_of(rng)

    def order(lanes: tuple[str, ...] = LANES) -> tuple[list[int], dict[str, dict[int, int]]]:
        own, ranks = plain_order(gallery, first, fusion, lanes)
        then, _ = plain_order(gallery, second, fusion, lanes)
        costs = {}
        for a, row in enumerate(own):
            here = gallery.clips[row]
            later = [
                a + b
                for b, other in enumerate(then)
                if gallery.clips[other].video_id == here.video_id
                and gallery.clips[other].start_s > here.start_s
            ]
            if later:
                costs[row] = (min(later), a)
        return sorted(costs, key=costs.__getitem__), ranks

    assert_equal(search(gallery, AskedStep(first, {}), AskedStep(second, {}), fusion=fusion), order)


def test_three_moments_in_a_row_say_when_they_follow() -> None:
    frames = np.eye(WIDTH, dtype=np.float32)
    clips = [GalleryClip(n, 1, Path("/a.mp4"), n * 5.0, n * 5.0 + 5) for n in range(3)]
    gallery = build_gallery(
        clips, [(frames[[n]], np.zeros(1)) for n in range(3)], [()] * 3, [frozenset()] * 3
    )
    steps = [AskedStep(EncodedQuery("x", frames[n], frozenset(), frozenset()), {}) for n in range(3)]
    scored = [score_step(gallery, step, None) for step in steps]
    hits, _, notes = fuse_steps(gallery, scored, k=3, fusion="mmbf", branches=BRANCHES)
    assert [hit.start_s for hit in hits] == [0.0]
    assert notes == ["Hit 1 is followed at 5 s, then 10 s."]
    backwards = fuse_steps(gallery, scored[::-1], k=3, fusion="mmbf", branches=BRANCHES)
    assert [hit.start_s for hit in backwards[0]] == [0.0], "only the first clip has two others after it"


@few
@given(seed=seeds)
def test_exact_words_stay_alone_and_score_full(seed: int) -> None:
    rng = np.random.default_rng(seed)
    gallery, query = gallery_of(rng), query_of(rng)
    spoken, named, captioned = (rng.random(COUNT) < 0.3 for _ in range(3))
    holding = spoken | named | captioned
    exact = ExactRows(holding, spoken, named, dict.fromkeys(np.flatnonzero(spoken).tolist(), 1.5))
    for hit in search(gallery, AskedStep(query, {}, exact=exact)):
        row = hit.clip_id - 1
        assert holding[row]
        if spoken[row]:
            assert (hit.branches["speech"].score, hit.branches["speech"].best_s) == (1.0, 1.5)
        if named[row]:
            assert hit.branches["name"].score == 1.0
    nothing = EncodedQuery("", None, frozenset(), frozenset())
    alone = search(gallery, AskedStep(nothing, {}, exact=exact))
    assert {hit.clip_id - 1 for hit in alone} == set(np.flatnonzero(spoken | named).tolist())
    assert {lane for hit in alone for lane in hit.won_by} <= {"speech", NAME_LANE}


DAYS = (None, date(2023, 5, 1), date(2024, 2, 29))
CLIPS = st.builds(
    GalleryClip,
    clip_id=st.just(1),
    video_id=st.just(1),
    path=st.sampled_from(
        [Path("/v/Holidays/a.MP4"), Path("/v/My holidays/b.mkv"), Path("/v/2023/Lake/c.mp4")]
    ),
    start_s=st.just(0.0),
    end_s=st.just(5.0),
    duration_s=st.sampled_from([None, 20.0, 60.0, 4000.0]),
    modified=st.sampled_from(DAYS),
    has_sound=st.sampled_from([None, False, True]),
    has_speech=st.booleans(),
)
FILTERS: dict[str, Callable[[GalleryClip], bool]] = {
    "in:holidays": lambda c: c.path.parts[-2] == "Holidays",
    "in:2023/lake/": lambda c: c.path.name == "c.mp4",
    "type:mp4": lambda c: c.path.name != "b.mkv",
    "type:.MKV,avi": lambda c: c.path.name == "b.mkv",
    "before:2024": lambda c: c.modified == DAYS[1],
    "after:2024-01": lambda c: c.modified == DAYS[2],
    "longer:20s": lambda c: c.duration_s in (60, 4000),
    "shorter:1h": lambda c: c.duration_s in (20, 60),
    "has:speech": lambda c: c.has_speech,
    "has:audio": lambda c: c.has_sound is True,
}


@given(clips=st.lists(CLIPS, min_size=1, max_size=8), typed=st.sets(st.sampled_from(sorted(FILTERS))))
def test_filters_equal_a_plain_reading(clips: list[GalleryClip], typed: set[str]) -> None:
    clips = [replace(clip, clip_id=n, video_id=n) for n, clip in enumerate(clips)]
    gallery = build_gallery(clips, [None] * len(clips), [()] * len(clips), [frozenset()] * len(clips))
    filters = parse_query(" ".join(sorted(typed))).filters
    found = filter_rows(gallery, filters)
    if not typed:
        assert found is None
        return
    kinds: dict[str, list[str]] = {}
    for text in typed:
        widening = text.partition(":")[0] in ("in", "type")
        kinds.setdefault(text.partition(":")[0] if widening else text, []).append(text)
    expected = [all(any(FILTERS[text](clip) for text in same) for same in kinds.values()) for clip in clips]
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("in:nowhere", "No video lies in a folder called “nowhere”."),
        ("type:foo", "No video is of type “foo”."),
        ("before:1900", "No video passes the filters."),
    ],
)
def test_filters_that_leave_nothing_say_why(typed: str, said: str) -> None:
    gallery = build_gallery(
        [GalleryClip(1, 1, Path("/v/a.mp4"), 0.0, 1.0)], [None], [()], [frozenset({"dog"})]
    )
    filters = parse_query(typed).filters
    assert filter_notes(gallery, filters) == [said]
    nothing = filter_rows(gallery, filters)
    query = EncodedQuery("dog", None, frozenset({"dog"}), frozenset({"dog"}))
    assert search(gallery, AskedStep(query, {}), passing=nothing) == ()
    assert search(gallery, AskedStep(query, {}), AskedStep(query, {}), passing=nothing) == ()
