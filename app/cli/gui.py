"""`gui`, and the program without a command: opens the window."""

from __future__ import annotations

import argparse
from pathlib import Path

from app.cli.common import Subparsers, add_command
from m2hf_core.errors import KnownError


def add(subparsers: Subparsers) -> None:
    command = add_command(subparsers, "gui", "open the window", "m2hf-app gui")
    command.add_argument("--preset", help="search and index with this preset (default: the setting)")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    return show(args.data_dir, preset=args.preset)


def show(data_dir: Path | None, *, preset: str | None = None) -> int:
    """Open the window on a library until it is closed. Raises `KnownError` where Qt is not there."""
    try:
        from app.gui.start import open_window
    except ImportError as error:
        raise KnownError(
            f"The window cannot open: {error}.",
            "Install the window's libraries with: pip install 'm2hf-app[gui]'; the commands work without them.",
        ) from error
    return open_window(data_dir, preset=preset)
