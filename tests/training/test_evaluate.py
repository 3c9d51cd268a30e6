"""Evaluation: the readings of an independent count, columns that stay apart, and pairs of systems."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from m2hf_core.model.baselines import MeanPooled
from m2hf_core.model.m2hf import M2HF
from m2hf_core.records import Branch
from m2hf_core.training.data.prepared import open_prepared
from m2hf_core.training.evaluate import (
    Scored,
    comparison,
    report,
    reweighted,
    score_split,
    subset_rows,
    t2v_readings,
)
from m2hf_core.training.evaluate_table import lines

Make = Callable[..., Scored]


@pytest.fixture
def make() -> Make:
    """A system with random scores, in which the truth is a little better than chance."""

    def build(seed: int = 0, texts: int = 40, clips: int = 30, bonus: float = 1.0) -> Scored:
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, clips, texts)
        right = truth[:, None] == np.arange(clips)
        scores = {
            lane: (rng.normal(size=(texts, clips)) + bonus * right).astype(np.float32)
            for lane in ("visual", "audio", "motion")
        }
        quiet = rng.random((texts, clips)) < 0.5
        scores["speech"] = np.where(quiet, 0, rng.integers(1, 4, (texts, clips)) / 4).astype(np.float32)
        mute = {"audio": rng.random(clips) < 0.3, "motion": np.zeros(clips, np.bool_)}
        senses = tuple(
            frozenset({"audio"}) if i % 4 == 0 else frozenset({"visual", "motion"}) for i in range(texts)
        )
        return Scored(
            f"system {seed}", "made up", "test", scores, {"speech": quiet}, mute, truth, 20.0, senses
        )

    return build


def place(row: npt.NDArray[np.floating], truth: int) -> int:
    return 1 + int((row > row[truth]).sum())


def test_a_branch_counts_as_by_hand(make: Make) -> None:
    scored = make()
    places = [
        place(row, truth) for row, truth in zip(scored.scores["audio"], scored.clip_of_text, strict=True)
    ]
    found = report(scored, rounds=50)["t2v"]["branches"]["audio"]
    assert found["R@1"] == pytest.approx(100 * np.mean([p == 1 for p in places]))
    assert found["R@10"] == pytest.approx(100 * np.mean([p <= 10 for p in places]))
    assert found["MdR"] == pytest.approx(np.median(places))
    assert found["MnR"] == pytest.approx(np.mean(places))


def test_the_document_has_its_form_and_is_json(make: Make) -> None:
    document = json.loads(json.dumps(report(make(), post="dsl", subsets=True, rounds=50)))
    assert {"dataset", "split", "texts", "videos", "protocol", "t2v", "v2t"} <= set(document)
    assert (document["texts"], document["videos"]) == (40, 30)
    assert document["protocol"] == {"ties": "mean", "post": "dsl", "v2t": "group", "missing": "completed"}
    for direction in ("t2v", "v2t"):
        found = document[direction]
        assert {"honest", "oracle", "pessimistic", "branches", "fusions"} <= set(found)
        assert set(found["branches"]) == set(Branch)
        assert set(found["fusions"]) == {"rrf", "mean-rank"}
        for k in (1, 5, 10):
            assert found["oracle"][f"R@{k}"] >= found["honest"][f"R@{k}"] >= found["pessimistic"][f"R@{k}"]
        low, high = found["intervals"]["honest"]["R@1"]
        assert low <= found["honest"]["R@1"] <= high


def test_completed_and_abstaining_inputs_are_two_tables(make: Make) -> None:
    scored = make()
    document = report(scored, rounds=50)
    mute = scored.without_input["audio"]
    assert mute.any()
    # By hand: clips without sound are no rivals, and where the truth is one its rank is N.
    places = [
        30 if mute[truth] else 1 + int(((row > row[truth]) & ~mute).sum())
        for row, truth in zip(scored.scores["audio"], scored.clip_of_text, strict=True)
    ]
    found = document["abstaining"]["t2v"]["branches"]["audio"]
    assert found["MnR"] == pytest.approx(np.mean(places))
    assert found["MnR"] != document["t2v"]["branches"]["audio"]["MnR"]
    assert document["abstaining"]["t2v"]["branches"]["motion"] == document["t2v"]["branches"]["motion"]


def test_reweighting_is_the_product_of_both_softmaxes(make: Make) -> None:
    scored = make(texts=7, clips=5)
    logit = 20.0 * scored.scores["visual"].astype(np.float64)
    forth = np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True)
    back = np.exp(logit) / np.exp(logit).sum(axis=0, keepdims=True)
    changed = reweighted(scored, axis=0).scores
    assert np.array_equal(np.argsort(changed["visual"], axis=1), np.argsort(forth * back, axis=1))
    turned = reweighted(scored, axis=1).scores
    assert np.array_equal(np.argsort(turned["visual"], axis=0), np.argsort(forth * back, axis=0))
    assert np.array_equal(changed["speech"], scored.scores["speech"])


def test_reweighting_stands_in_its_own_column(make: Make) -> None:
    plain, post = report(make(), rounds=50), report(make(), post="dsl", rounds=50)
    assert post["t2v"] == plain["t2v"]
    assert post["post"]["dsl"]["t2v"]["honest"] != plain["t2v"]["honest"]


def test_every_choice_of_branches_is_there_once(make: Make) -> None:
    rows = subset_rows(make(), rounds=50)
    assert len(rows) == 15
    assert len({tuple(row["branches"]) for row in rows}) == 15
    assert all(len(a["branches"]) >= len(b["branches"]) for a, b in pairwise(rows))
    assert rows[0]["mmbf"]["minus_all"] == [0.0, 0.0, 0.0]
    alone = next(row for row in rows if row["branches"] == ["audio"])
    assert alone["rrf"]["R@1"] == pytest.approx(t2v_readings(make()).branches["audio"].recall(1).mean() * 100)


def test_captions_of_one_sense_are_counted_apart(make: Make) -> None:
    scored = make()
    (found,) = report(scored, rounds=50)["one_sense"]
    assert (found["sense"], found["texts"]) == ("audio", 10)
    places = [place(scored.scores["motion"][i], scored.clip_of_text[i]) for i in range(0, 40, 4)]
    assert found["branches"]["motion"]["R@1"] == pytest.approx(100 * np.mean([p == 1 for p in places]))


def test_a_better_system_is_told_from_itself(make: Make) -> None:
    worse, better = make(1, bonus=0.0), make(1, bonus=9.0)
    found = comparison(worse, better, rounds=200)
    for fusion in ("mmbf", "rrf", "mean-rank"):
        assert found[fusion]["R@1"]["difference"] > 0
        assert found[fusion]["R@1"]["settled"]
    same = comparison(worse, worse, rounds=50)
    assert same["mmbf"]["R@1"] == {"difference": 0.0, "interval": [0.0, 0.0], "settled": False}
    with pytest.raises(ValueError, match="same queries"):
        comparison(worse, make(2, bonus=0.0))


def test_the_table_labels_what_is_no_ranked_list(make: Make) -> None:
    document = report(make(), post="dsl", subsets=True, rounds=50)
    document["comparison"] = comparison(make(1), make(1, bonus=9.0), rounds=50)
    text = "\n".join(lines(document))
    for part in (
        "oracle (paper's reading)",
        "pessimistic",
        "re-weighting (dsl)",
        "abstain",
        "one sense alone",
    ):
        assert part in text
    honest = document["t2v"]["honest"]["R@1"]
    assert f"| mmbf | {honest:.1f} [" in text
    for row in (line for line in text.splitlines() if line.startswith("|")):
        assert row.endswith("|")


def test_the_untrained_scorer_is_mean_pooled_clip(prepared: Path) -> None:
    data = open_prepared(prepared, frames=4, splits=["test"])
    split = data["test"]
    untrained = M2HF(data.width, branches=(Branch.VISUAL,), start_token=data.has_start).eval()
    first = score_split("zero-shot", untrained, split, dataset=data.name)
    assert set(first.scores) == {"visual", "speech"}
    rows = split.clips.frames.astype(np.float64)
    means = (rows / np.linalg.norm(rows, axis=2, keepdims=True)).mean(axis=1)
    texts = np.stack(
        [split.tokens.batch([i]).tokens[0, split.tokens.pooled[i]].numpy() for i in range(len(split.texts))]
    ).astype(np.float64)
    expected = texts / np.linalg.norm(texts, axis=1, keepdims=True) @ means.T
    assert np.allclose(first.scores["visual"], expected, atol=1e-5)
    second = score_split("mean-pooled", MeanPooled(), split, dataset=data.name)
    unit = expected / np.linalg.norm(means, axis=1)
    assert np.allclose(second.scores["visual"], unit, atol=1e-5)
