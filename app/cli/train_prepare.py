"""`train prepare`: a data set's features and captions, once and for all, as `train` and `eval` read them."""

from __future__ import annotations

import argparse

from app.cli.common import Subparsers, add_command, named_path, print_json, shown_progress, write
from app.cli.search import count
from m2hf_core.errors import UsageError

DATASETS = (
    "msrvtt-9k",
    "msrvtt-7k",
    "msrvtt-full",
    "msvd",
    "lsmdc",
    "didemo",
    "activitynet",
    "manifest",
    "synthetic",
)


def add_prepare(actions: Subparsers) -> None:
    command = add_command(
        actions,
        "prepare",
        "extract a data set once, for training and evaluation; goes on where it was stopped",
        "m2hf-app train prepare msrvtt-9k --annotations ~/msrvtt --videos ~/msrvtt/videos --out ~/prepared/msrvtt",
    )
    command.add_argument("dataset", choices=DATASETS, metavar="DATASET", help=", ".join(DATASETS))
    command.add_argument(
        "--annotations",
        type=named_path,
        metavar="PATH",
        help="folder of the published files, or the manifest",
    )
    command.add_argument(
        "--videos",
        type=named_path,
        metavar="DIR",
        help="folder of the videos (default: that of the annotations)",
    )
    command.add_argument(
        "--out", type=named_path, metavar="DIR", required=True, help="where the prepared data goes"
    )
    command.add_argument(
        "--preset", help="which networks to use (default: demo for synthetic, else the setting)"
    )
    command.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0 or mps (default: auto)")
    command.add_argument(
        "--allow-missing", action="store_true", help="go on without videos that are missing or cannot be read"
    )
    command.add_argument(
        "--words",
        type=count,
        metavar="T",
        help="tokens of a caption that are kept (default: 32; paragraphs 64)",
    )
    command.add_argument("--seed", type=int, default=0, help="synthetic: which world is drawn (default: 0)")
    command.add_argument(
        "--sizes",
        default="8000,500,1000",
        metavar="TRAIN,VAL,TEST",
        help="synthetic: clips per split (default: 8000,500,1000)",
    )
    command.set_defaults(run=run_prepare)


def run_prepare(args: argparse.Namespace) -> int:
    from app.services.training_data import Order, prepare, prepare_world
    from m2hf_core.config.paths import open_paths
    from m2hf_core.config.settings import Settings

    with shown_progress() as progress:
        if args.dataset == "synthetic":
            done = prepare_world(
                args.out, sizes(args.sizes), args.seed, args.preset or "demo", args.device, progress
            )
        else:
            if args.annotations is None:
                raise UsageError(
                    f"Where are the annotations of {args.dataset}?", "Name them: --annotations PATH"
                )
            place = args.annotations
            videos = args.videos or (place if place.is_dir() else place.parent)
            preset = args.preset or str(Settings.load(open_paths(args.data_dir)).get("preset"))
            done = prepare(
                Order(
                    args.dataset,
                    place,
                    videos,
                    args.out,
                    preset,
                    args.device,
                    args.allow_missing,
                    args.words,
                ),
                progress,
            )
    if args.json:
        print_json(done.document())
        return 0
    for line in done.lines():
        write(line)
    return 0


def sizes(text: str) -> tuple[int, int, int]:
    """`TRAIN,VAL,TEST` as three whole numbers."""
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        raise UsageError(
            f"--sizes takes three whole numbers, not {text!r}.", "For example: --sizes 800,100,100"
        )
    train, val, test = (int(part) for part in parts)
    return train, val, test
