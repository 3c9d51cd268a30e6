"""Readings of the truth's place: honest against a search, ties against every tie order, chance against chance."""

from __future__ import annotations

from itertools import permutations
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m2hf_core.model.metrics import Protocol, evaluate, table, tables, text_to_video, video_to_text
from m2hf_core.model.readings import TruthRanks, read_truths

LANES = ("visual", "audio", "motion", "speech")


def every_reading(readings: Any) -> dict[str, TruthRanks]:
    return {
        "honest": readings.honest,
        "oracle": readings.oracle,
        "pessimistic": readings.pessimistic,
        **readings.branches,
        **readings.fusions,
    }


def library(rng: np.random.Generator, texts: int, videos: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Dense scores without ties, speech with many, audio silent for some videos."""
    scores: dict[str, Any] = {
        lane: rng.standard_normal((texts, videos), dtype=np.float32) for lane in LANES[:3]
    }
    scores["speech"] = rng.integers(1, 4, (texts, videos)).astype(np.float32) / 8
    return scores, {"audio": rng.random(videos) < 0.3, "speech": rng.random((texts, videos)) < 0.6}


def test_readings_are_what_a_search_shows(reference: Any) -> None:
    """Where no dense scores tie, every reading follows from the slow order of each query."""
    rng = np.random.default_rng(5)
    texts, videos = 12, 9
    scores, abstain = library(rng, texts, videos)
    truth = rng.integers(videos, size=texts)
    readings = text_to_video(scores, truth, abstain)
    for reading in every_reading(readings).values():
        assert np.array_equal(reading.best, reading.worst)
    for i, t in enumerate(truth.tolist()):
        silence = {lane: np.broadcast_to(mask, (texts, videos))[i].tolist() for lane, mask in abstain.items()}
        pool = reference.pool(list(range(videos)), {k: v[i].tolist() for k, v in scores.items()}, silence)
        own = {lane: reference.rank(pool, lane, t) for lane in LANES}
        best = [min(reference.rank(pool, lane, j) for lane in LANES) for j in range(videos)]
        assert readings.honest.best[i] == reference.order(pool, "mmbf").index(t) + 1
        assert readings.fusions["rrf"].best[i] == reference.order(pool, "rrf").index(t) + 1
        assert readings.fusions["mean-rank"].best[i] == reference.order(pool, "mean-rank").index(t) + 1
        assert readings.oracle.best[i] == min(own.values())
        assert readings.pessimistic.best[i] == sum(rank <= best[t] for rank in best)
        for lane in LANES:
            assert readings.branches[lane].best[i] == (videos if own[lane] == inf else own[lane])


@st.composite
def tied_scores(draw: Any, texts: int = 4, videos: int = 6) -> tuple[dict[str, Any], dict[str, Any]]:
    """Coarse scores, so that ties are everywhere, and silence outside the visual branch."""
    cells = texts * videos
    scores, abstain = {}, {}
    for lane in draw(st.lists(st.sampled_from(LANES), min_size=1, unique=True)):
        values = draw(st.lists(st.integers(0, 2), min_size=cells, max_size=cells))
        scores[lane] = np.array(values, np.float32).reshape(texts, videos)
        if lane != "visual":
            mask = draw(st.lists(st.booleans(), min_size=cells, max_size=cells))
            abstain[lane] = np.array(mask).reshape(texts, videos)
    return scores, abstain


@given(data=tied_scores(), own=st.lists(st.integers(0, 5), min_size=4, max_size=4))
def test_oracle_honest_pessimistic(data: Any, own: list[int]) -> None:
    """In this order for every query that a dense branch takes part in, and every K, whatever ties."""
    scores, abstain = data
    silent = np.ones((4, 6), bool)
    for lane in set(scores) - {"speech"}:
        silent &= abstain.get(lane, np.zeros((4, 6), bool))
    directions = {
        "t2v": (text_to_video(scores, np.array(own), abstain), ~silent[np.arange(4), own]),
        "group": (video_to_text(scores, np.array(own), abstain), None),
        "caption": (video_to_text(scores, np.array(own), abstain, protocol="caption"), None),
    }
    for readings, dense in directions.values():
        if dense is None and (set(scores) == {"speech"} or silent.any()):
            continue
        for k in range(1, 7):
            oracle, honest, pessimistic = (
                reading.recall(k) for reading in (readings.oracle, readings.honest, readings.pessimistic)
            )
            counts = slice(None) if dense is None else dense
            assert (oracle[counts] >= honest[counts] - 1e-12).all()
            assert (honest >= pessimistic - 1e-12).all()
            for branch in readings.branches.values():
                assert (oracle >= branch.recall(k) - 1e-12).all()


def chance(right: int, items: int, k: int) -> float:
    """The chance that one of `right` among `items` in random order is in the first k, by counting draws."""
    missed = 1.0
    for drawn in range(k):
        missed *= max(items - right - drawn, 0) / (items - drawn)
    return 100 * (1 - missed)


@pytest.mark.parametrize("lanes", [LANES[:1], LANES[:3]])
def test_scores_that_are_all_alike_are_worth_chance(lanes: tuple[str, ...]) -> None:
    videos, per_video = 20, 3
    video_of_text = np.repeat(np.arange(videos), per_video)
    scores = {lane: np.full((60, videos), 0.5, np.float32) for lane in lanes}
    sizes = {
        "t2v": (text_to_video(scores, video_of_text), 1, videos),
        "group": (video_to_text(scores, video_of_text), 1, videos),
        "caption": (video_to_text(scores, video_of_text, protocol="caption"), per_video, 60),
    }
    for readings, right, items in sizes.values():
        for name, reading in every_reading(readings).items():
            found = table(reading)
            if name == "pessimistic":
                assert found["R@10"] == 0
                continue
            for k in (1, 5, 10):
                assert found[f"R@{k}"] == pytest.approx(chance(right, items, k))
            assert found["MnR"] == found["MdR"] == pytest.approx((items + 1) / (right + 1))


def test_words_that_everyone_shares_are_worth_nothing() -> None:
    """Speech keeps the worst rank of its group in its own table."""
    readings = text_to_video({"speech": np.full((4, 4), 0.2, np.float32)}, np.arange(4))
    assert table(readings.branches["speech"])["R@1"] == 0
    assert table(readings.honest)["R@1"] == pytest.approx(25), "the list itself still has an order: chance"


@given(
    values=st.lists(st.integers(0, 2), min_size=5, max_size=5), right=st.sets(st.integers(0, 4), min_size=1)
)
def test_ties_are_averaged_over_every_tie_order(values: list[int], right: set[int]) -> None:
    """One branch, several right answers: the mean over all 120 ways to break ties."""
    owner = np.array([0 if item in right else 1 for item in range(5)])
    reading = read_truths({"visual": np.array([values], np.float32)}, np.array([0]), owner).branches["visual"]
    firsts = []
    for breaks in permutations(range(5)):
        order = sorted(range(5), key=lambda item: (-values[item], breaks[item]))
        firsts.append(1 + min(order.index(item) for item in right))
    assert reading.expected()[0] == pytest.approx(np.mean(firsts))
    for k in range(1, 6):
        assert reading.recall(k)[0] == pytest.approx(np.mean([first <= k for first in firsts]))


@pytest.mark.parametrize("seed", range(8))
def test_candidates_in_another_order_give_the_same_figures(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, abstain = library(rng, 10, 8)
    truth = rng.permutation(10) % 8
    shuffle = rng.permutation(8)
    moved = {lane: values[:, shuffle] for lane, values in scores.items()}
    quiet = {"audio": abstain["audio"][shuffle], "speech": abstain["speech"][:, shuffle]}
    there = np.argsort(shuffle)[truth]
    assert tables(text_to_video(moved, there, quiet)) == tables(text_to_video(scores, truth, abstain))
    protocols: tuple[Protocol, ...] = ("group", "caption")
    for protocol in protocols:
        before = every_reading(video_to_text(scores, truth, abstain, protocol=protocol))
        after = every_reading(video_to_text(moved, there, quiet, protocol=protocol))
        for name, reading in after.items():
            assert np.array_equal(reading.expected(), before[name].expected()[shuffle]), name


@pytest.mark.parametrize("lane", LANES[1:])
def test_a_branch_that_abstains_changes_no_fused_figure(lane: str) -> None:
    rng = np.random.default_rng(8)
    scores, abstain = library(rng, 15, 10)
    scores.pop(lane)
    truth = rng.integers(10, size=15)
    before = tables(text_to_video(scores, truth, abstain))
    silent = {**abstain, lane: np.ones((15, 10), bool)}
    after = tables(text_to_video({**scores, lane: np.zeros((15, 10), np.float32)}, truth, silent))
    own = after["branches"].pop(lane)  # type: ignore[attr-defined]
    assert own == {"R@1": 0, "R@5": 0, "R@10": 100, "MdR": 10, "MnR": 10}, "rank N for every query"
    assert after == before


def test_video_to_text_by_hand() -> None:
    """Two videos, five captions; video 0's best caption stands third among all, its group second."""
    video_of_text = np.array([0, 1, 0, 1, 1])
    scores = {"visual": np.array([[0.3, 0.1], [0.8, 0.2], [0.5, 0.9], [0.6, 0.4], [0.1, 0.3]], np.float32)}
    captions = video_to_text(scores, video_of_text, protocol="caption")
    groups = video_to_text(scores, video_of_text)
    assert captions.honest.best.tolist() == [3, 2]
    assert groups.honest.best.tolist() == [2, 2]


def test_a_group_abstains_only_when_all_its_captions_do() -> None:
    values = [[0.9, 0.1, 0.1], [0.7, 0.2, 0.2], [0.8, 0.3, 0.3], [0.1, 0.4, 0.4]]
    scores = {"speech": np.array(values, np.float32)}
    silent = {"speech": np.zeros((4, 3), bool)}
    silent["speech"][0, 0] = silent["speech"][2, 1] = True
    groups = video_to_text(scores, np.array([0, 0, 1, 2]), silent)
    # Video 0: 0.7 of its own behind 0.8, 0.9 is silent. Video 1: its only caption is silent: last of three.
    assert groups.branches["speech"].best.tolist() == [2, 3, 1]
    assert groups.oracle.best.tolist() == [2, 3, 1]


def test_right_answers_tie_together_only_when_every_lane_agrees() -> None:
    """Three captions that look alike; two are right, but only one of them sounds like anything."""
    scores = {"visual": np.full((3, 2), 0.5, np.float32), "audio": np.full((3, 2), 0.5, np.float32)}
    silent = {"audio": np.array([[False] * 2, [True] * 2, [True] * 2])}
    owner = np.array([0, 0, 1])
    assert video_to_text(scores, owner, silent, protocol="caption").honest.peers.tolist() == [1, 1]
    scores["audio"] = np.array([[1, 2], [3, 4], [5, np.nan]], np.float32)
    silent["audio"] = np.ones((3, 2), bool)
    assert video_to_text(scores, owner, silent, protocol="caption").honest.peers.tolist() == [2, 1]


def test_videos_without_captions_are_candidates_and_no_queries() -> None:
    scores = {"visual": np.array([[0.1, 0.9, 0.5]], np.float32)}
    assert text_to_video(scores, np.array([2])).honest.best.tolist() == [2]
    assert video_to_text(scores, np.array([2])).honest.best.tolist() == [1]


def test_the_document_has_the_form_of_eval_json() -> None:
    rng = np.random.default_rng(1)
    scores, abstain = library(rng, 30, 12)
    found = evaluate(
        scores, rng.integers(12, size=30), dataset="toy", split="test", abstain=abstain, v2t="caption"
    )
    assert list(found) == ["dataset", "split", "texts", "videos", "protocol", "t2v", "v2t"]
    assert (found["texts"], found["videos"]) == (30, 12)
    assert found["protocol"] == {"ties": "mean", "post": None, "v2t": "caption"}
    for direction in ("t2v", "v2t"):
        part: Any = found[direction]
        assert list(part) == ["honest", "oracle", "pessimistic", "branches", "fusions"]
        assert list(part["branches"]) == list(LANES)
        assert list(part["fusions"]) == ["rrf", "mean-rank"]
        cells = [part["honest"], part["oracle"], part["pessimistic"], *part["branches"].values()]
        for cell in [*cells, *part["fusions"].values()]:
            assert list(cell) == ["R@1", "R@5", "R@10", "MdR", "MnR"]
            assert all(type(value) is float for value in cell.values())


def test_a_perfect_and_a_reversed_matrix() -> None:
    perfect = {"visual": np.eye(11, dtype=np.float32)}
    assert table(text_to_video(perfect, np.arange(11)).honest) == {
        "R@1": 100, "R@5": 100, "R@10": 100, "MdR": 1, "MnR": 1,
    }  # fmt: skip
    reverse = table(text_to_video({"visual": -np.eye(11, dtype=np.float32)}, np.arange(11)).honest)
    assert reverse == {"R@1": 0, "R@5": 0, "R@10": 0, "MdR": 11, "MnR": 11}


def test_rows_in_blocks_are_the_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    scores, abstain = library(rng, 23, 7)
    truth = rng.integers(7, size=23)
    whole = tables(text_to_video(scores, truth, abstain))
    monkeypatch.setattr("m2hf_core.model.readings._BLOCK", 20)
    assert tables(text_to_video(scores, truth, abstain)) == whole


def test_what_cannot_be_evaluated_is_refused() -> None:
    square: npt.NDArray[Any] = np.zeros((3, 3), np.float32)
    with pytest.raises(ValueError, match="no lane"):
        text_to_video({}, np.arange(3))
    with pytest.raises(ValueError, match="every lane"):
        text_to_video({"visual": square, "audio": square[:2]}, np.arange(3))
    with pytest.raises(ValueError, match="no right answer"):
        text_to_video({"visual": square}, np.array([0, 1, 3]))
    with pytest.raises(ValueError, match="protocol"):
        video_to_text({"visual": square}, np.arange(3), protocol="best")  # type: ignore[arg-type]
