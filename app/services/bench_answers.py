"""How long answers take where it counts: the first one after a start, and all of them while indexing goes on.

Both are real runs of this very program: `search` in a process of its own, and `index` beside a searching one. They
work on a copy of the library, so that the owner's stays as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from app.services.bench_search import memory_mb, percentiles
from app.services.eyes import null_captions
from app.services.itself import own_command
from app.services.library import open_library
from app.services.searching import Searcher, open_searcher
from m2hf_core.config.paths import open_paths
from m2hf_core.errors import KnownError
from m2hf_core.model.bench import machine
from m2hf_core.progress import Progress

TARGETS = {"first_answer_s": 4, "while_indexing_p95_ms": 100}
LEFT_BEHIND = ("*.lock", "lock", "*.log", "thumbnails", "staging", "models", "backups", "training")
"""Of a data folder: what a search does not read, and weights, which are found where they are."""
FEWEST = 20
"""Answers below which a 95th percentile means nothing."""


def bench_answers(
    data_dir: Path | None,
    folder: Path | None,
    *,
    preset: str | None,
    starts: int,
    seconds: float,
    progress: Progress,
) -> dict[str, Any]:
    """Measure the library in `data_dir`. `folder`: videos to index meanwhile; None: that part is left out.

    Raises `KnownError` where there is no library or the commands fail.
    """
    source = open_paths(data_dir).data
    with open_library(data_dir, preset=preset) as library:
        chosen = library.preset.id
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="m2hf-bench-") as room:
        data = Path(room) / "library"
        shutil.copytree(source, data, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
        progress.start("first answers", starts, "starts")
        figures["first_answer"] = []
        for _ in range(starts):
            figures["first_answer"].append(_first_answer(data, chosen))
            progress.advance()
        with open_library(data, preset=chosen) as library:
            searcher = open_searcher(library)
            queries = null_captions(library.preset)
            progress.start("answers alone")
            figures["alone"] = _answers(searcher, queries, FEWEST, None, seconds)
            if folder is not None:
                progress.start("answers while indexing")
                figures["while_indexing"] = _while_indexing(searcher, queries, data, folder, chosen, seconds)
            figures["memory_mb"] = memory_mb()
            sizes = {"videos": searcher.gallery.videos, "clips": len(searcher.gallery), "preset": chosen}
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    return {
        "machine": {**machine(), "cores": os.cpu_count(), "load": load},
        "sizes": sizes,
        "figures": figures,
        "against": {"targets": TARGETS},
    }


def _first_answer(data: Path, preset: str) -> dict[str, float]:
    """Seconds from the start of a process to its printed hits, and what of it the processor worked."""
    command = own_command("search", "a red circle", "--json", "--preset", preset, "--data-dir", str(data))
    began, before = time.perf_counter(), os.times()
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - this very program
    wall_s, after = time.perf_counter() - began, os.times()
    if done.returncode:
        raise KnownError("The search that was to be measured failed.", done.stderr.strip()[-300:])
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return {"wall_s": round(wall_s, 2), "cpu_s": round(cpu_s, 2)}


def _while_indexing(
    searcher: Searcher, queries: list[str], data: Path, folder: Path, preset: str, seconds: float
) -> dict[str, Any]:
    command = own_command("index", str(folder), "--preset", preset, "--data-dir", str(data))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as indexing:  # noqa: S603
        try:
            found = _answers(searcher, queries, FEWEST, indexing, seconds)
            found["ended_by_itself"] = indexing.poll() is not None
        except KnownError:
            if not indexing.poll():
                raise
            found = {"ended_by_itself": True}  # it failed at once, which is what is to be told
        finally:
            if indexing.poll() is None:
                _stop(indexing)
            assert indexing.stderr is not None
            said = indexing.stderr.read()
    if found["ended_by_itself"] and indexing.returncode:
        raise KnownError("The indexing that was to go on meanwhile failed.", said.strip()[-300:])
    return found


def _stop(indexing: subprocess.Popen[str]) -> None:
    """The command with its workers: they may be in the middle of a film, and what they write is thrown away."""
    family = [*psutil.Process(indexing.pid).children(recursive=True), psutil.Process(indexing.pid)]
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=10)


def _answers(
    searcher: Searcher, queries: list[str], fewest: int, beside: subprocess.Popen[str] | None, seconds: float
) -> dict[str, Any]:
    """Wall milliseconds from the text to the hits; a query a tenth of a second, as somebody types.

    No query is asked twice in a row, and none is remembered: each is encoded, scored and explained. Beside a process it
    goes on until that ends or `seconds` are over; the library is opened anew when it has changed, as the window does,
    which is told apart because the window does it while the former one answers.
    """
    searcher.search(queries[0], k=50)
    took: list[float] = []
    opened: list[float] = []
    began = time.monotonic()
    number = 0
    while time.monotonic() - began < seconds and (beside is None or beside.poll() is None):
        number += 1
        text = f"{queries[number % len(queries)]} {number}"
        start = time.perf_counter()
        searcher.search(text, k=50)
        took.append(1000 * (time.perf_counter() - start))
        if beside is None and number >= 4 * fewest:
            break
        if beside is not None and number % FEWEST == 0 and searcher.stale():
            start = time.perf_counter()
            searcher = searcher.reloaded()
            opened.append(1000 * (time.perf_counter() - start))
        time.sleep(0.1)
    if len(took) < fewest:
        raise KnownError(
            f"Only {len(took)} answers were measured, which is too few.",
            "Give a folder with more video, or more seconds.",
        )
    found: dict[str, Any] = {"answers": len(took), "ms": percentiles(took)}
    if opened:
        found["opened_anew_ms"] = percentiles(opened)
    return found
