"""The extraction benchmark measures a real worker, and says when the weights are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from m2hf_core.synthetic import draw_specs
from m2hf_core.synthetic.files import render_library


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    render_library(draw_specs("train", 2, seed=5), folder, workers=1)
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


def test_there_must_be_something_to_measure(run, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    failed = run("bench", "extract", tmp_path / "empty")
    assert failed.code == 2
    assert "no videos" in failed.err


def test_random_weights_are_for_presets_that_have_an_architecture(run, videos) -> None:
    failed = run("bench", "extract", videos, "--preset", "demo", "--random-weights")
    assert failed.code == 2
    assert "paper-b16" in failed.err


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon"])
def test_seconds_are_a_positive_number(run, videos, seconds) -> None:
    failed = run("bench", "extract", videos, "--seconds", seconds)
    assert (failed.code, failed.out) == (2, "")


@pytest.mark.slow
def test_every_stage_of_a_real_worker_is_told(run, videos, tmp_path) -> None:
    document = run(
        "bench", "extract", videos, "--preset", "demo", "--json", "--data-dir", tmp_path / "data"
    ).json
    assert set(document) == {"machine", "sizes", "figures", "against"}
    assert document["sizes"]["videos"] == document["sizes"]["ready"] == 2
    assert document["sizes"]["weights"] == "own"
    assert document["sizes"]["rows"] == {"clip": 8, "motion": 8, "audio": document["sizes"]["rows"]["audio"]}
    figures = document["figures"]
    networks = sum(spent for stage, spent in figures["seconds"].items() if stage.startswith("network_"))
    assert figures["network_share"] == pytest.approx(networks / figures["wall_s"], abs=0.01)
    assert 0 < figures["network_share"] <= 1
    assert document["against"]["opencv_frames_per_s"] > 0
    assert not (tmp_path / "data").exists(), "a measurement leaves nothing behind"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_random_weights_go_through_the_real_loading_path(run, videos) -> None:
    document = run(
        "bench", "extract", videos, "--preset", "paper-b16", "--random-weights", "--seconds", "1", "--json",
        "--device", "cpu",
    ).json  # fmt: skip
    assert document["sizes"]["weights"] == "random"
    assert set(document["sizes"]["networks"]) == {"clip", "vggish", "s3d", "speech"}
    assert document["sizes"]["rows"]["clip"] == 4
