"""The demo: a small world that the project renders itself, indexed and searched by the very path that real videos take.

Its queries are drawn by the seed alone, and all are counted. The demo models know this world only.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.services.indexing import index_folders
from app.services.library import Library, open_library
from app.services.scorers import import_scorer
from app.services.searching import Searcher, open_searcher
from m2hf_core.config.paths import open_paths, resources_dir
from m2hf_core.errors import KnownError
from m2hf_core.model.metrics import tables, text_to_video
from m2hf_core.progress import Progress
from m2hf_core.records import BRANCHES, SearchAnswer
from m2hf_core.search.lanes import score_lanes
from m2hf_core.store import captions as bank
from m2hf_core.store import scorers
from m2hf_core.store.captions import NewCaption
from m2hf_core.synthetic import captions, demo_set
from m2hf_core.synthetic.files import render_library

CLIPS, QUERIES = 48, 24
HITS_SHOWN = 3
SCORER_NAME = "scorer.safetensors"
WITHOUT_TRAINING = {"visual", "speech"}
"""The branches that a library has until somebody trains: their figures stand beside those of all four."""
BANK_SEED = 1000
"""The bank's captions are drawn apart from the queries, so that no query finds itself."""


@dataclass(frozen=True, slots=True)
class DemoReport:
    seed: int
    seconds: Mapping[str, float]
    answers: Sequence[SearchAnswer]
    truths: Sequence[Path]
    """Per query the file that its caption was written for."""
    t2v: Mapping[str, object]


def demo_folder(data_dir: Path | None) -> Path:
    """Where the demo is kept when nobody says otherwise."""
    return open_paths(data_dir).data / "demo"


def run_demo(folder: Path, seed: int, progress: Progress) -> DemoReport:
    """Render (what is not there yet), index and search one demo library below `folder`."""
    drawn = demo_set(seed, clips=CLIPS, queries=QUERIES)
    seconds: dict[str, float] = {}
    began = time.monotonic()
    videos = folder / "videos"
    paths = render_library(drawn.specs, videos, progress=progress)
    seconds["render"] = time.monotonic() - began
    with open_library(folder / "library", preset="demo", mode="create") as library:
        began = time.monotonic()
        report = index_folders(library, [videos], device="cpu", progress=progress)
        missing = report.asleep.keys() - {"speech"}  # what the demo's clips say stands in their subtitles
        if missing:
            raise KnownError(
                f"The demo's own models are missing ({', '.join(sorted(missing))}).", "Install again."
            )
        if report.drained.failed:
            raise KnownError(
                f"{report.drained.failed} of the demo's own clips could not be indexed.",
                f"See why: m2hf-app failures --data-dir {library.paths.data}",
            )
        with library.store.library.writing() as session:
            texts = [caption.text for spec in drawn.specs for caption in captions(spec, 2, seed=BANK_SEED)]
            bank.add_captions(session, (NewCaption(text, "demo") for text in texts))
        wake_branches(library)
        seconds["index"] = time.monotonic() - began
        began = time.monotonic()
        progress.start("search", len(drawn.queries), "queries")
        searcher = open_searcher(library)
        answers = []
        for query in drawn.queries:
            answers.append(searcher.search(query.caption.text, k=HITS_SHOWN))
            progress.advance()
        truths = [paths[query.clip] for query in drawn.queries]
        t2v = tables_of(searcher, [query.caption.text for query in drawn.queries], truths)
        seconds["search"] = time.monotonic() - began
    return DemoReport(seed, seconds, answers, truths, t2v)


def wake_branches(library: Library) -> None:
    """Let the shipped scorer answer, so that sound and movement take part.

    It was trained with the demo's own weights and is refused with others (`BadModelFile`), so the self-test of new
    scorers has nothing to ask here.
    """
    known = import_scorer(library, resources_dir() / "demo" / SCORER_NAME)
    with library.store.library.writing() as session:
        scorers.activate(session, str(known["id"]))


def tables_of(searcher: Searcher, texts: Sequence[str], truths: Sequence[Path]) -> dict[str, object]:
    """Text-to-video figures of these queries over the library: all branches, and those that need no training.

    A video counts by its best clip. The name lane is left out: it is no part of M2HF. Raises `KnownError` when a true
    video is not searchable.
    """
    gallery = searcher.gallery
    paths = sorted({clip.path for clip in gallery.clips})
    column = {path: number for number, path in enumerate(paths)}
    missing = [path for path in truths if path not in column]
    if missing:
        raise KnownError(f"{missing[0]} is not searchable.", "Index the folder again.")
    columns = np.asarray([column[clip.path] for clip in gallery.clips])
    scored = [score_lanes(gallery, searcher.encode(text)[0], searcher.asleep) for text in texts]
    scores, abstain = {}, {}
    for branch in BRANCHES:
        lanes = [entry.lanes.get(branch) for entry in scored]
        if not any(lanes):
            continue
        best = np.full((len(texts), len(paths)), -np.inf, np.float32)
        for row, lane in zip(best, lanes, strict=True):
            if lane is not None:
                np.maximum.at(row, columns, np.where(lane.abstain, -np.inf, lane.scores))
        abstain[branch.value] = np.isneginf(best)
        scores[branch.value] = np.where(abstain[branch.value], np.float32(0), best)
    found = np.asarray([column[path] for path in truths])
    document = tables(text_to_video(scores, found, abstain))
    if scores.keys() > WITHOUT_TRAINING:
        kept = {name: scores[name] for name in scores if name in WITHOUT_TRAINING}
        silent = {name: abstain[name] for name in kept}
        document["visual+speech"] = tables(text_to_video(kept, found, silent))
    return document


def mean_figures(reports: Sequence[DemoReport]) -> dict[str, object]:
    """The same tables, averaged over libraries."""
    return _mean([report.t2v for report in reports])


def _mean(tables: Sequence[Mapping[str, object]]) -> dict[str, object]:
    averaged: dict[str, object] = {}
    for key in tables[0]:
        values = [table[key] for table in tables]
        if all(isinstance(value, Mapping) for value in values):
            averaged[key] = _mean([value for value in values if isinstance(value, Mapping)])
        else:
            averaged[key] = sum(float(str(value)) for value in values) / len(values)
    return averaged
