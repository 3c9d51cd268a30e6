"""What happens to the two files before anybody uses them: check, upgrade, repair, and match with each other."""

from __future__ import annotations

import os
import sqlite3
import uuid
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from m2hf_core.config.paths import Paths
from m2hf_core.errors import CorruptStore, LibraryBusy, StoreError
from m2hf_core.store import backup, jobs, migrate
from m2hf_core.store.columns import shown
from m2hf_core.store.engine import Database, Mode, connect, make_engine
from m2hf_core.store.feature_models import FEATURES_REVISION, FeaturesMeta
from m2hf_core.store.lock import WriterLock
from m2hf_core.store.models import LIBRARY_REVISION, Meta
from m2hf_core.store.trouble import not_writable, translating

CHECKED_BYTES = 256 << 20
"""A features file up to this size is checked whole at each opening, a larger one by `health.findings` only.

The check reads every page: 0.4 s per GB from memory, but as long as the disk takes when it is cold."""

LIBRARY_ID = "library_id"

FEATURES_HINT = (
    "It holds extracted features only, which can be made again from the videos. Close the program and open it "
    "again: it sets the file aside and starts a new one. You may also simply delete the file."
)


@dataclass(frozen=True, slots=True)
class StoreFile:
    """One of the two files, with what differs between them."""

    path: Path
    scripts: Path
    newest: str
    hint: str
    """What to do when it is damaged."""
    backups: Path | None
    checked_bytes: float

    def database(self, mode: Mode) -> Database:
        # The features are durable: a job may say "done" only after they have reached the disk, see the README.
        return Database(self.path, mode, hint_if_corrupt=self.hint, durable=self.backups is None)


def library_file(paths: Paths) -> StoreFile:
    hint = backup.restore_hint(paths.library_db, paths.backups)
    scripts = migrate.MIGRATIONS / "library"
    return StoreFile(paths.library_db, scripts, LIBRARY_REVISION, hint, paths.backups, float("inf"))


def features_file(paths: Paths) -> StoreFile:
    scripts = migrate.MIGRATIONS / "features"
    return StoreFile(paths.features_db, scripts, FEATURES_REVISION, FEATURES_HINT, None, CHECKED_BYTES)


def is_missing(path: Path) -> bool:
    """No file, or one that was created and never written."""
    return not path.is_file() or path.stat().st_size == 0


def require_writable(paths: Paths) -> None:
    """Raise `NotWritable` for database files that may only be read.

    They are asked about, not opened: closing any handle on a file drops the locks that SQLite holds on it
    elsewhere in this process. The folder itself is tried out by the lock that opening takes.
    """
    effective = os.access in os.supports_effective_ids
    for path in (paths.library_db, paths.features_db):
        if path.exists() and not os.access(path, os.W_OK, effective_ids=effective):
            raise not_writable(path)


def put_in_order(paths: Paths) -> list[str]:
    """Create, check, upgrade and match both files; answers what was repaired, in sentences.

    The caller holds the opening lock. Raises as `open_store` says.
    """
    notices: list[str] = []
    library, features = library_file(paths), features_file(paths)
    if is_missing(paths.library_db) and (paths.features_db.is_file() or backup.backups(paths.backups)):
        notices.append(
            f"The library in {shown(paths.data)} was missing, and a new one was started. {library.hint}"
        )
    _bring_up(library)
    try:
        _bring_up(features)
    except CorruptStore:
        aside = _set_aside(paths)
        _bring_up(features)
        notices.append(
            f"The extracted features were damaged: the file was set aside as {shown(aside)} and a new one begun."
        )
    again = _match(library, features)
    if again:
        notices.append(f"{again} videos will be extracted again, because their features are missing.")
    return notices


def readable_modes(paths: Paths) -> tuple[Mode, Mode]:
    """How the two files can be read where nothing can be written."""
    return _readable_mode(library_file(paths)), _readable_mode(features_file(paths))


def _bring_up(file: StoreFile) -> None:
    """Check one file and take it to its newest revision, after a backup if it is one that is backed up."""

    def before() -> None:
        if file.backups is not None:
            with closing(connect(file.path, "query")) as source:
                backup.back_up(source, file.backups)

    with translating(file.path, file.hint):
        with closing(connect(file.path, "write")) as connection:
            _check(connection, file)
            current = migrate.revision_of(connection, file.path)
        if current == file.newest:
            return
        engine = make_engine(file.path, "write", foreign_keys=False)
        try:
            migrate.upgrade(engine, file.path, file.scripts, current, before)
        finally:
            engine.dispose()


def _check(connection: sqlite3.Connection, file: StoreFile) -> None:
    if file.path.stat().st_size > file.checked_bytes:
        return
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise CorruptStore(f"The file {shown(file.path)} is damaged.", file.hint, verdict)


def _set_aside(paths: Paths) -> Path:
    """Move a damaged features file out of the way, under the first free number."""
    owner = WriterLock(paths.writer_lock).owner()
    if owner not in (None, os.getpid()):
        raise CorruptStore(
            f"The file {shown(paths.features_db)} is damaged, and another program (process {owner}) is using it.",
            "Close that program first.",
        )
    number = 1
    while (aside := paths.features_db.with_name(f"features.sqlite.damaged-{number}")).exists():
        number += 1
    with translating(paths.features_db):
        try:
            for suffix in ("-wal", "-shm", ""):
                part = Path(f"{paths.features_db}{suffix}")
                if part.exists():
                    os.replace(part, f"{aside}{suffix}")
        except PermissionError as error:
            # Windows refuses to move a file that somebody has open.
            raise LibraryBusy(
                f"The file {shown(paths.features_db)} is damaged and in use.",
                "Close other programs first.",
                str(error),
            ) from error
    return aside


def _match(library_file: StoreFile, features_file: StoreFile) -> int:
    """Make sure that the features file belongs to this library; answers how many jobs were opened again.

    A new or foreign features file does not hold what the jobs say is done. The mark is written last, so a crash
    in between only repeats the work.
    """
    library, features = library_file.database("write"), features_file.database("write")
    try:
        with library.reading() as session:
            ours = session.get(Meta, LIBRARY_ID)
        with features.reading() as session:
            theirs = session.get(FeaturesMeta, LIBRARY_ID)
        if ours is not None and theirs is not None and ours.value == theirs.value:
            return 0
        with library.writing() as session:
            identity = _identity(session)
            again = jobs.reopen_all(session)
        with features.writing() as session:
            session.merge(FeaturesMeta(key=LIBRARY_ID, value=identity))
        return again
    finally:
        library.close()
        features.close()


def _identity(session: Session) -> str:
    row = session.get(Meta, LIBRARY_ID)
    if row is None:
        row = Meta(key=LIBRARY_ID, value=uuid.uuid4().hex)
        session.add(row)
        session.flush()
    return row.value


def _readable_mode(file: StoreFile) -> Mode:
    """`read` where SQLite finds or may make its shared memory, else `immutable`, which needs none."""
    with translating(file.path, file.hint):
        try:
            _look(file, "read")
        except sqlite3.OperationalError as error:
            log = Path(f"{file.path}-wal")
            if not is_missing(log):
                # Immutable mode ignores the log, and half a checkpoint without its log is nonsense.
                raise StoreError(
                    f"The library {shown(file.path)} was not closed properly, and its folder cannot be written.",
                    "Make the folder writable and open the library once.",
                    str(error),
                ) from error
            _look(file, "immutable")
            return "immutable"
        return "read"


def _look(file: StoreFile, mode: Mode) -> None:
    with closing(connect(file.path, mode)) as connection:
        _check(connection, file)
        current = migrate.revision_of(connection, file.path)
    if current != file.newest:
        raise migrate.unfit(file.path, file.scripts, current)
