"""`failures`: which files did not get through, and what to do about each."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from app.cli.common import Subparsers, add_command, print_json, write


def add(subparsers: Subparsers) -> None:
    command = add_command(
        subparsers, "failures", "list the files that failed, and why", "m2hf-app failures --retry"
    )
    command.add_argument(
        "--retry", action="store_true", help="queue all of them again for the next index run"
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.services.library import open_library
    from app.services.status import list_failures, retry_failures

    with open_library(args.data_dir, mode="write" if args.retry else "read") as library:
        failures = list_failures(library)
        retried = retry_failures(library) if args.retry else 0
    if args.json:
        print_json([asdict(failure) for failure in failures])
        return 0
    for failure in failures:
        write(f"{failure.path}")
        write(f"    {failure.stage}: {failure.reason} {failure.hint}".rstrip())
    if not failures:
        write("No file has failed.")
    if args.retry:
        write(f"{retried} queued again. Run: m2hf-app index")
    return 0
