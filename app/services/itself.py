"""How this program starts itself, for what is better done in a process of its own."""

from __future__ import annotations

import os
import sys


def own_command(*words: str) -> list[str]:
    """The command line that starts this very program: the frozen one is its own interpreter."""
    if getattr(sys, "frozen", False):
        return [sys.executable, *words]
    return [sys.executable, "-m", "app.cli.main", *words]


def lasting_command(*words: str) -> list[str]:
    """The same for an entry that outlives this process: an AppImage's program lies where it is mounted for so long
    as it runs, and what starts it names the image itself in `APPIMAGE`."""
    image = os.environ.get("APPIMAGE") if getattr(sys, "frozen", False) else None
    return [image, *words] if image else own_command(*words)
