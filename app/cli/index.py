"""`index`: make everything in the given folders searchable, then stop, or stay and watch them."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from app.cli.common import (
    LOOK_EVERY_S,
    Subparsers,
    add_command,
    add_extraction,
    clock,
    print_json,
    say,
    shown_progress,
    visible,
    write,
)
from app.cli.interrupts import stopped_by

if TYPE_CHECKING:
    from app.services.background import Background, BackgroundSnapshot
    from m2hf_core.progress import Progress

ALSO_STOPPED_BY = ("SIGTERM", "SIGHUP")
"""A shutdown or a closed terminal blames no file either."""


def add(subparsers: Subparsers) -> None:
    command = add_command(
        subparsers,
        "index",
        "extract what search needs until nothing is left",
        "m2hf-app index ~/Videos --watch",
    )
    add_extraction(command, "auto, cpu, cuda, cuda:0, cuda:0,cuda:1 or mps")
    command.add_argument(
        "--watch",
        action="store_true",
        help="stay, and take in what is added, changed or renamed, until Ctrl-C",
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    return _watch(args) if args.watch else _index(args)


def _index(args: argparse.Namespace) -> int:
    from app.services.indexing import index_folders
    from app.services.library import open_library

    with (
        open_library(args.data_dir, preset=args.preset, mode="create") as library,
        shown_progress(*ALSO_STOPPED_BY) as progress,
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


def _watch(args: argparse.Namespace) -> int:
    """Follow a `Background` until Ctrl-C (exit code 130) or until it fails."""
    from app.services.background import Background
    from app.services.folders import add_folders
    from app.services.indexing import watchable, worker_configs
    from app.services.library import open_library
    from m2hf_core.errors import KnownError

    with open_library(args.data_dir, preset=args.preset, mode="create") as library:
        worker_configs(library, args.device)  # a wrong word is told before anything begins
        add_folders(library, args.folders)
        watchable(library)
    background = Background(args.data_dir, args.preset, device=args.device)
    with stopped_by("SIGINT", *ALSO_STOPPED_BY) as progress:
        background.start()
        try:
            last = _follow(background, progress, as_json=args.json)
        finally:
            background.stop(None)
    raise KnownError(last.why)


def _follow(background: Background, progress: Progress, *, as_json: bool) -> BackgroundSnapshot:
    """Say what changes; returns when the background has failed, raises `Interrupted`."""
    said, width = "", 0
    heard: set[str] = set()
    while True:
        now = background.snapshot()
        for notice in now.notices:
            if notice not in heard:
                heard.add(notice)
                say(notice)
        line = visible(_line(now))
        if sys.stderr.isatty():
            sys.stderr.write("\r" + line.ljust(width))
            sys.stderr.flush()
            width = len(line)
        elif not as_json and (plain := _state_line(now)) != said:
            said = plain
            write(plain)
            sys.stdout.flush()
        if now.state in ("failed", "stopped"):
            return now
        time.sleep(LOOK_EVERY_S)
        progress.check()


def _state_line(now: BackgroundSnapshot) -> str:
    counts = f"{now.ready} searchable, {now.queued} waiting, {now.failed} failed"
    return f"{now.state}: {counts}" + (f" ({now.why})" if now.why else "")


def _line(now: BackgroundSnapshot) -> str:
    parts = [_state_line(now)]
    if now.file is not None:
        parts.append(f"{now.file.name}: {now.stage}")
    if now.rate > 0:
        parts.append(f"{now.rate:.1f} x real time")
    if now.eta_s is not None:
        parts.append(f"{clock(now.eta_s)} left")
    return "   ".join(parts)
