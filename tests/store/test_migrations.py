"""Schema versions: the scripts make what the models say, upgrades are backed up and all or nothing."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.schema import CreateTable

from m2hf_core.config.paths import Paths
from m2hf_core.errors import DiskFull
from m2hf_core.store import Store, backup, folders, migrate, open_store
from m2hf_core.store.engine import Database
from m2hf_core.store.feature_models import FEATURES_REVISION, Features
from m2hf_core.store.models import LIBRARY_REVISION, Library

Furnish = Callable[[Store], list[int]]

TOMORROW = """
from alembic import op
import sqlalchemy as sa
revision = "library_9999"
down_revision = "{latest}"
def upgrade() -> None:
    with op.batch_alter_table("folder", recreate="always") as folder:
        folder.add_column(sa.Column("colour", sa.Text))
    {then}
"""


@pytest.fixture
def with_tomorrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Adds a migration after the newest one, which rebuilds a table that others refer to."""

    def add(then: str = "pass") -> None:
        scripts = tmp_path / "migrations"
        shutil.rmtree(scripts, ignore_errors=True)
        shutil.copytree(migrate.MIGRATIONS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
        text = TOMORROW.format(latest=LIBRARY_REVISION, then=then)
        (scripts / "library" / "v9999_tomorrow.py").write_text(text)
        monkeypatch.setattr(migrate, "MIGRATIONS", scripts)
        monkeypatch.setattr("m2hf_core.store.opening.LIBRARY_REVISION", "library_9999")

    return add


@pytest.mark.parametrize(("name", "newest"), [("library", LIBRARY_REVISION), ("features", FEATURES_REVISION)])
def test_the_newest_script_is_the_one_the_models_name(name: str, newest: str) -> None:
    scripts = str(migrate.MIGRATIONS / name)
    assert ScriptDirectory(scripts, version_locations=[scripts]).get_current_head() == newest


def test_the_scripts_make_what_the_models_say(store: Store) -> None:
    for database, metadata in ((store.library, Library.metadata), (store.features, Features.metadata)):
        with database.engine.connect() as connection:
            context = MigrationContext.configure(
                connection,
                opts={
                    "compare_type": True,
                    "include_name": lambda name, kind, _: kind != "table" or "_fts" not in (name or ""),
                },
            )
            assert compare_metadata(context, metadata) == []


def test_constraints_are_the_same_too(store: Store) -> None:
    """Alembic does not compare CHECK, CASCADE and AUTOINCREMENT, so the table definitions are compared as text."""

    def normal(sql: str) -> list[str]:
        pieces = sql[sql.index("(") + 1 : sql.rindex(")")].split(", ")
        return sorted(" ".join(piece.replace('"', "").split()) for piece in pieces)

    for database, base in ((store.library, Library), (store.features, Features)):
        with database.engine.connect() as connection:
            for table in base.metadata.sorted_tables:
                (made,) = connection.exec_driver_sql(
                    "SELECT sql FROM sqlite_master WHERE name = ?", (table.name,)
                ).scalars()
                wanted = str(CreateTable(table).compile(dialect=database.engine.dialect))
                assert normal(made) == normal(wanted)


def tables(database: Database) -> set[str]:
    with database.engine.connect() as connection:
        return set(connection.exec_driver_sql("SELECT name FROM sqlite_master").scalars())


def test_an_upgrade_is_preceded_by_a_backup_and_keeps_everything(
    paths: Paths, furnish: Furnish, with_tomorrow: Callable[[str], None]
) -> None:
    with open_store(paths) as store:
        furnish(store)
    with_tomorrow("pass")
    with open_store(
        paths, read_only=True
    ) as store:  # a reader upgrades as well: an update must not lock it out
        columns = [row[1] for row in store.library.pragma("table_info(folder)")]
        assert "colour" in columns
        assert store.library.pragma("foreign_key_check") == []
        with store.library.engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT COUNT(*) FROM path").scalar_one() == 5
    (copy,) = backup.backups(paths.backups)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (LIBRARY_REVISION,)
        assert connection.execute("SELECT COUNT(*) FROM path").fetchone() == (5,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert [p.name for p in paths.backups.iterdir()] == [copy.name]
    open_store(paths).close()
    assert len(backup.backups(paths.backups)) == 1, "no upgrade, no backup"


@pytest.mark.parametrize("then", ["raise RuntimeError('half way')", "op.execute('DELETE FROM folder')"])
def test_an_upgrade_that_fails_changes_nothing(
    paths: Paths, furnish: Furnish, with_tomorrow: Callable[[str], None], then: str
) -> None:
    with open_store(paths) as store:
        furnish(store)
        before = tables(store.library)
    with_tomorrow(then)
    with pytest.raises((RuntimeError, AssertionError)):
        open_store(paths)
    database = Database(paths.library_db, "write", hint_if_corrupt="")
    try:
        assert tables(database) == before
        with database.reading() as session:
            assert len(folders.list_folders(session)) == 1
        assert "colour" not in [row[1] for row in database.pragma("table_info(folder)")]
    finally:
        database.close()


def test_no_backup_no_upgrade(
    paths: Paths, with_tomorrow: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(paths).close()
    with_tomorrow("pass")

    def full(*_: object) -> Path:
        raise DiskFull("full")

    monkeypatch.setattr(backup, "back_up", full)
    with pytest.raises(DiskFull):
        open_store(paths)
    with closing(sqlite3.connect(paths.library_db)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (LIBRARY_REVISION,)


def test_the_last_five_backups_are_kept(paths: Paths) -> None:
    open_store(paths).close()
    with closing(sqlite3.connect(paths.library_db)) as source:
        made = [backup.back_up(source, paths.backups) for _ in range(7)]
    assert backup.backups(paths.backups) == made[2:]
    assert len(list(paths.backups.iterdir())) == 5


def test_a_backup_includes_what_is_still_in_the_log(paths: Paths) -> None:
    with open_store(paths) as store:
        with store.library.writing() as session:
            folders.add_folder(session, "/films")
        with closing(sqlite3.connect(paths.library_db)) as source:
            copy = backup.back_up(source, paths.backups)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM folder").fetchone() == (1,)


def test_the_scripts_travel_with_the_package() -> None:
    import m2hf_core

    package = Path(m2hf_core.__file__).parent
    assert migrate.MIGRATIONS.is_relative_to(package)
    assert [p.name for p in sorted(migrate.MIGRATIONS.glob("*/v*.py"))] != []
