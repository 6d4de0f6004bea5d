from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, insert, select, text

from longshore.database import migrate as migrations
from longshore.database import task_indexes
from longshore.database.connection import (
    Database,
    open_database,
    open_sqlite,
    reading,
    writing,
)
from longshore.database.path_keys import path_key
from longshore.database.tables.catalogue import copies
from tests.contract.database.conftest import Location
from tests.contract.database.schemas import rows, schema


@pytest.fixture
def migrated(new_location: Callable[[], Location]) -> Iterator[Database]:
    """A database that went through every migration."""
    database = open_database(*new_location())
    for part, engine in engines(database):
        with writing(engine) as connection:
            migrations.upgrade(part, None, connection)
    yield database
    database.dispose()


def engines(database: Database) -> tuple[tuple[str, Engine], ...]:
    return (("state", database.state), ("journal", database.journal))


def assert_alike(one: Database, other: Database) -> None:
    """The same tables, indexes, constraints, triggers, versions and rows."""
    for (_, left), (_, right) in zip(engines(one), engines(other), strict=True):
        with reading(left) as first, reading(right) as second:
            assert schema(first) == schema(second)
            assert rows(first) == rows(second)


def test_migrations_and_tables_give_the_same_schema(migrated: Database) -> None:
    both = set(migrations.PARTS["state"].tables) | set(migrations.PARTS["journal"].tables)
    for part, engine in engines(migrated):
        with reading(engine) as connection:
            context = MigrationContext.configure(
                connection,
                opts={
                    "version_table": migrations.version_table(part),
                    "compare_type": True,
                    "include_name": lambda name, kind, _, part=part: (
                        (kind != "table" and not str(name).endswith(task_indexes.SUFFIX))
                        or name in migrations.PARTS[part].tables
                        or (
                            kind == "table"
                            and name
                            not in both | {migrations.version_table(p) for p in migrations.PARTS}
                        )
                    ),
                },
            )
            assert compare_metadata(context, migrations.PARTS[part]) == []


def test_a_new_database_is_what_the_migrations_would_have_made(
    database: Database, migrated: Database
) -> None:
    assert_alike(database, migrated)


def test_a_new_database_needs_no_migration(new_location: Callable[[], Location]) -> None:
    script = _OPENS + "assert not any(name.startswith('alembic') for name in sys.modules)\n"
    made = run_elsewhere(script, new_location())
    assert made.returncode == 0, made.stderr


@pytest.mark.parametrize(
    "last",
    ["CREATE TABLE tasks", "CREATE TABLE alembic_version_state", "CREATE TABLE nodes"],
)
def test_a_database_is_whole_after_a_death_while_it_was_made(
    new_location: Callable[[], Location], database: Database, last: str
) -> None:
    location = new_location()
    died = run_elsewhere(_OPENS, location, last)
    assert died.returncode == -signal.SIGKILL, died.stderr
    other = open_database(*location)
    migrations.migrate(other)
    assert_alike(other, database)
    other.dispose()


_OPENS = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import Engine, event
from longshore.database.connection import open_database
from longshore.database.migrate import migrate

def look(connection, cursor, statement, *more):
    if sys.argv[3:] and sys.argv[3] in statement:
        os.kill(os.getpid(), signal.SIGKILL)

event.listen(Engine, "after_cursor_execute", look)
migrate(open_database(sys.argv[1] or None, Path(sys.argv[2])))
"""


def run_elsewhere(
    script: str, location: Location, *arguments: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, location.url or "", str(location.data_dir)]
    return subprocess.run(
        [*command, *arguments], check=False, capture_output=True, text=True, timeout=60
    )


def test_several_may_make_a_new_database_at_the_same_time(
    new_location: Callable[[], Location], database: Database
) -> None:
    location, together = new_location(), threading.Barrier(4)

    def start() -> None:
        mine = open_database(*location)
        together.wait(timeout=30)
        migrations.migrate(mine)
        mine.dispose()

    with ThreadPoolExecutor(together.parties) as pool:
        for each in [pool.submit(start) for _ in range(together.parties)]:
            each.result()
    made = open_database(*location)
    assert_alike(made, database)
    made.dispose()


def test_migrating_twice_changes_nothing(database: Database) -> None:
    migrations.migrate(database)


@pytest.mark.parametrize("part", sorted(migrations.PARTS))
def test_the_newest_migration_is_told_by_the_name_of_its_file(part: str) -> None:
    assert migrations.head(part) == migrations.scripts(part).get_current_head()


def test_a_schema_of_a_newer_version_is_refused(database: Database) -> None:
    with writing(database.state) as connection:
        connection.execute(text("UPDATE alembic_version_state SET version_num = '9999'"))
    with pytest.raises(migrations.SchemaTooNew, match="9999"):
        migrations.migrate(database)


def test_a_database_of_this_version_is_opened_without_the_write_lock(tmp_path: Path) -> None:
    database, holder = open_sqlite(tmp_path), open_sqlite(tmp_path)
    migrations.migrate(database)
    with writing(holder.state), writing(holder.journal):
        migrations.migrate(database)
    database.dispose()
    holder.dispose()


def test_keys_of_paths_are_made_anew_for_copies_of_an_earlier_schema(
    empty_database: Database,
) -> None:
    paths = [b"top", b"a/deep/folder/file", b"a/deep/folder/\xff\xfe", b"a/deep/folder"]
    with writing(empty_database.journal) as connection:
        migrations.upgrade("journal", None, connection, to="0002")
        connection.execute(
            insert(copies),
            [
                {
                    "file_id": number, "storage_kind": 1, "storage_id": 1, "path": path,
                    "path_key": 0, "size": 1, "mtime_ns": 1, "live": True, "execution_id": 1,
                    "written_ns": 1,
                }
                for number, path in enumerate(paths)
            ],
        )  # fmt: skip
    migrations.migrate(empty_database)
    with reading(empty_database.journal) as connection:
        found = connection.execute(select(copies.c.path, copies.c.path_key)).all()
    assert {bytes(path): key for path, key in found} == {path: path_key(path) for path in paths}
