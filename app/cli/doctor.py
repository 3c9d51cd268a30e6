"""`doctor`: the machine, codecs, weights, store and index, with a remedy for each finding; or the program itself."""

from __future__ import annotations

import argparse

from app.cli.common import Subparsers, add_command, print_json, write


def add(subparsers: Subparsers) -> None:
    command = add_command(subparsers, "doctor", "examine machine, weights and library", "m2hf-app doctor")
    command.add_argument(
        "--smoke",
        action="store_true",
        help="instead try the program itself: render, index and search the demo without a network",
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.services.doctor import examine
    from app.services.smoke import smoke

    findings = smoke() if args.smoke else examine(args.data_dir)
    if args.json:
        print_json([finding.document() for finding in findings])
    else:
        for finding in findings:
            write(f"{'ok     ' if finding.ok else 'attend '} {finding.check:<18} {finding.found}")
            if finding.remedy:
                write(f"{'':<27}{finding.remedy}")
    return 0 if all(finding.ok or not finding.needed for finding in findings) else 1
