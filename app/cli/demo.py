"""`demo`: renders a small world of its own, indexes it with the bundled demo models and searches it."""

from __future__ import annotations

import argparse

from app.cli import gui
from app.cli.common import Subparsers, add_command, named_path, print_json, shown_progress, write
from app.cli.search import count


def add(subparsers: Subparsers) -> None:
    command = add_command(
        subparsers,
        "demo",
        "render, index and search a small demo library, then show it",
        "m2hf-app demo --headless",
    )
    command.add_argument(
        "--dir", type=named_path, metavar="D", help="where to put it (default: demo in the data folder)"
    )
    command.add_argument("--headless", action="store_true", help="print only, open no window")
    command.add_argument(
        "--seed", type=whole, default=0, metavar="S", help="which demo library is drawn (default: 0)"
    )
    command.add_argument(
        "--seeds", type=count, metavar="N", help="draw N libraries, seeds 0 to N-1, and average"
    )
    command.set_defaults(run=run)


def whole(text: str) -> int:
    """A seed: any whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def run(args: argparse.Namespace) -> int:
    from app.cli.render import branch_table, search_json, search_lines
    from app.services.demo import demo_folder, mean_figures, run_demo

    folder = args.dir or demo_folder(args.data_dir)
    seeds = range(args.seeds) if args.seeds else [args.seed]
    with shown_progress() as progress:
        reports = [run_demo(folder / f"seed-{seed}", seed, progress) for seed in seeds]
    if args.json:
        documents = [
            {
                "seed": report.seed,
                "seconds": report.seconds,
                "queries": len(report.answers),
                "t2v": report.t2v,
                "search": [search_json(answer) for answer in report.answers],
            }
            for report in reports
        ]
        print_json({"seeds": documents, "mean": mean_figures(reports)} if args.seeds else documents[0])
        return 0
    write("The demo models know only this demo world of coloured shapes; they say nothing about real videos.")
    for report in reports:
        for answer, truth in zip(report.answers, report.truths, strict=True):
            write()
            for line in search_lines(answer):
                write(line)
            write(f"     wanted: {truth.stem}")
    write()
    for report in reports:
        times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in report.seconds.items())
        write(f"seed {report.seed}: {times}")
    for line in branch_table(mean_figures(reports)):
        write(line)
    if args.headless or args.seeds or not gui.has_screen():
        return 0
    return gui.show(folder / f"seed-{args.seed}" / "library", preset="demo")
