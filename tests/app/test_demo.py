"""The demo as a newcomer runs it: the real path from rendering to receipts, and figures that count every query."""

from __future__ import annotations

import pytest

RECALLS = ("R@1", "R@5", "R@10")


@pytest.mark.timeout(400)
def test_one_seed_end_to_end(run, tmp_path) -> None:
    document = run("demo", "--headless", "--json", "--dir", tmp_path).json
    assert document["queries"] == len(document["search"]) == 24
    assert set(document["seconds"]) == {"render", "index", "search"}
    t2v = document["t2v"]
    assert set(t2v["branches"]) == {"visual", "audio", "motion", "speech"}
    for recall in RECALLS:
        assert t2v["oracle"][recall] >= t2v["honest"][recall] >= t2v["pessimistic"][recall]
    chance = 100 / 48
    for branch in ("visual", "audio", "motion"):
        assert t2v["branches"][branch]["R@1"] > 5 * chance
    assert t2v["honest"]["R@1"] > max(branch["R@1"] for branch in t2v["branches"].values())
    for answer in document["search"]:
        assert answer["preset"] == "demo"
        assert answer["gallery"] == {"videos": 48, "clips": 48}
        assert answer["scorer"]["state"] == "trained"
        assert set(answer["abstained"]) <= {"speech"}
        assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3]
        for hit in answer["hits"]:
            assert "name" not in hit["branches"], "file names of the demo say nothing"
            assert set(hit["without"]) == set(hit["branches"]) - set(answer["abstained"])
    hits = [hit for answer in document["search"] for hit in answer["hits"]]
    assert any(hit["heard"] for hit in hits)
    assert any(hit["moved"] for hit in hits)
    library = tmp_path / "seed-0" / "library"
    captions = run("captions", tmp_path / "seed-0" / "videos" / "clip_00003.mp4", "--preset", "demo", "--json",
                   "--data-dir", library).json  # fmt: skip
    assert captions["hits"]
    status = run("status", "--preset", "demo", "--json", "--data-dir", library).json
    assert status["coverage"] == {"clip": 48, "vggish": 48, "s3d": 48, "speech": 48}
    again = run("demo", "--headless", "--json", "--dir", tmp_path).json
    assert again["t2v"] == t2v, "the same seed gives the same figures"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fused_beats_each_branch_over_twenty_seeds(run, tmp_path) -> None:
    document = run("demo", "--headless", "--json", "--seeds", 20, "--dir", tmp_path).json
    assert [entry["seed"] for entry in document["seeds"]] == list(range(20))
    untrained = document["mean"]["visual+speech"]
    for branch in ("visual", "speech"):
        assert untrained["honest"]["R@1"] > untrained["branches"][branch]["R@1"]
    for branch in ("visual", "audio", "motion", "speech"):
        for fusion in ("rrf", "mean-rank"):
            assert document["mean"]["fusions"][fusion]["R@1"] > document["mean"]["branches"][branch]["R@1"]
