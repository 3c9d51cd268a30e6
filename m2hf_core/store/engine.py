"""One SQLite file as an engine with sessions: how it is opened, and what every connection is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.orm import Session

from m2hf_core.store.trouble import local_disk_needed, not_writable, translating

BUSY_TIMEOUT_MS = 5000
WAL_KEPT_BYTES = 64 << 20
"""A log that once grew beyond this is cut back to it."""

Mode = Literal["write", "query", "read", "immutable"]
"""write: may create and change. query: an ordinary connection that refuses to change anything.
read: a file or folder that cannot be written. immutable: the same where SQLite cannot even make its shared memory."""

URI_OPTIONS: dict[Mode, str] = {
    "write": "mode=rwc",
    "query": "mode=rw",
    "read": "mode=ro",
    "immutable": "mode=ro&immutable=1",
}


def connect(
    path: Path, mode: Mode, *, durable: bool = False, foreign_keys: bool = True
) -> sqlite3.Connection:
    """A connection in which BEGIN and COMMIT are ours to say, told everything that a new one must be told.

    `durable` makes each commit reach the disk before it returns (synchronous=FULL instead of NORMAL).
    Raises `StoreError` where the disk cannot do write-ahead logging, `sqlite3.Error` for the rest.
    """
    connection = sqlite3.connect(
        f"{path.as_uri()}?{URI_OPTIONS[mode]}", uri=True, check_same_thread=False, isolation_level=None
    )
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        if mode in ("write", "query"):
            _log_ahead(connection, path)
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")
        if mode == "query":
            connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _log_ahead(connection: sqlite3.Connection, path: Path) -> None:
    (answer,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if answer != "wal":
        raise local_disk_needed(path, f"journal_mode=WAL answered {answer}")


def make_engine(path: Path, mode: Mode, *, durable: bool = False, foreign_keys: bool = True) -> Engine:
    """An engine whose transactions are SQLite's own: BEGIN to read, BEGIN IMMEDIATE to write.

    A transaction that reads first and writes later can be refused at the moment it writes; one that says at once
    that it will write waits for its turn instead.
    """
    engine = create_engine(
        "sqlite://",
        creator=lambda: connect(path, mode, durable=durable, foreign_keys=foreign_keys),
        poolclass=QueuePool,
        pool_size=4,
        max_overflow=12,
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


class Database:
    """One of the library's files, open. Safe to use from several threads, each with its own session."""

    def __init__(self, path: Path, mode: Mode, *, hint_if_corrupt: str, durable: bool = False) -> None:
        self.path = path
        self.read_only = mode != "write"
        self.engine = make_engine(path, mode, durable=durable)
        self._writing = self.engine.execution_options(writes=True)
        self._hint = hint_if_corrupt

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one moment of the database and changes nothing."""
        with translating(self.path, self._hint), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session in one write transaction: committed at the end, rolled back on any exception.

        Raises `StoreError` at once when the store was opened for reading only.
        """
        if self.read_only:
            raise not_writable(self.path)
        with (
            translating(self.path, self._hint),
            Session(self._writing, expire_on_commit=False) as session,
            session.begin(),
        ):
            session.connection()  # a session waits with BEGIN until its first statement, we wait here for our turn
            yield session

    def pragma(self, statement: str) -> list[tuple[Any, ...]]:
        """All rows of one PRAGMA, for checks."""
        with translating(self.path, self._hint), self.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(f"PRAGMA {statement}")]

    def close(self) -> None:
        self.engine.dispose()
