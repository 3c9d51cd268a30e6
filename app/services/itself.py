"""How this program starts itself, for what is better done in a process of its own."""

from __future__ import annotations

import sys


def own_command(*words: str) -> list[str]:
    """The command line that starts this very program: the frozen one is its own interpreter."""
    if getattr(sys, "frozen", False):
        return [sys.executable, *words]
    return [sys.executable, "-m", "app.cli.main", *words]
