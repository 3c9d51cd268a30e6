"""`captions` (video to text) and `caption`, the bank that it searches."""

from __future__ import annotations

import argparse

from app.cli.common import Subparsers, add_command, named_path, print_json, shown_progress, write
from app.cli.search import count
from m2hf_core.records import FUSIONS


def add(subparsers: Subparsers) -> None:
    command = add_command(
        subparsers,
        "captions",
        "find the captions nearest to a moment",
        "m2hf-app captions ~/Videos/dog.mp4@12.5",
    )
    command.add_argument("target", metavar="VIDEO[@SECONDS]", help="an indexed video, and a moment in it")
    command.add_argument("-k", type=count, default=10, metavar="N", help="how many captions (default: 10)")
    command.add_argument(
        "--fusion", choices=FUSIONS, help="how branch ranks become one (default: the setting, mmbf)"
    )
    command.add_argument("--preset", help="use what this preset has extracted")
    command.set_defaults(run=run_captions)
    _add_bank(subparsers)


def _add_bank(subparsers: Subparsers) -> None:
    bank = add_command(
        subparsers,
        "caption",
        "add, import or list the captions to search",
        "m2hf-app caption list",
        group=True,
    )
    actions = bank.add_subparsers(dest="action", metavar="ACTION", required=True)
    adding = add_command(
        actions, "add", "add one caption", 'm2hf-app caption add "a dog runs" --video ~/dog.mp4@3'
    )
    adding.add_argument("text", metavar="TEXT")
    adding.add_argument(
        "--video", metavar="VIDEO[@SECONDS]", help="the video, and the moment, that it describes"
    )
    adding.set_defaults(run=run_add)
    importing = add_command(actions, "import", "import many captions", "m2hf-app caption import captions.txt")
    importing.add_argument(
        "file",
        type=named_path,
        metavar="FILE",
        help="a line per caption, .csv, .jsonl, .srt, or a data set's .json",
    )
    importing.add_argument("--source", help="a name for where they come from (default: the file's name)")
    importing.set_defaults(run=run_import)
    listing = add_command(actions, "list", "list the bank", "m2hf-app caption list")
    listing.set_defaults(run=run_list)


def run_captions(args: argparse.Namespace) -> int:
    from app.services.ahead import open_for_answers

    with open_for_answers(args.data_dir, preset=args.preset) as library, shown_progress() as progress:
        from app.cli.render import caption_lines, captions_json
        from app.services.captions import captions

        answer = captions(library, args.target, k=args.k, fusion=args.fusion, progress=progress)
    if args.json:
        print_json(captions_json(answer))
        return 0
    for line in caption_lines(answer):
        write(line)
    return 0


def run_add(args: argparse.Namespace) -> int:
    from app.services.bank import add_caption
    from app.services.library import open_library

    with open_library(args.data_dir, mode="create") as library:
        caption = add_caption(library, args.text, args.video)
    if args.json:
        print_json(caption)
        return 0
    write("Caption added." if caption["new"] else "That caption is in the bank already.")
    return 0


def run_import(args: argparse.Namespace) -> int:
    from app.services.bank import import_captions
    from app.services.library import open_library

    with open_library(args.data_dir, mode="create") as library, shown_progress() as progress:
        added = import_captions(library, args.file, args.source, progress)
    if args.json:
        print_json({"added": added})
        return 0
    write(f"{added} captions added.")
    return 0


def run_list(args: argparse.Namespace) -> int:
    from app.services.bank import list_captions
    from app.services.library import open_library

    with open_library(args.data_dir) as library:
        captions = list_captions(library)
    if args.json:
        print_json(captions)
        return 0
    for caption in captions:
        write(f"{caption['id']:>6}  {caption['text']}   ({caption['source']})")
    return 0
