"""`bench answers`: the program's own commands, measured on a copy of the library."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from m2hf_core.synthetic import draw_specs
from m2hf_core.synthetic.files import render_file


@pytest.mark.slow
def test_answers_are_measured_and_the_library_stays_as_it_is(run: Any, shelf: Path, tmp_path: Path) -> None:
    data, videos = tmp_path / "data", tmp_path / "videos"
    shutil.copytree(shelf, data)
    videos.mkdir()
    for place, spec in enumerate(draw_specs("train", 2, seed=3)):
        render_file(spec, videos / f"{place}.mp4")
    before = (data / "library.sqlite").read_bytes()
    done = run("bench", "answers", videos, "--starts", 1, "--seconds", 60, "--data-dir", data)
    assert done.code == 0, done.err
    figures = done.json["figures"]
    assert figures["first_answer"][0]["wall_s"] > 0
    assert figures["alone"]["answers"] == 80
    assert figures["while_indexing"]["answers"] >= 20
    assert done.json["sizes"]["clips"] == 5
    assert (data / "library.sqlite").read_bytes() == before
    told = run("bench", "answers", "--data-dir", tmp_path / "none")
    assert told.code == 1
    assert "Traceback" not in told.err
