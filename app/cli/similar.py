"""`similar`: moments like a moment, or like a picture."""

from __future__ import annotations

import argparse

from app.cli.common import Subparsers, add_command, print_json, say, write
from app.cli.search import count
from m2hf_core.records import FUSIONS


def add(subparsers: Subparsers) -> None:
    command = add_command(
        subparsers,
        "similar",
        "find moments like a moment of a video, or like a picture",
        "m2hf-app similar ~/Videos/dog.mp4@12.5",
    )
    command.add_argument(
        "target",
        metavar="VIDEO[@SECONDS] or IMAGE",
        help="an indexed video and a moment in it, or a picture file",
    )
    command.add_argument("-k", type=count, default=10, metavar="N", help="how many hits (default: 10)")
    command.add_argument(
        "--fusion", choices=FUSIONS, help="how branch ranks become one (default: the setting, mmbf)"
    )
    command.add_argument("--preset", help="use what this preset has extracted")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.services.ahead import open_for_answers

    with open_for_answers(args.data_dir, preset=args.preset) as library:
        from app.cli.render import search_json, search_lines
        from app.services.similar import similar

        for notice in library.notices:
            say(notice)
        answer = similar(library, args.target, k=args.k, fusion=args.fusion)
    if args.json:
        print_json(search_json(answer))
        return 0
    for line in search_lines(answer):
        write(line)
    return 0
