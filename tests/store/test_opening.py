"""What opening does with the states in which it can find a data folder."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from m2hf_core.config.paths import Paths
from m2hf_core.errors import CorruptStore, NewerStore, StoreError
from m2hf_core.store import Store, WriterLock, captions, clips, features, folders, jobs, open_store

Furnish = Callable[[Store], list[int]]


def job_counts(store: Store) -> dict[str, int]:
    with store.library.reading() as session:
        return dict(jobs.counts(session))


def test_a_new_library_is_created_and_told_how_to_behave(paths: Paths) -> None:
    with open_store(paths) as store:
        assert store.notices == []
        assert not store.read_only
        assert store.library.pragma("journal_mode") == [("wal",)]
        assert store.library.pragma("foreign_keys") == [(1,)]
        assert store.library.pragma("synchronous") == [(1,)]
        assert store.features.pragma("synchronous") == [(2,)]
        assert store.library.pragma("busy_timeout") == [(5000,)]
    assert paths.library_db.is_file()
    assert paths.features_db.is_file()
    assert not Path(f"{paths.library_db}-wal").exists(), "closed properly: nothing left in the log"
    assert not paths.backups.exists(), "there was nothing to back up"


def test_what_is_stored_is_there_after_reopening(paths: Paths, furnish: Furnish) -> None:
    with open_store(paths) as store:
        furnish(store)
        before = job_counts(store)
    with open_store(paths) as store:
        assert store.notices == []
        assert job_counts(store) == before == {"queued": 2, "leased": 0, "done": 3, "failed": 0}
        with store.features.reading() as session:
            assert features.coverage(session) == {"clip@1": 3, "vggish@1": 3}


@pytest.mark.parametrize("name", ["with space", "per%20cent", "hash#and?mark", "ünïcode", "q'uote"])
def test_any_folder_name_will_do(tmp_path: Path, name: str) -> None:
    paths = Paths(tmp_path / name)
    open_store(paths).close()
    assert sorted(p.name for p in paths.data.iterdir()) == ["features.sqlite", "library.sqlite", "open.lock"]
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_reading_without_a_library_says_how_to_make_one(paths: Paths) -> None:
    with pytest.raises(StoreError, match=r"no library in .* yet.*m2hf-app index FOLDER"):
        open_store(paths, read_only=True)
    assert not paths.data.exists()


def test_a_reader_reads_and_cannot_write(paths: Paths, furnish: Furnish) -> None:
    with open_store(paths) as store:
        furnish(store)
    with open_store(paths, read_only=True) as store:
        assert store.read_only
        with store.library.reading() as session:
            assert len(clips.searchable_clips(session)) == 6
        with pytest.raises(StoreError, match="cannot be written"), store.library.writing():
            pytest.fail("a write transaction began")
        # Even one that slips past `writing` is refused, by SQLite.
        with pytest.raises(StoreError, match="cannot be written"), store.library.reading() as session:
            folders.add_folder(session, "/elsewhere")


def test_a_failed_write_leaves_nothing(store: Store) -> None:
    def write() -> None:
        with store.library.writing() as session:
            folders.add_folder(session, "/films")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    with store.library.reading() as session:
        assert folders.list_folders(session) == []


def test_a_library_of_tomorrow_is_left_alone_kindly(paths: Paths) -> None:
    open_store(paths).close()
    with closing(sqlite3.connect(paths.library_db)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'library_9999'")
    before = paths.library_db.read_bytes()
    for read_only in (False, True):
        with pytest.raises(NewerStore, match=r"newer version.*Update the program"):
            open_store(paths, read_only=read_only)
    assert paths.library_db.read_bytes() == before


def test_another_programs_database_is_left_alone(paths: Paths) -> None:
    paths.data.mkdir()
    with closing(sqlite3.connect(paths.library_db)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    with pytest.raises(StoreError, match="another program"):
        open_store(paths)
    with closing(sqlite3.connect(paths.library_db)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone() == (1,)


def damage(path: Path) -> None:
    """Overwrite the middle pages, leaving the header whole."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\x5a" * (size - 4096))


def randomise(path: Path) -> None:
    path.write_bytes(os.urandom(20_000))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 100])


@pytest.mark.parametrize("spoil", [damage, randomise, cut])
def test_a_damaged_library_points_at_its_backup(paths: Paths, spoil: Callable[[Path], None]) -> None:
    open_store(paths).close()
    spoil(paths.library_db)
    spoilt = paths.library_db.read_bytes()
    with pytest.raises(CorruptStore, match=r"is damaged.*There is no backup"):
        open_store(paths)
    paths.backups.mkdir()
    (paths.backups / "library-20300101-000000-000000.sqlite").touch()
    for read_only in (False, True):
        with pytest.raises(CorruptStore, match=r"copy the last backup, .*library-20300101"):
            open_store(paths, read_only=read_only)
    assert paths.library_db.read_bytes() == spoilt, "what may be rescued is not touched"


@pytest.mark.parametrize("spoil", [damage, randomise, cut])
def test_damaged_features_are_set_aside_and_extracted_again(
    paths: Paths, furnish: Furnish, spoil: Callable[[Path], None]
) -> None:
    with open_store(paths) as store:
        furnish(store)
    for number in (1, 2):
        spoil(paths.features_db)
        spoilt = paths.features_db.read_bytes()
        with open_store(paths) as store:
            assert len(store.notices) == 1 + (number == 1)
            aside = paths.data / f"features.sqlite.damaged-{number}"
            assert f"set aside as {aside}" in store.notices[0]
            assert aside.read_bytes() == spoilt
            assert job_counts(store)["queued"] == 5
            with store.features.reading() as session:
                assert features.coverage(session) == {}
            with store.library.reading() as session:
                assert len(clips.searchable_clips(session)) == 6, "the clips keep their ids meanwhile"
        if number == 1:
            assert "3 videos will be extracted again" in store.notices[1]
    with open_store(paths) as store:
        assert store.notices == [], "announced once"


def test_damaged_features_in_use_by_another_process_stay(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(paths).close()
    randomise(paths.features_db)
    with WriterLock(paths.writer_lock):
        with monkeypatch.context() as other:
            other.setattr(os, "getpid", lambda: -1)
            with pytest.raises(CorruptStore, match="another program"):
                open_store(paths)
        assert not list(paths.data.glob("*damaged*"))
        open_store(paths).close()  # our own lock is no obstacle
    assert list(paths.data.glob("*damaged-1"))


def test_deleted_features_open_their_jobs_again(paths: Paths, furnish: Furnish) -> None:
    with open_store(paths) as store:
        furnish(store)
    paths.features_db.unlink()
    with open_store(paths) as store:
        assert store.notices == ["3 videos will be extracted again, because their features are missing."]
        assert job_counts(store) == {"queued": 5, "leased": 0, "done": 0, "failed": 0}


def test_a_crash_before_the_match_is_noted_repeats_it(
    paths: Paths, furnish: Furnish, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(paths) as store:
        furnish(store)
    paths.features_db.unlink()

    def crash(_session: object) -> int:
        raise RuntimeError("power cut")

    with monkeypatch.context() as broken:
        broken.setattr(jobs, "reopen_all", crash)
        with pytest.raises(RuntimeError):
            open_store(paths)
    with open_store(paths) as store:
        assert job_counts(store)["queued"] == 5


def test_a_vanished_library_is_announced_and_its_features_kept(paths: Paths, furnish: Furnish) -> None:
    with open_store(paths) as store:
        furnish(store)
    paths.library_db.unlink()
    with open_store(paths) as store:
        assert "was missing, and a new one was started" in store.notices[0]
        with store.features.reading() as session:
            assert features.coverage(session) == {"clip@1": 3, "vggish@1": 3}


def test_a_folder_that_cannot_be_written_is_searched(
    open_folder: Path, furnish: Furnish, locked_up: Callable[[Path], Any]
) -> None:
    paths = Paths(open_folder)
    with open_store(paths) as store:
        furnish(store)
    with locked_up(open_folder):
        for read_only in (False, True):
            with open_store(paths, read_only=read_only) as store:
                assert store.read_only
                assert len(store.notices) == (0 if read_only else 1)
                with store.library.reading() as session:
                    assert len(clips.searchable_clips(session)) == 6
                    assert len(captions.search_captions(session, "cat")) == 3
                with store.features.reading() as session:
                    assert features.get(session, "print0", "clip@1") is not None
                with pytest.raises(StoreError, match="cannot be written"), store.library.writing():
                    pytest.fail("a write transaction began")
        assert sorted(p.name for p in open_folder.iterdir()) == [
            "features.sqlite",
            "library.sqlite",
            "open.lock",
        ]


def test_an_unwritable_empty_folder_is_told(open_folder: Path, locked_up: Callable[[Path], Any]) -> None:
    with locked_up(open_folder), pytest.raises(StoreError, match="cannot be written"):
        open_store(Paths(open_folder / "inner"))


def test_unfinished_logs_are_not_ignored_where_nothing_can_be_written(
    open_folder: Path, furnish: Furnish, locked_up: Callable[[Path], Any], tmp_path: Path
) -> None:
    first, second = Paths(open_folder / "first"), Paths(open_folder / "second")
    with open_store(first) as store:
        furnish(store)
        # A copy of the running files is what a crash leaves behind, without the shared memory.
        second.data.mkdir()
        for path in (*first.data.glob("*.sqlite"), *first.data.glob("*-wal")):
            shutil.copyfile(path, second.data / path.name)
    assert Path(f"{second.library_db}-wal").stat().st_size > 0
    with locked_up(second.data), pytest.raises(StoreError, match="not closed properly"):
        open_store(second)
    with open_store(second) as store:
        assert job_counts(store)["done"] == 3, "and where it can be written, nothing is lost"


def test_an_old_library_in_an_unwritable_folder_says_why_not(
    open_folder: Path, locked_up: Callable[[Path], Any]
) -> None:
    paths = Paths(open_folder)
    open_store(paths).close()
    for revision, error in ((None, StoreError), ("library_9999", NewerStore)):
        with closing(sqlite3.connect(paths.library_db)) as connection, connection:
            if revision is None:
                connection.execute("CREATE TABLE saved AS SELECT * FROM alembic_version")
                connection.execute("UPDATE alembic_version SET version_num = 'base'")
                connection.execute("DROP TABLE saved")
            else:
                connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        with locked_up(open_folder), pytest.raises(error):
            open_store(paths, read_only=True)


def test_read_only_files_in_a_writable_folder(
    open_folder: Path, furnish: Furnish, locked_up: Callable[[Path], Any]
) -> None:
    paths = Paths(open_folder / "data")
    with open_store(paths) as store:
        furnish(store)
    paths.data.chmod(0o777)
    (paths.data / "open.lock").chmod(0o666)
    for path in (paths.library_db, paths.features_db):
        path.chmod(0o444)
    with locked_up(open_folder), open_store(paths) as store:
        assert store.read_only
        with store.library.reading() as session:
            assert len(clips.searchable_clips(session)) == 6
