"""`bench`: figures of this machine, as JSON."""

from __future__ import annotations

import argparse
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from app.cli.common import Subparsers, add_command, add_extraction, named_path, print_json, shown_progress
from app.cli.gui import require_window
from app.cli.search import count
from m2hf_core.progress import Progress

WINDOW_CLIPS = 12


def add(subparsers: Subparsers) -> None:
    bench = add_command(
        subparsers, "bench", "measure this machine", "m2hf-app bench train --what forward", group=True
    )
    actions = bench.add_subparsers(dest="action", metavar="ACTION", required=True)
    training = add_command(
        actions,
        "train",
        "the scorer's own speed, and that of its training",
        "m2hf-app bench train --what frozen",
    )
    training.add_argument(
        "--what",
        choices=("forward", "frozen", "e2e"),
        default="forward",
        help="forward: scores per second; frozen: training steps on stored features; e2e: with CLIP ViT-B/16",
    )
    training.add_argument("--batch", type=count, metavar="N", help="pairs per training step (default: 128)")
    training.add_argument("--frames", type=count, metavar="N", help="frames per clip (default: 12)")
    training.add_argument("--device", default="auto", help="of training steps: auto, cpu, cuda or cuda:0")
    training.set_defaults(run=run_train)
    extraction = add_command(
        actions,
        "extract",
        "what extraction costs, and where its time goes",
        "m2hf-app bench extract ~/Videos --preset paper-b16 --random-weights --seconds 120",
    )
    add_extraction(extraction, "auto, cpu, cuda, cuda:0 or mps")
    extraction.add_argument(
        "--seconds", type=positive_seconds, help="stop choosing files at so many seconds of video"
    )
    extraction.add_argument(
        "--random-weights",
        action="store_true",
        help="measure networks that are not on this machine, with random numbers instead of weights",
    )
    extraction.set_defaults(run=run_extract)

    searching = add_command(
        actions,
        "search",
        "what searching costs, and what its shortcuts lose",
        "m2hf-app bench search --clips 1000,10000 --json",
    )
    searching.add_argument(
        "--clips", type=sizes, default=(1000, 10_000), metavar="N,N", help="sizes of the galleries to make"
    )
    searching.add_argument("--queries", type=count, default=200, metavar="N", help="queries per size")
    searching.add_argument(
        "--exhaustive", type=int, default=20, metavar="N", help="queries compared with scoring every clip"
    )
    searching.add_argument(
        "--compare", action="store_true", help="also numpy, faiss-cpu and usearch where they are installed"
    )
    searching.add_argument(
        "--build-limit",
        type=positive_seconds,
        default=1200.0,
        metavar="SECONDS",
        help="leave a graph out that takes longer to build (default: 1200)",
    )
    searching.add_argument("--towers", action="store_true", help="also text towers, with random weights")
    searching.add_argument("--seed", type=int, default=1, help="what the galleries are drawn from")
    searching.add_argument(
        "--dir",
        type=named_path,
        help="where galleries are made and stay for the next time, 5 GB for 100,000 clips (default: removed after)",
    )
    searching.set_defaults(run=run_search)

    answering = add_command(
        actions,
        "answers",
        "the first answer after a start, and answers while indexing",
        "m2hf-app bench answers ~/Videos --seconds 60",
    )
    answering.add_argument(
        "folder",
        nargs="?",
        type=named_path,
        metavar="FOLDER",
        help="videos to index meanwhile (default: none)",
    )
    answering.add_argument("--preset", help="which models to use (default: the setting)")
    answering.add_argument("--starts", type=count, default=3, metavar="N", help="cold starts (default: 3)")
    answering.add_argument(
        "--seconds", type=positive_seconds, default=60.0, help="at most so long beside indexing (default: 60)"
    )
    answering.set_defaults(run=run_answers)

    window = add_command(
        actions,
        "window",
        "how long the window does not answer while it starts, indexes and is typed into",
        "m2hf-app bench window --json",
    )
    window.add_argument(
        "folder",
        nargs="?",
        type=named_path,
        metavar="FOLDER",
        help="videos to index (default: 12 of the demo)",
    )
    window.add_argument("--preset", default="demo", help="with which models (default: demo)")
    window.add_argument(
        "--query", default="two green circles", help="what is typed (default: two green circles)"
    )
    window.set_defaults(run=run_window)


def sizes(text: str) -> tuple[int, ...]:
    """`1000,10000` as numbers of clips."""
    found = tuple(int(part) if part.strip().isdecimal() else 0 for part in text.split(","))
    if min(found) < 10:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of sizes of 10 clips or more")
    return found


def run_search(args: argparse.Namespace) -> int:
    from app.services.bench_search import bench_search

    return measured(
        lambda progress: bench_search(
            args.clips,
            queries=args.queries,
            exhaustive=args.exhaustive,
            compare=args.compare,
            towers=args.towers,
            seed=args.seed,
            folder=args.dir,
            progress=progress,
            build_limit_s=args.build_limit,
        )
    )


def run_answers(args: argparse.Namespace) -> int:
    from app.services.bench_answers import bench_answers

    return measured(
        lambda progress: bench_answers(
            args.data_dir,
            args.folder,
            preset=args.preset,
            starts=args.starts,
            seconds=args.seconds,
            progress=progress,
        )
    )


def run_window(args: argparse.Namespace) -> int:
    """In a library of its own, which is removed afterwards."""
    require_window()
    from app.gui.bench import bench_window
    from m2hf_core.model.bench import machine

    with tempfile.TemporaryDirectory(prefix="m2hf-bench-") as room, shown_progress() as progress:
        folder = args.folder or Path(room) / "videos"
        if args.folder is None:
            from m2hf_core.synthetic import demo_set
            from m2hf_core.synthetic.files import render_library

            render_library(
                demo_set(0, clips=WINDOW_CLIPS, queries=WINDOW_CLIPS).specs, folder, progress=progress
            )
        document = bench_window(
            Path(room) / "library", folder, args.query, preset=args.preset, progress=progress
        )
    print_json({"machine": {**machine(), "cores": os.cpu_count()}, **document})
    return 0


def positive_seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number of seconds")
    return seconds


def run_extract(args: argparse.Namespace) -> int:
    from app.services.bench_extract import bench_extract, folders_to_measure
    from m2hf_core.config.paths import open_paths
    from m2hf_core.config.settings import Settings

    settings = Settings.load(open_paths(args.data_dir))
    return measured(
        lambda progress: bench_extract(
            folders_to_measure(args.data_dir, args.folders),
            preset=args.preset or str(settings.get("preset")),
            device=args.device or str(settings.get("device")),
            seconds=args.seconds,
            random_weights=args.random_weights,
            progress=progress,
        )
    )


def measured(measure: Callable[[Progress], object]) -> int:
    """Run it under a progress line, and print what it found."""
    with shown_progress() as progress:
        document = measure(progress)
    print_json(document)
    return 0


def run_train(args: argparse.Namespace) -> int:
    if args.what == "forward":
        from m2hf_core.model.bench import forward

        print_json(forward())
        return 0
    from m2hf_core.features.device import resolve_device
    from m2hf_core.training import bench

    measure = bench.frozen if args.what == "frozen" else bench.end_to_end
    print_json(measure(args.batch or 128, args.frames or 12, device=resolve_device(args.device)))
    return 0
