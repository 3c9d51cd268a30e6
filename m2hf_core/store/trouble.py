"""The one place where SQLite's complaints become sentences that a person can act on."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from m2hf_core.errors import CorruptStore, DiskFull, KnownError, LibraryBusy, StoreError
from m2hf_core.store.columns import shown

NEARLY_NOTHING = 1 << 20
"""Bytes free below which an unexplained input/output error is a full disk."""

# SQLite's names for its result codes, and how each begins when only the message is known.
FULL = ("SQLITE_FULL", "database or disk is full")
BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED", "database is locked", "database table is locked")
CORRUPT = (
    "SQLITE_CORRUPT",
    "SQLITE_NOTADB",
    "database disk image is malformed",
    "file is not a database",
    "Could not decode to UTF-8",  # Python's own: bytes where text was stored
)
READ_ONLY = ("SQLITE_READONLY", "attempt to write a readonly database")
NO_ACCESS = ("SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH", "unable to open database file")
BAD_DISK = ("SQLITE_PROTOCOL", "SQLITE_IOERR", "SQLITE_NOLFS", "locking protocol", "disk I/O error")


@contextmanager
def translating(database: Path, hint_if_corrupt: str = "") -> Iterator[None]:
    """Within this block, what SQLite and the disk complain about is raised as a `KnownError` on `database`.

    Anything else (a missing table, a broken constraint) is our own bug and passes unchanged.
    """
    try:
        yield
    except DBAPIError as error:
        if not isinstance(error.orig, sqlite3.Error):
            raise
        known = _known(error.orig, database, hint_if_corrupt)
        if known is None:
            raise
        raise known from error
    except sqlite3.Error as error:
        known = _known(error, database, hint_if_corrupt)
        if known is None:
            raise
        raise known from error
    except OSError as error:
        known = _known_os(error, database)
        if known is None:
            raise
        raise known from error


def local_disk_needed(database: Path, detail: str) -> StoreError:
    """For folders on network disks and the like, where SQLite's locks or shared memory do not work."""
    return StoreError(
        f"The folder {shown(database.parent)} cannot hold the library: its disk does not support the locks "
        "that a database needs.",
        "Choose a folder on a local disk with --data-dir or M2HF_DATA_DIR; the videos may stay where they are.",
        detail,
    )


class NotWritable(StoreError):  # noqa: N818 - a state of the world, told as one
    """The folder or file may be read but not written."""


def not_writable(database: Path, detail: str = "") -> NotWritable:
    return NotWritable(
        f"The folder {shown(database.parent)} cannot be written.",
        "Searching may still work; to index, change its permissions or choose another with --data-dir.",
        detail,
    )


def disk_full(database: Path, detail: str = "") -> DiskFull:
    return DiskFull(
        f"The disk that holds {shown(database.parent)} is full.",
        "Free some space and try again; nothing that was finished is lost.",
        detail,
    )


def _known(error: sqlite3.Error, database: Path, hint_if_corrupt: str) -> KnownError | None:
    code = getattr(error, "sqlite_errorname", "")
    says = str(error)
    detail = f"{shown(database)}: {says}" + (f" ({code})" if code else "")

    def among(kind: tuple[str, ...]) -> bool:
        return code.startswith(kind) or (not code and says.startswith(kind))

    if among(FULL) or (among(BAD_DISK) and _is_full(database)):
        return disk_full(database, detail)
    if among(BUSY):
        return LibraryBusy(
            f"Another program has kept {shown(database)} busy for too long.",
            "Wait for it to finish, or close it, and try again.",
            detail,
        )
    if among(CORRUPT):
        return CorruptStore(f"The file {shown(database)} is damaged.", hint_if_corrupt, detail)
    if among(READ_ONLY):
        return not_writable(database, detail)
    if among(NO_ACCESS):
        return StoreError(
            f"The file {shown(database)} cannot be opened.",
            "Check that it and its folder exist and that you may read them.",
            detail,
        )
    if among(BAD_DISK):
        return local_disk_needed(database, detail)
    return None


def _known_os(error: OSError, database: Path) -> KnownError | None:
    detail = f"{shown(database)}: {error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(database, detail)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return not_writable(database, detail)
    if error.errno in (errno.ENOLCK, errno.ENOTSUP):
        return local_disk_needed(database, detail)
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG):
        return not_a_folder(database, detail)
    return None


def not_a_folder(database: Path, detail: str = "") -> StoreError:
    return StoreError(
        f"{shown(database.parent)} cannot be the library's folder.",
        "Choose another with --data-dir or M2HF_DATA_DIR.",
        detail,
    )


def _is_full(database: Path) -> bool:
    folder = database.parent
    return os.path.isdir(folder) and shutil.disk_usage(folder).free < NEARLY_NOTHING
