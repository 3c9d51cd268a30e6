"""`status`: what is searchable."""

from __future__ import annotations

import argparse

from app.cli.common import Subparsers, add_command, clock, print_json, write


def add(subparsers: Subparsers) -> None:
    command = add_command(subparsers, "status", "tell what is searchable and what is not", "m2hf-app status")
    command.add_argument("--preset", help="coverage of this preset")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.services.library import open_library
    from app.services.status import library_status

    with open_library(args.data_dir, preset=args.preset) as library:
        status = library_status(library)
    if args.json:
        print_json(status.document())
        return 0
    videos = status.videos
    write(
        f"{videos['ready']} videos searchable, {videos['queued'] + videos['running']} waiting, "
        f"{videos['failed']} failed, {videos['offline']} offline; {status.clips} clips"
    )
    write(f"{clock(status.seconds['done'])} of video done, about {clock(status.seconds['left'])} left")
    write(f"preset {status.preset}; scorer {status.scorer_id} ({status.scorer_state})")
    for kind, covered in status.coverage.items():
        asleep = status.asleep.get(kind)
        write(f"  {kind:<7} {covered} videos" + (f"   asleep: {asleep}" if asleep else ""))
    return 0
