"""What extraction costs on this machine: one real worker process over real files, and where its time goes."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from app.services.bench_weights import write_random_weights
from app.services.folders import resolve_folder
from app.services.library import open_library
from app.workers.messages import Beat, Done, Failed, Ready, Task, WorkerConfig
from app.workers.parent import deaf_to_interrupts
from app.workers.worker import PipeTo, worker_main
from m2hf_core.config.paths import open_paths
from m2hf_core.errors import KnownError, UsageError
from m2hf_core.ingest.staging import read_staged
from m2hf_core.media.frames import THREADS
from m2hf_core.media.measure import decode_all, opencv_grid, readable
from m2hf_core.progress import Progress
from m2hf_core.records import MediaInfo
from m2hf_core.store import Store, features, open_store
from m2hf_core.store.folders import list_folders

TASKS_AHEAD = 8
SHARE_TARGET = 0.85
MB_PER_HOUR_TARGET = 15.0
MB = 1e6


@dataclass(slots=True)
class _Measured:
    """What one worker reported."""

    start_s: float = 0.0
    """From its birth until its networks are loaded."""
    wall_s: float = 0.0
    """From the first task to the last answer."""
    video_s: float = 0.0
    ready: int = 0
    failed: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    peak_bytes: int = 0
    offered: dict[str, str] = field(default_factory=dict)


def folders_to_measure(data_dir: Path | None, asked: Sequence[Path]) -> list[Path]:
    """Those that were asked for, else every watched one. Raises `UsageError`, `StoreError`."""
    if asked:
        return [resolve_folder(folder) for folder in asked]
    with open_library(data_dir) as library, library.store.library.reading() as session:
        return [Path(row.path) for row in list_folders(session) if row.watched]


def bench_extract(
    folders: Sequence[Path],
    *,
    preset: str,
    device: str,
    seconds: float | None,
    random_weights: bool,
    progress: Progress,
) -> dict[str, object]:
    """Extract the videos in `folders` (the first `seconds` of them in all) into a library that is thrown away.

    Raises `UsageError` when there are none, `KnownError` when the worker cannot start, `Interrupted`.
    """
    infos = _chosen(folders, seconds)
    # Not the models folder of the person: the measurement must not leave anything there.
    with tempfile.TemporaryDirectory(prefix="m2hf-bench-") as name:
        scratch = Path(name)
        if random_weights:
            progress.start("draw weights")
            write_random_weights(preset, scratch / "models")
        progress.start("decode only", len(infos), "files")
        decoding = _decode_only(infos, progress)
        with (
            _models_in(scratch / "models" if random_weights else None),
            open_store(open_paths(scratch)) as store,
        ):
            measured = _measure(infos, _config(preset, device, scratch), store, progress)
            with store.features.reading() as session:
                stored = features.bytes_used(session)
    return {
        "machine": _machine(device),
        "sizes": {
            "preset": preset,
            "weights": "random" if random_weights else "own",
            "networks": sorted(measured.offered),
            "videos": len(infos),
            "ready": measured.ready,
            "failed": measured.failed,
            "video_s": round(measured.video_s, 1),
            "rows": dict(measured.rows),
            "decoded_frames": decoding["frames"],
        },
        "figures": _figures(measured, stored, decoding),
        "against": {
            "network_share": SHARE_TARGET,
            "stored_mb_per_hour": MB_PER_HOUR_TARGET,
            "opencv_frames_per_s": round(decoding["opencv_frames"] / decoding["opencv_s"], 1),
            "opencv_frames_per_cpu_s": round(decoding["opencv_frames"] / decoding["opencv_cpu_s"], 1),
        },
    }


def _chosen(folders: Sequence[Path], seconds: float | None) -> list[MediaInfo]:
    infos = [info for folder in folders for info in readable(folder)]
    if not infos:
        raise UsageError("There are no videos to measure with.", "Name a folder that holds some.")
    if seconds is None:
        return infos
    chosen, total = [], 0.0
    for info in infos:
        if total < seconds:
            chosen.append(info)
            total += info.duration_s
    return chosen


def _decode_only(infos: Sequence[MediaInfo], progress: Progress) -> dict[str, float]:
    """Our decoder and a plain OpenCV loop in turn, file by file, so that what disturbs one disturbs the other."""
    found: dict[str, float] = defaultdict(float)

    def timed(name: str, work: Callable[[], int]) -> None:
        began, began_cpu = time.perf_counter(), time.process_time()
        found[f"{name}frames"] += work()
        found[f"{name}s"] += time.perf_counter() - began
        found[f"{name}cpu_s"] += time.process_time() - began_cpu

    for info in infos:
        timed("", partial(decode_all, info.path, THREADS))
        timed("opencv_", partial(opencv_grid, info, None, THREADS))
        progress.advance()
    return found


def _config(preset: str, device: str, scratch: Path) -> WorkerConfig:
    paths = open_paths(scratch)
    for folder in (paths.staging, paths.thumbnails):
        folder.mkdir(parents=True, exist_ok=True)
    threads = max(1, os.cpu_count() or 1)
    return WorkerConfig(preset, device, threads, paths.staging, paths.thumbnails)


@contextmanager
def _models_in(folder: Path | None) -> Iterator[None]:
    """The worker inherits the environment of the moment of its birth; afterwards it is as before."""
    before = os.environ.get("M2HF_MODELS_DIR")
    if folder is not None:
        os.environ["M2HF_MODELS_DIR"] = str(folder)
    try:
        yield
    finally:
        if folder is not None and before is not None:
            os.environ["M2HF_MODELS_DIR"] = before
        elif folder is not None:
            del os.environ["M2HF_MODELS_DIR"]


def _measure(infos: Sequence[MediaInfo], config: WorkerConfig, store: Store, progress: Progress) -> _Measured:
    context = multiprocessing.get_context("spawn")
    pipe, there = context.Pipe()
    process = context.Process(target=worker_main, args=(there, config), name="m2hf-worker", daemon=True)
    progress.start("load models")
    measured, began = _Measured(), time.perf_counter()
    with deaf_to_interrupts():
        process.start()
    there.close()
    try:
        first = pipe.recv()
        if isinstance(first, Failed):
            raise KnownError(first.reason, first.hint, first.detail)
        assert isinstance(first, Ready)
        measured.start_s = time.perf_counter() - began
        measured.offered = dict(first.offered)
        _drive(pipe, infos, store, measured, progress)
    except EOFError as error:
        raise KnownError("The worker process ended unexpectedly.", "Run `m2hf-app doctor`.") from error
    finally:
        pipe.close()
        process.join(5.0)
        if process.is_alive():
            process.kill()
            process.join()
    return measured


def _drive(
    pipe: PipeTo, infos: Sequence[MediaInfo], store: Store, measured: _Measured, progress: Progress
) -> None:
    """Give the worker every file, some ahead; store what it makes of them."""
    wanted = frozenset(measured.offered.values())
    waiting = [Task(number, info.path, f"{number:08x}", wanted) for number, info in enumerate(infos)][::-1]
    progress.start("extract", len(infos), "files")
    began, out = time.perf_counter(), 0
    while waiting or out:
        while waiting and out < TASKS_AHEAD:
            pipe.send(waiting.pop())
            out += 1
        report = pipe.recv()
        if isinstance(report, Beat):
            progress.check()
            continue
        out -= 1
        measured.wall_s = time.perf_counter() - began
        if isinstance(report, Done):
            measured.peak_bytes = report.peak_bytes
            _store(report, store, measured)
        else:
            measured.failed += 1
        progress.advance()


def _store(report: Done, store: Store, measured: _Measured) -> None:
    extraction = read_staged(report.staged)
    report.staged.unlink()
    measured.ready += 1
    measured.video_s += extraction.info.duration_s
    measured.seconds.update(extraction.seconds)
    with store.features.writing() as session:
        for key, feature in extraction.features.items():
            measured.rows[key.partition(":")[0]] += len(feature.values)
            features.put(session, report.staged.stem, key, feature)


def _figures(measured: _Measured, stored: int, decoding: dict[str, float]) -> dict[str, object]:
    networks = sum(spent for stage, spent in measured.seconds.items() if stage.startswith("network_"))
    hours = measured.video_s / 3600
    return {
        "wall_s": round(measured.wall_s, 2),
        "worker_start_s": round(measured.start_s, 2),
        "video_hours_per_hour": round(measured.video_s / measured.wall_s, 3) if measured.wall_s else 0.0,
        "network_share": round(networks / measured.wall_s, 3) if measured.wall_s else 0.0,
        "seconds": {stage: round(spent, 2) for stage, spent in sorted(measured.seconds.items())},
        "decode_frames_per_s": round(decoding["frames"] / decoding["s"], 1),
        "decode_frames_per_cpu_s": round(decoding["frames"] / decoding["cpu_s"], 1),
        "stored_mb_per_hour": round(stored / MB / hours, 2) if hours else 0.0,
        "peak_memory_mb": round(measured.peak_bytes / MB),
    }


def _machine(device: str) -> dict[str, object]:
    from m2hf_core.model.bench import machine

    return {**machine(), "device": device, "processors": os.cpu_count(), "decoder_threads": THREADS}
