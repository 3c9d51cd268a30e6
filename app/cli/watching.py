"""`pause` and `resume`: hold extraction, whichever program does it, and let it go on."""

from __future__ import annotations

import argparse

from app.cli.common import Subparsers, add_command, print_json, write


def add(subparsers: Subparsers) -> None:
    for name, summary, paused in (
        ("pause", "hold indexing into this library, in whichever program it runs", True),
        ("resume", "let indexing go on", False),
    ):
        command = add_command(subparsers, name, summary, f"m2hf-app {name}")
        command.set_defaults(run=run, paused=paused)


def run(args: argparse.Namespace) -> int:
    from app.services.holding import set_paused
    from app.services.library import open_library

    with open_library(args.data_dir, mode="write") as library:
        changed = set_paused(library.store, args.paused)
    if args.json:
        print_json({"paused": args.paused, "changed": changed})
    elif args.paused:
        write("Paused. Search works on; go on with: m2hf-app resume")
    else:
        write("Indexing goes on." if changed else "Indexing was not paused.")
    return 0
