"""What may be thrown away when the disk budget asks for it: pictures of moments, oldest first; posters stay.

A poster is all that is left to show of a video whose drive is away; the picture of a moment is made again in no time.
"""

from __future__ import annotations

from pathlib import Path

from m2hf_core.config.paths import Paths
from m2hf_core.config.settings import Settings

CLEANED_TO = 0.8
"""A full cache is cleaned to this part of its budget, so that it is not full again at once."""


def picture_of_moment(thumbnails: Path, fingerprint: str, at_s: float, side: int) -> Path:
    """Where the picture of a moment lies, whether it is there or not."""
    return thumbnails / fingerprint / f"{round(at_s * 1000)}-{side}.jpg"


def make_room(paths: Paths) -> int:
    """Delete the pictures that were not looked at for longest, if all take more than the budget; answers how many."""
    pictures = sorted(_pictures(paths))
    used, budget = sum(size for _, size, _ in pictures), _budget(paths)
    if used <= budget:
        return 0
    gone = 0
    for _, size, path in pictures:
        if used <= budget * CLEANED_TO:
            break
        path.unlink(missing_ok=True)
        used -= size
        gone += 1
    for folder in paths.thumbnails.iterdir():
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return gone


def _budget(paths: Paths) -> int:
    return int(str(Settings.load(paths).get("cache_mb"))) << 20


def _pictures(paths: Paths) -> list[tuple[float, int, Path]]:
    """(looked at, bytes, path) of every picture of a moment."""
    found = []
    for path in paths.thumbnails.glob("*/*.jpg"):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # cleaned up by another program at this moment
        found.append((status.st_mtime, status.st_size, path))
    return found
