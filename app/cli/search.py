"""`search`: text to moments."""

from __future__ import annotations

import argparse

from app.cli.common import Subparsers, add_command, print_json, say, shown_progress, write
from m2hf_core.errors import UsageError
from m2hf_core.records import BRANCHES, FUSIONS, Branch


def add(subparsers: Subparsers) -> None:
    command = add_command(
        subparsers,
        "search",
        "find the moments that a sentence describes",
        'm2hf-app search "a red square" -k 5',
    )
    command.add_argument(
        "query",
        metavar="QUERY",
        help="what happens in the moment, in plain words; "
        'also -word, "exact words", speech:word, filters such as in:Folder, and A > B (see README.md); '
        "one that begins with a minus goes behind a --",
    )
    command.add_argument("-k", type=count, default=10, metavar="N", help="how many hits (default: 10)")
    command.add_argument(
        "--branches", type=branch_list, metavar="A,B", help="only these of visual,audio,motion,speech"
    )
    command.add_argument(
        "--fusion", choices=FUSIONS, help="how branch ranks become one (default: the setting, mmbf)"
    )
    command.add_argument(
        "--explain", action="store_true", help="with each hit, which word was found at which time"
    )
    command.add_argument("--preset", help="search what this preset has extracted")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.services.ahead import open_for_answers

    with open_for_answers(args.data_dir, preset=args.preset) as library:
        from app.cli.render import alignment_lines, search_json, search_lines
        from app.services.searching import search

        for notice in library.notices:
            say(notice)
        with shown_progress() as progress:
            answer = search(
                library,
                args.query,
                k=args.k,
                branches=args.branches,
                fusion=args.fusion,
                explain=args.explain,
                progress=progress,
            )
    if args.json:
        print_json(search_json(answer, explain=args.explain))
        return 0
    for line in search_lines(answer):
        write(line)
    if args.explain:
        for line in alignment_lines(answer):
            write(line)
    return 0


def count(text: str) -> int:
    """A positive number of hits."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


def branch_list(text: str) -> tuple[Branch, ...]:
    """`visual,speech` as branches, in the order of the tables."""
    names = {name.strip() for name in text.split(",") if name.strip()}
    unknown = names - set(BRANCHES)
    if unknown or not names:
        raise UsageError(
            f"There is no branch called {', '.join(sorted(unknown)) or 'nothing'}.",
            f"The branches are {', '.join(BRANCHES)}.",
        )
    return tuple(branch for branch in BRANCHES if branch in names)
