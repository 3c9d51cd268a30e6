"""`bench`: figures of this machine, as JSON."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from app.cli.common import Subparsers, add_command, print_json, shown_progress


def add(subparsers: Subparsers) -> None:
    bench = add_command(
        subparsers, "bench", "measure this machine", "m2hf-app bench train --what forward", group=True
    )
    actions = bench.add_subparsers(dest="action", metavar="ACTION", required=True)
    training = add_command(actions, "train", "the scorer's own speed", "m2hf-app bench train --what forward")
    training.add_argument(
        "--what", choices=("forward",), default="forward", help="forward: scores per second"
    )
    training.set_defaults(run=run_train)
    extraction = add_command(
        actions,
        "extract",
        "what extraction costs, and where its time goes",
        "m2hf-app bench extract ~/Videos --preset paper-b16 --random-weights --seconds 120",
    )
    extraction.add_argument(
        "folders", nargs="*", type=Path, metavar="FOLDER", help="default: every watched folder"
    )
    extraction.add_argument("--preset", help="which models to use (see: m2hf-app models list)")
    extraction.add_argument("--device", help="auto, cpu, cuda, cuda:0 or mps (default: the setting, auto)")
    extraction.add_argument(
        "--seconds", type=positive_seconds, help="stop choosing files at so many seconds of video"
    )
    extraction.add_argument(
        "--random-weights",
        action="store_true",
        help="measure networks that are not on this machine, with random numbers instead of weights",
    )
    extraction.set_defaults(run=run_extract)


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
    with shown_progress() as progress:
        document = bench_extract(
            folders_to_measure(args.data_dir, args.folders),
            preset=args.preset or str(settings.get("preset")),
            device=args.device or str(settings.get("device")),
            seconds=args.seconds,
            random_weights=args.random_weights,
            progress=progress,
        )
    print_json(document)
    return 0


def run_train(args: argparse.Namespace) -> int:
    from m2hf_core.model.bench import forward

    print_json(forward())
    return 0
