"""Files that are whole or absent: written aside, brought to the disk, renamed.

A program that is killed, or a disk that fills up, leaves the former file as it was.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from m2hf_core.errors import DiskFull, KnownError

TRY_AGAIN = "Free some space and try again."


def write_aside(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Write `content`, or what it writes, to `path`, whose folder exists. Raises `OSError`."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with aside.open("wb") as file:
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
