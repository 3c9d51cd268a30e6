"""A small indexed library for every test of the program: real files, subtitles beside them, no weights."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
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


SEA, KITCHEN, STREET = "a red square", "a green circle", "a blue triangle"


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a library that was filled without workers: demo towers, features made from sentences.

    `sea.mp4` (24 s, two clips), `sea again.mp4` (its seconds 6 to 18, encoded anew), `kitchen.mp4`, `street.mp4`;
    the files themselves are not there. Tests that change it copy it first.
    """
    import numpy as np

    from app.services.library import Offer, open_library
    from m2hf_core.config.paths import open_paths
    from m2hf_core.config.settings import Settings
    from m2hf_core.hub import get_preset
    from m2hf_core.records import Feature, Line, Transcript
    from m2hf_core.store import clips, features, files, folders, transcripts
    from m2hf_core.text import load_nouns
    from m2hf_core.text.tower import open_text_tower

    data, rng = tmp_path_factory.mktemp("shelf") / "data", np.random.default_rng(3)
    data.mkdir()
    Settings.load(open_paths(data)).set("preset", "demo")
    tower, nouns = open_text_tower(get_preset("demo")), load_nouns()

    def frames(sentence: str, seconds: int) -> np.ndarray:
        about = tower.encode([sentence]).pooled_vector.numpy()
        return about + rng.normal(0, 0.3 * about.std(), (seconds, about.shape[1])).astype(np.float32)

    sea = np.concatenate([frames(SEA, 12), frames("a yellow star", 12)])
    again = sea[6:18] + rng.normal(0, 0.03 * sea.std(), (12, sea.shape[1])).astype(np.float32)
    videos = {
        "sea": (sea, "The captain waves at the lighthouse."),
        "sea again": (again, None),
        "kitchen": (frames(KITCHEN, 8), "My grandmother bakes bread with walnuts."),
        "street": (frames(STREET, 5), "A captain buys bread in the street."),
    }
    with open_library(data, mode="create") as library:
        library.remember_offer(Offer({"clip": tower.fingerprint, "speech": nouns.fingerprint}, {}))
        with library.store.library.writing() as session, library.store.features.writing() as shelves:
            folder = folders.add_folder(session, str(data.parent / "videos"), watched=True)
            for name, (rows, words) in videos.items():
                path, count = data.parent / "videos" / f"{name}.mp4", len(rows)
                video = files.put_path(session, folder, str(path), 1000, 10**18, name)
                files.put_info(session, video, files.VideoInfo(float(count), 64, 64, True, "mp4", "h264"))
                edges = [*range(0, count, 12), count]
                clips.replace_clips(session, video, pairwise(edges))
                start_s = np.arange(count, dtype=np.float64)
                features.put(shelves, name, tower.fingerprint, Feature(rows, start_s, start_s + 1))
                said = (Line(words, 1.0, 3.0),) if words else ()
                found = [tuple(sorted(nouns(line.text))) for line in said]
                transcripts.put_transcript(
                    session, video, Transcript("sidecar", "en", said), found, nouns.mode, nouns.version
                )
    return data
