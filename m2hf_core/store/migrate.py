"""Brings a database file to this program's version, or says kindly why it cannot.

Alembic's scripts are run by hand, without env.py or an ini file: each file has one straight line of revisions,
and one transaction takes it from whatever it has to the newest or leaves it untouched.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine

from m2hf_core.errors import NewerStore, StoreError
from m2hf_core.store.columns import shown

MIGRATIONS = Path(__file__).parent / "migrations"


def revision_of(connection: sqlite3.Connection, path: Path) -> str | None:
    """The revision stamped in the file, None for a file without any table.

    Raises `StoreError` for a healthy SQLite file that is not ours.
    """
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    if not tables:
        return None
    rows: list[str] = []
    if "alembic_version" in tables:
        rows = [row for (row,) in connection.execute("SELECT version_num FROM alembic_version")]
    if len(rows) != 1:
        raise StoreError(
            f"The file {shown(path)} is a database of another program.",
            "Move it away, or choose another folder with --data-dir.",
            f"tables: {', '.join(tables)}",
        )
    return rows[0]


def upgrade(
    engine: Engine, path: Path, scripts: Path, current: str | None, before: Callable[[], None]
) -> None:
    """Run what is missing since `current`, in one transaction; `before` first where the file holds something.

    `engine` must not enforce foreign keys: rebuilding a table would cascade through those that refer to it.
    They are checked once at the end instead. Raises `NewerStore` for a revision that this program does not know.
    """
    # Alembic takes a third of a second to import and is needed on the first day and after an update only.
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    directory = ScriptDirectory(str(scripts), version_locations=[str(scripts)])
    known = {script.revision for script in directory.walk_revisions()}
    if current is not None and current not in known:
        raise newer(path, current)
    if current is not None:
        before()
    with engine.execution_options(writes=True).begin() as connection:
        context = MigrationContext.configure(connection)
        steps = list(directory.iterate_revisions("head", current or "base"))
        for step in reversed(steps):
            with Operations.context(context):
                step.module.upgrade()
            context.stamp(directory, step.revision)
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        assert not broken, f"the migration of {path} left rows that refer to nothing: {broken[:3]}"


def newer(path: Path, revision: str) -> NewerStore:
    return NewerStore(
        f"The library {shown(path)} was written by a newer version of this program.",
        "Update the program, or use another library with --data-dir. Nothing was changed.",
        f"revision {revision}",
    )


def unfit(path: Path, scripts: Path, revision: str | None) -> StoreError:
    """Why a file that cannot be written cannot be read either: it is of another version."""
    from alembic.script import ScriptDirectory

    directory = ScriptDirectory(str(scripts), version_locations=[str(scripts)])
    if revision is not None and revision not in {script.revision for script in directory.walk_revisions()}:
        return newer(path, revision)
    return StoreError(
        f"The library {shown(path)} was written by an older version of this program, and cannot be upgraded "
        "because its folder cannot be written.",
        "Make the folder writable and open the library once.",
        f"revision {revision}",
    )
