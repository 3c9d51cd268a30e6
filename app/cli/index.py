"""`index`: make everything in the given folders searchable, then stop."""

from __future__ import annotations

import argparse
from pathlib import Path

from app.cli.common import Subparsers, add_command, print_json, say, shown_progress, write


def add(subparsers: Subparsers) -> None:
    command = add_command(
        subparsers, "index", "extract what search needs until nothing is left", "m2hf-app index ~/Videos"
    )
    command.add_argument(
        "folders", nargs="*", type=Path, metavar="FOLDER", help="default: every watched folder"
    )
    command.add_argument("--preset", help="which models to use (see: m2hf-app models list)")
    command.add_argument("--device", help="auto, cpu, cuda, cuda:0 or mps (default: the setting, auto)")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.services.indexing import index_folders
    from app.services.library import open_library

    with (
        open_library(args.data_dir, preset=args.preset, mode="create") as library,
        shown_progress() as progress,
    ):
        report = index_folders(library, args.folders, device=args.device, progress=progress)
    for notice in report.notices:
        say(notice)
    if args.json:
        print_json(report.document())
        return 0
    for line in report.lines():
        write(line)
    return 0
