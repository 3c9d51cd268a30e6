"""The engine's order equals a plain reading of the rules, for every set of branches and every fusion."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from m2hf_core.model.config import M2HFConfig, build_scorer
from m2hf_core.model.inputs import TextFeatures, VideoFeatures
from m2hf_core.records import BRANCHES, FUSIONS, Branch, Fusion, SearchHit
from m2hf_core.search.engine import fuse_lanes
from m2hf_core.search.gallery import Gallery, GalleryClip, SpokenLine, build_gallery
from m2hf_core.search.lanes import EncodedQuery, score_lanes, unit_vector

WIDTH = 4
WORDS = ("dog", "sea", "bread", "engine", "song")
Row = tuple[
    GalleryClip,
    tuple[np.ndarray, np.ndarray] | None,  # frames and their times
    tuple[SpokenLine, ...],
    frozenset[str],  # words of the name
]


def rows_of(rng: np.random.Generator, count: int) -> list[Row]:
    rows: list[Row] = []
    for clip_id in range(1, count + 1):
        frames = None
        if rng.random() < 0.8:
            values = rng.normal(size=(int(rng.integers(1, 13)), WIDTH)).astype(np.float32)
            frames = (values, np.arange(len(values)) + 0.5)
        said = tuple(
            SpokenLine(
                float(start), frozenset(rng.choice(WORDS, int(rng.integers(0, 3)), replace=False).tolist())
            )
            for start in range(int(rng.integers(0, 3)))
        )
        name = frozenset(rng.choice(WORDS, int(rng.integers(0, 2)), replace=False).tolist())
        rows.append((GalleryClip(clip_id, clip_id, Path(f"/v/{clip_id}.mp4"), 0.0, 12.0), frames, said, name))
    return rows


def gallery_from(rows: Sequence[Row]) -> Gallery:
    clips, frames, lines, names = (list(column) for column in zip(*rows, strict=True))
    return build_gallery(clips, frames, lines, names)


def gallery_of(rng: np.random.Generator, count: int, shuffle: bool = False) -> Gallery:
    rows = rows_of(rng, count)
    return gallery_from([rows[i] for i in rng.permutation(count)] if shuffle else rows)


def query_of(rng: np.random.Generator) -> EncodedQuery:
    nouns = frozenset(rng.choice(WORDS, int(rng.integers(0, 4)), replace=False).tolist())
    return EncodedQuery("words", unit_vector(rng.normal(size=WIDTH).astype(np.float32)), nouns, nouns)


def search(
    gallery: Gallery, query: EncodedQuery, k: int = 12, fusion: Fusion = "mmbf", explain: bool = False
) -> tuple[SearchHit, ...]:
    return fuse_lanes(gallery, score_lanes(gallery, query, {}), k=k, fusion=fusion, explain=explain)


def plain_order(
    rows: Sequence[Row], query: EncodedQuery, branches: tuple[str, ...], fusion: str
) -> list[int]:
    """Clip ids, best first, from the rules in words: no arrays, no shortcuts.

    Sight is taken from the frames as they were given. The gallery keeps frames in float16, to point at moments and to
    meet words; the score before training comes from its pooled float32 vectors, which were made before that rounding.
    """
    lanes: dict[str, dict[int, float]] = {"visual": {}, "speech": {}, "name": {}}
    for clip, seen, lines, named in rows:
        if seen is not None:
            unit = seen[0] / np.linalg.norm(seen[0], axis=1, keepdims=True)
            lanes["visual"][clip.clip_id] = float(np.float32(unit.mean(axis=0) @ query.visual))
        spoken = {noun for line in lines for noun in line.nouns}
        if spoken & query.nouns:
            lanes["speech"][clip.clip_id] = len(spoken & query.nouns) / len(spoken | query.nouns)
        if named & query.words:
            lanes["name"][clip.clip_id] = len(named & query.words) / len(query.words)
    lanes = {
        name: own
        for name, own in lanes.items()
        if own and (name in branches or (name == "name" and len(branches) == 4))
    }
    ranks: dict[str, dict[int, int]] = {}
    for name, own in lanes.items():
        if name == "visual":
            ranks[name] = {i: 1 + n for n, i in enumerate(sorted(own, key=lambda i: (-own[i], i)))}
        else:
            ranks[name] = {i: sum(other >= score for other in own.values()) for i, score in own.items()}
    ranked = {i for own in ranks.values() for i in own}
    silent, size = float("inf"), len(rows)

    def key(i: int) -> tuple[object, ...]:
        mine = [own.get(i, silent) for own in ranks.values()]
        last = (-lanes.get("visual", {}).get(i, -silent), i)
        if fusion == "mmbf":
            return (sorted(mine), *last)
        if fusion == "rrf":
            return (-round(sum(1 / (60 + rank) for rank in mine if rank != silent), 11), *last)
        return (sum(min(rank, size) if rank != silent else size for rank in mine), *last)

    return sorted(ranked, key=key)


@given(seed=st.integers(0, 10_000), count=st.integers(1, 14), fusion=st.sampled_from(FUSIONS))
@example(
    seed=266, count=10, fusion="mmbf"
)  # two clips whose scores float16 frames would put the other way round
def test_order_equals_the_plain_rules(seed: int, count: int, fusion: str) -> None:
    rng = np.random.default_rng(seed)
    rows = rows_of(rng, count)
    gallery, query = gallery_from(rows), query_of(rng)
    scored = score_lanes(gallery, query, {})
    for size in range(len(BRANCHES) + 1):
        for branches in itertools.combinations(BRANCHES, size):
            hits = fuse_lanes(gallery, scored, k=count, fusion=fusion, branches=branches)
            assert [hit.clip_id for hit in hits] == plain_order(rows, query, branches, fusion)
            assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))


@given(seed=st.integers(0, 10_000))
def test_the_order_of_insertion_does_not_matter(seed: int) -> None:
    def hits(shuffle: bool) -> object:
        gallery = gallery_of(np.random.default_rng(seed), 12, shuffle)
        query = query_of(np.random.default_rng(seed + 1))
        return search(gallery, query, explain=True)

    assert hits(False) == hits(True)


@given(seed=st.integers(0, 10_000), k=st.integers(1, 12))
def test_fewer_hits_are_the_first_of_more(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    gallery, query = gallery_of(rng, 12), query_of(rng)
    few = search(gallery, query, k)
    assert few == search(gallery, query)[:k]


def test_the_visual_lane_is_the_untrained_scorer() -> None:
    """One pooled vector per clip gives the scores of the four-branch model before any training."""
    rng = np.random.default_rng(3)
    frames = rng.normal(size=(5, 7, WIDTH)).astype(np.float32)
    clips = [GalleryClip(i, i, Path(f"/{i}.mp4"), 0.0, 7.0) for i in range(5)]
    gallery = build_gallery(clips, [(f, np.arange(7.0)) for f in frames], [()] * 5, [frozenset()] * 5)
    tokens = rng.normal(size=(1, 6, WIDTH)).astype(np.float32)
    query = EncodedQuery("words", unit_vector(tokens[0, 4]), frozenset(), frozenset())
    scorer = build_scorer(M2HFConfig(width=WIDTH, audio_width=2, motion_width=3)).eval()
    all_real = torch.ones(5, 7, dtype=torch.bool)
    video = VideoFeatures(
        torch.from_numpy(frames), all_real, torch.zeros(5, 7, 2), ~all_real, torch.zeros(5, 7, 3), ~all_real
    )
    text = TextFeatures(torch.from_numpy(tokens), torch.ones(1, 6, dtype=torch.bool), torch.tensor([4]))
    with torch.inference_mode():
        expected = scorer(text, video)[Branch.VISUAL][0].numpy()
    lane = score_lanes(gallery, query, {}).lanes[Branch.VISUAL]
    np.testing.assert_allclose(lane.scores, expected, atol=1e-6)


def test_abstaining_branches_say_why() -> None:
    rng = np.random.default_rng(0)
    gallery = gallery_of(rng, 5)
    asleep = EncodedQuery("words", None, frozenset(), frozenset())
    found = score_lanes(gallery, asleep, {"visual": "no weights"})
    assert fuse_lanes(gallery, found, k=5, fusion="mmbf") == ()
    assert found.abstained["visual"] == "no weights"
    assert "trained scorer" in found.abstained["audio"]
    assert found.abstained["speech"] == "the query names no noun"
    other = EncodedQuery("words", None, frozenset({"zebra"}), frozenset())
    assert "shares a noun" in score_lanes(gallery, other, {}).abstained["speech"]


def test_best_moments_and_alignment_point_at_the_evidence() -> None:
    frames = np.eye(WIDTH, dtype=np.float32)
    lines = (SpokenLine(2.0, frozenset({"sea"})), SpokenLine(5.0, frozenset({"dog", "bread"})))
    clip = GalleryClip(1, 1, Path("/a.mp4"), 0.0, 8.0)
    gallery = build_gallery([clip], [(frames, np.arange(4) + 0.5)], [lines], [frozenset()])
    query = EncodedQuery(
        "a dog, bread and the sea", unit_vector(frames[2]), frozenset({"dog", "bread", "sea"}), frozenset()
    )
    (hit,) = search(gallery, query, 1, explain=True)
    assert hit.branches["visual"].best_s == 2.5
    assert hit.branches["speech"].best_s == 5.0
    assert hit.words == ("bread", "dog", "sea")
    assert {(a.word, a.time_s) for a in hit.alignment if a.branch == "speech"} == {
        ("bread", 5.0),
        ("dog", 5.0),
        ("sea", 2.0),
    }
    assert hit.won_by == ("visual", "speech")


@pytest.mark.parametrize("fusion", FUSIONS)
def test_an_empty_gallery_has_no_hits(fusion: str) -> None:
    gallery = build_gallery([], [], [], [])
    query = EncodedQuery(
        "words", unit_vector(np.ones(WIDTH, np.float32)), frozenset({"dog"}), frozenset({"dog"})
    )
    assert search(gallery, query, 5, fusion) == ()
