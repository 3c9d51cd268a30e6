"""Copies of `library.sqlite`, made with SQLite's own backup so that a copy is whole even while others write."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from m2hf_core.store.columns import shown
from m2hf_core.store.trouble import translating

KEPT = 5


def back_up(source: sqlite3.Connection, folder: Path) -> Path:
    """Copy the open database into `folder` under a name with the present time; the last `KEPT` copies stay.

    The copy is written aside and renamed, so what has the final name is always whole.
    Raises `DiskFull` or `StoreError`; then no copy was made and none was removed.
    """
    target = folder / f"library-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.sqlite"
    aside = target.with_suffix(".part")
    with translating(target):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(aside)) as copy:
                source.backup(copy)
                # The copy inherits write-ahead logging; as a plain file it can be carried around alone.
                copy.execute("PRAGMA journal_mode = DELETE")
            os.replace(aside, target)
        finally:
            aside.unlink(missing_ok=True)
        for old in backups(folder)[:-KEPT]:
            old.unlink(missing_ok=True)
    return target


def backups(folder: Path) -> list[Path]:
    """All copies in `folder`, oldest first."""
    return sorted(folder.glob("library-*.sqlite"))


def restore_hint(library: Path, folder: Path) -> str:
    """What to do about a damaged library: where its last copy lies, or that there is none."""
    copies = backups(folder)
    if not copies:
        return (
            f"There is no backup. Move {shown(library)} away and index your folders again; "
            "the extracted features are kept and used again."
        )
    return f"Close the program and copy the last backup, {shown(copies[-1])}, over {shown(library)}."
