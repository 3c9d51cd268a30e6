"""Finds the video files below a folder, whatever the folder's state: loops, locked rooms, odd names."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from m2hf_core.progress import Progress

# fmt: off
VIDEO_SUFFIXES = frozenset((
    ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg",
    ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".ts",
    ".vob", ".webm", ".wmv", ".y4m",
))
# fmt: on


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that looks like a video, by its ending."""

    path: Path
    size: int
    mtime_ns: int


@dataclass(slots=True)
class Scan:
    """What a walk found, and which folders it could not enter: their files are not known to be gone."""

    files: list[FoundFile] = field(default_factory=list)
    closed: list[tuple[Path, str]] = field(default_factory=list)


def scan_folder(
    root: Path, ignore: Sequence[str], progress: Progress, only: Collection[Path] | None = None
) -> Scan:
    """Walk `root`, or `only` these files and folders below it, in name order.

    `ignore` are shell patterns matched against file and folder names, or, where they hold a slash, against the path
    below the root. A symbolic link is followed once: a folder that was entered already (by device and inode) is not
    entered again.
    """
    found = Scan()
    entered: set[tuple[int, int]] = set()
    waiting = [root] if only is None else []
    for path in sorted(only or (), reverse=True):
        if any(_passed_over(root, parent, ignore) for parent in _from_root(root, path)):
            continue
        waiting.extend(_take(path, found))
        # A link back to where it hangs leads round in a circle; a full walk has entered these folders already.
        entered.update(_places([root, *_from_root(root, path)[1:]]))
    while waiting:
        folder = waiting.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            found.closed.append((folder, error.strerror or type(error).__name__))
            continue
        below: list[Path] = []
        for entry in entries:
            path = Path(entry.path)
            if not _passed_over(root, path, ignore):
                below.extend(_take(path, found, entry))
        waiting.extend(reversed(below))
        progress.update(len(found.files), 0)
    return found


def _places(folders: Sequence[Path]) -> Iterator[tuple[int, int]]:
    """Device and inode of those that are there."""
    for folder in folders:
        try:
            status = folder.stat()
        except OSError:
            continue
        yield status.st_dev, status.st_ino


def _passed_over(root: Path, path: Path, ignore: Sequence[str]) -> bool:
    below = path.relative_to(root).as_posix()
    return path.name.startswith(".") or any(
        fnmatch(below if "/" in pattern else path.name, pattern) for pattern in ignore
    )


def _from_root(root: Path, path: Path) -> list[Path]:
    """`path` and the folders above it, up to the root's children."""
    return [path, *(parent for parent in path.parents if root in parent.parents)]


def _take(path: Path, found: Scan, entry: os.DirEntry[str] | None = None) -> Iterator[Path]:
    """Record a video file, or give back a folder to enter; anything else, and what vanished, is passed over."""
    known = entry or path  # a directory entry often knows its kind without asking the disk
    try:
        if known.is_dir():
            yield path
        elif path.suffix.lower() in VIDEO_SUFFIXES and known.is_file():
            status = known.stat()
            found.files.append(FoundFile(path, status.st_size, status.st_mtime_ns))
    except FileNotFoundError:
        return  # deleted while we looked: it is simply not there
    except OSError as error:
        found.closed.append((path, error.strerror or type(error).__name__))
