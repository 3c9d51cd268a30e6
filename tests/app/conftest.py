"""A small indexed library for every test of the program: real files, subtitles beside them, no weights."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.cli.main import main
from m2hf_core.synthetic import draw_specs
from m2hf_core.synthetic.files import render_file

SPOKEN = {
    "harbour_morning": "The captain repaired an engine. A gull stole his sandwich.",
    "kitchen": "My grandmother baked bread with walnuts.",
    "quiet": None,
}


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run the command line in this process, as the console script does."""

    def run(*argv: object) -> Result:
        capfd.readouterr()
        try:
            code = main([str(word) for word in argv])
        except SystemExit as stop:  # argparse ends wrong usage this way
            code = int(stop.code or 0)
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return run


def write_videos(folder: Path) -> None:
    """Three clips whose pictures do not matter, with subtitles beside two of them."""
    folder.mkdir(parents=True)
    for spec, (name, words) in zip(draw_specs("train", len(SPOKEN), seed=5), SPOKEN.items(), strict=True):
        render_file(spec, folder / f"{name}.mp4")
        subtitle = words or "[music]"
        (folder / f"{name}.srt").write_text(f"1\n00:00:01,000 --> 00:00:03,000\n{subtitle}\n")


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(data folder, video folder), indexed once; tests that change it copy it first."""
    base = tmp_path_factory.mktemp("indexed")
    videos, data = base / "videos", base / "data"
    write_videos(videos)
    (videos / "broken.mp4").write_bytes(b"this is no video")
    before = {name: os.environ.get(name) for name in ("M2HF_MODELS_DIR",)}
    os.environ["M2HF_MODELS_DIR"] = str(base / "models")
    try:
        assert main(["index", str(videos), "--data-dir", str(data)]) == 0
    finally:
        for name, value in before.items():
            if value is not None:
                os.environ[name] = value
    return data, videos
