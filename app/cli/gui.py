"""`gui`, and the program without a command: opens the window."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from app.cli.common import Subparsers, add_command, named_path
from m2hf_core.errors import KnownError


def add(subparsers: Subparsers) -> None:
    command = add_command(subparsers, "gui", "open the window", "m2hf-app gui")
    command.add_argument(
        "paths",
        nargs="*",
        type=named_path,
        metavar="PATH",
        help="folders to watch from now on; a video stands for the folder that it lies in",
    )
    command.add_argument("--preset", help="search and index with this preset (default: the setting)")
    command.add_argument(
        "--tray",
        action="store_true",
        help="begin as an icon in the tray, where there is one, without a window",
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    paths: list[Path] = getattr(
        args, "paths", []
    )  # without a command the window opens, and nothing was parsed
    if paths:
        watch(args.data_dir, paths)
    return show(args.data_dir, preset=args.preset, hidden=getattr(args, "tray", False))


def watch(data_dir: Path | None, paths: Sequence[Path]) -> None:
    """What the file manager hands over: folders, and videos that stand for theirs."""
    from app.services.folders import add_folders
    from app.services.library import open_library

    folders = list(dict.fromkeys(path if path.is_dir() else path.parent for path in paths))
    with open_library(data_dir, mode="create") as library:
        add_folders(library, folders)


def show(data_dir: Path | None, *, preset: str | None = None, hidden: bool = False) -> int:
    """Open the window on a library until it is closed. Raises `KnownError` where there is no screen or no Qt."""
    require_window()
    from app.gui.start import open_window

    return open_window(data_dir, preset=preset, hidden=hidden)


def require_window() -> None:
    """Raises `KnownError` where there is no screen or no Qt."""
    if not has_screen():
        raise KnownError(
            "There is no screen here, so the window cannot open.",
            "Every command works without it, see: m2hf-app --help",
        )
    try:
        import app.gui.start  # noqa: F401 - whether it can be imported is the question
    except ImportError as error:
        raise KnownError(
            f"The window cannot open: {error}.",
            "Install the window's libraries with: pip install 'm2hf-app[gui]'; the commands work without them.",
        ) from error


def has_screen() -> bool:
    """Qt ends the process where it finds none, so it is not asked."""
    if sys.platform != "linux":
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))
