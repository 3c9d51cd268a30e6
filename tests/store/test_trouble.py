"""SQLite's complaints, most of them provoked for real, reach people as sentences."""

from __future__ import annotations

import errno
import functools
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from m2hf_core.config.paths import Paths
from m2hf_core.errors import CorruptStore, DiskFull, KnownError, LibraryBusy, StoreError
from m2hf_core.store import Store, captions, engine, open_store
from m2hf_core.store.trouble import translating


def test_a_full_disk(store: Store) -> None:
    (used,) = store.library.pragma("page_count")[0]
    many = [captions.NewCaption(f"caption {n} " + "word " * 50, "bank") for n in range(5000)]
    store.library.pragma(f"max_page_count = {used + 5}")
    with pytest.raises(DiskFull, match=r"is full.*Free some space"), store.library.writing() as session:
        captions.add_captions(session, many)
    store.library.pragma("max_page_count = 1000000")
    with store.library.writing() as session:
        assert captions.count(session) == 0
        assert captions.add_captions(session, many) == 5000, "and after making room it goes on"


def test_locked_for_too_long(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_MS", 20)
    with open_store(paths) as store, closing(sqlite3.connect(paths.library_db)) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LibraryBusy, match="busy for too long"), store.library.writing():
            pytest.fail("two writers")
        with store.library.reading() as session:
            assert captions.count(session) == 0, "readers do not mind"
        other.execute("ROLLBACK")
        with store.library.writing() as session:
            assert captions.add_captions(session, [captions.NewCaption("a cat", "me")]) == 1


class NetworkDisk(sqlite3.Connection):
    """A connection to a disk without shared memory: it stays in the old journal mode."""

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        return super().execute(sql.replace("= WAL", "= DELETE"), *parameters)


class NoLocks(sqlite3.Connection):
    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if "WAL" in sql:
            raise sqlite3.OperationalError("locking protocol")
        return super().execute(sql, *parameters)


@pytest.mark.parametrize("disk", [NetworkDisk, NoLocks])
def test_a_disk_where_logging_ahead_fails(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, disk: type[sqlite3.Connection]
) -> None:
    monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=disk))
    with pytest.raises(StoreError, match=r"local disk with --data-dir or M2HF_DATA_DIR") as caught:
        open_store(paths)
    assert str(paths.data) in caught.value.sentence


def test_a_library_damaged_while_open(store: Store, paths: Paths) -> None:
    with store.library.writing() as session:
        captions.add_captions(session, [captions.NewCaption(f"cat {n}", "bank") for n in range(5000)])
    store.library.pragma("wal_checkpoint(TRUNCATE)")
    store.library.engine.dispose()
    with paths.library_db.open("r+b") as file:
        file.seek(4096 * 30)
        file.write(b"\x5a" * 4096 * 40)
    with pytest.raises(CorruptStore, match="is damaged"), store.library.reading() as session:
        captions.list_captions(session)


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").touch()
    with pytest.raises(StoreError, match="cannot be the library's folder"):
        open_store(Paths(tmp_path / "film.mp4"))


@contextmanager
def raising(error: BaseException) -> Iterator[None]:
    with translating(Path("/nowhere/library.sqlite")):
        raise error
    yield


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (sqlite3.OperationalError("database or disk is full"), DiskFull),
        (sqlite3.OperationalError("database is locked"), LibraryBusy),
        (sqlite3.OperationalError("disk I/O error"), StoreError),
        (sqlite3.OperationalError("locking protocol"), StoreError),
        (sqlite3.OperationalError("attempt to write a readonly database"), StoreError),
        (sqlite3.OperationalError("unable to open database file"), StoreError),
        (sqlite3.DatabaseError("file is not a database"), CorruptStore),
        (sqlite3.DatabaseError("database disk image is malformed"), CorruptStore),
        (OperationalError("SELECT", {}, sqlite3.OperationalError("database is locked")), LibraryBusy),
        (OSError(errno.ENOSPC, "No space left on device"), DiskFull),
        (OSError(errno.EROFS, "Read-only file system"), StoreError),
        (OSError(errno.ENOLCK, "No locks available"), StoreError),
    ],
)
def test_each_complaint_has_a_sentence_and_a_hint(error: Exception, kind: type[KnownError]) -> None:
    with pytest.raises(kind) as caught, raising(error):
        pass
    assert type(caught.value) in (kind, *kind.__subclasses__())
    assert caught.value.sentence.endswith(".")
    assert "/nowhere" in caught.value.sentence
    if kind is not CorruptStore:  # its hint is the caller's, who knows where the backup lies
        assert caught.value.hint.endswith(".")
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.OperationalError("no such table: film"),
        IntegrityError("INSERT", {}, sqlite3.IntegrityError("UNIQUE constraint failed")),
        OSError(errno.ENOENT, "No such file"),
        ValueError("our own bug"),
    ],
)
def test_our_own_bugs_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, raising(error):
        pass
    assert caught.value is error


def test_known_errors_pass_unchanged() -> None:
    error = LibraryBusy("busy")
    with pytest.raises(LibraryBusy) as caught, raising(error):
        pass
    assert caught.value is error
