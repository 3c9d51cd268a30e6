"""Parses the command line and is the one place where a failure becomes a sentence and an exit code."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from app.cli import (
    bench,
    captions,
    demo,
    doctor,
    eval,
    export,
    failures,
    gui,
    index,
    library,
    models,
    scorer,
    search,
    serve,
    settings,
    similar,
    status,
    train,
    watching,
)
from app.cli.common import say
from app.services.early import seek_garbage_seldom
from m2hf_core.errors import EXIT_INTERRUPTED, Interrupted, KnownError

COMMANDS = (
    gui,
    demo,
    index,
    watching,
    search,
    captions,
    similar,
    export,
    serve,
    status,
    failures,
    library,
    models,
    scorer,
    train,
    eval,
    settings,
    bench,
    doctor,
)
"""Each module has `add(subparsers)` and sets `run`, a function of the parsed arguments that returns the exit code."""


class _Parser(argparse.ArgumentParser):
    """Keeps the line breaks of examples; every sub-parser is made of it too."""

    def __init__(self, **keywords: object) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **keywords)  # type: ignore[arg-type]


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; building it imports nothing heavy."""
    parser = _Parser(
        prog="m2hf-app",
        description="Search your own videos by what is seen, heard, done and said. Everything stays on this machine.",
        epilog="Example: m2hf-app demo",
    )
    parser.add_argument("--version", action="version", version=_version())
    parser.set_defaults(run=gui.run, data_dir=None, preset=None)  # without a command the window opens
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in COMMANDS:
        command.add(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code and never lets a known failure end in a traceback."""
    try:
        args = build_parser().parse_args(argv)
        code: int = args.run(args)
        sys.stdout.flush()
    except (Interrupted, KeyboardInterrupt):
        say("m2hf-app: stopped. What was finished stays; the same command goes on from there.")
        return EXIT_INTERRUPTED
    except KnownError as error:
        say(f"m2hf-app: {error}")
        if error.detail and os.environ.get("M2HF_DEBUG"):
            say(error.detail)
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output has seen enough (as `head` does); that is no failure of ours.
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - must stay open until the interpreter ends
        return 0
    return code


def run() -> None:
    """The console script."""
    seek_garbage_seldom()
    try:
        code = main()
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    gc.freeze()  # or Python looks for garbage among everything that torch brought before it ends: 0.5 s
    sys.exit(code)


def _version() -> str:
    from importlib.metadata import version

    return f"m2hf-app {version('m2hf-app')}"


if __name__ == "__main__":
    run()
