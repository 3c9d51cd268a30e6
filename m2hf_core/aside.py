"""Files that are whole or absent: written aside, brought to the disk, renamed.

A program that is killed, or a disk that fills up, leaves the former file as it was.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from m2hf_core.errors import DiskFull, KnownError

LEFT = re.compile(r"\..+\.(\d+)\.part")
"""The number is that of the process that writes it."""
TRY_AGAIN = "Free some space and try again."


def write_aside(path: Path, content: bytes | Callable[[BinaryIO], object], *, private: bool = False) -> None:
    """Write `content`, or what it writes, to `path`, whose folder exists. Raises `OSError`.

    `private`: for its owner's eyes alone, from the first byte on.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with _for_the_owner(aside) if private else aside.open("wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise


def sweep(folder: Path, older_s: float = 0.0, runs: Callable[[int], bool] | None = None) -> None:
    """Remove what killed programs left aside in `folder`, where nobody else writes, or not for as long as `older_s`.

    `runs`: whether a process of this number is there; what belongs to one stays.
    """
    before = time.time() - older_s
    with suppress(OSError):  # the next sweep takes what this one could not
        for aside in folder.glob(".*.part"):
            left = LEFT.fullmatch(aside.name)
            if left is None or (older_s and aside.stat().st_mtime >= before):
                continue
            if runs is None or not runs(int(left[1])):
                aside.unlink(missing_ok=True)


def _for_the_owner(aside: Path) -> BinaryIO:
    aside.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(aside, flags, 0o600), "wb")


def write_file(path: Path, content: bytes | Callable[[BinaryIO], object], hint: str = TRY_AGAIN) -> None:
    """The same with its folder made, and the disk's refusals as sentences: `DiskFull` with `hint`, `KnownError`."""
    with explained(path, hint):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_aside(path, content)


@contextmanager
def explained(path: Path, hint: str = TRY_AGAIN) -> Iterator[None]:
    """Turn what the disk refuses into a sentence about `path`; `hint` is for a full one."""
    try:
        yield
    except OSError as error:
        raise cannot_write(error, path, hint) from error


def cannot_write(error: OSError, path: Path, hint: str = TRY_AGAIN) -> KnownError:
    """The sentence for a file that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"There is no room left for {path.name} in {path.parent}.", hint, repr(error))
    return KnownError(f"{path} cannot be written.", f"{error.strerror or error}.", repr(error))
