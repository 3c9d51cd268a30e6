"""How this program starts itself, for what is better done in a process of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def own_command(*words: str) -> list[str]:
    """The command line that starts this very program: the frozen one is its own interpreter."""
    if getattr(sys, "frozen", False):
        return [sys.executable, *words]
    return [sys.executable, "-m", "app.cli.main", *words]


def lasting_command(*words: str) -> list[str]:
    """The same for an entry that outlives this process: an AppImage's program lies where it is mounted for so long
    as it runs, and what starts it names the image in `APPIMAGE` and that place in `APPDIR`. Both are inherited, so from
    the terminal of another AppImage they are about that one."""
    image, mounted = os.environ.get("APPIMAGE"), os.environ.get("APPDIR")
    if getattr(sys, "frozen", False) and image and mounted and Path(sys.executable).is_relative_to(mounted):
        return [image, *words]
    return own_command(*words)
