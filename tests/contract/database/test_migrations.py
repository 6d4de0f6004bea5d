from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Row, insert, select, text

from longshore.database import catalogue, task_indexes
from longshore.database import migrate as migrations
from longshore.database.connection import Database, open_sqlite, reading, writing
from longshore.database.tables import copies


def test_migrations_and_tables_give_the_same_schema(database: Database) -> None:
    both = set(migrations.PARTS["state"].tables) | set(migrations.PARTS["journal"].tables)
    for part, engine in (("state", database.state), ("journal", database.journal)):
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


def test_sqlite_schema_texts_are_the_same_made_by_migrations_and_by_tables(tmp_path: Path) -> None:
    migrated, created = open_sqlite(tmp_path / "migrated"), open_sqlite(tmp_path / "created")
    (tmp_path / "migrated").mkdir()
    (tmp_path / "created").mkdir()
    migrations.migrate(migrated)
    migrations.PARTS["state"].create_all(created.state)
    migrations.PARTS["journal"].create_all(created.journal)
    query = text(
        "SELECT name, sql FROM sqlite_master WHERE tbl_name NOT LIKE 'alembic%' ORDER BY 1"
    )
    for one, other in ((migrated.state, created.state), (migrated.journal, created.journal)):
        with reading(one) as left, reading(other) as right:
            assert [_normal(row) for row in left.execute(query)] == [
                _normal(row) for row in right.execute(query)
            ]
    migrated.dispose()
    created.dispose()


def _normal(row: Row[Any]) -> list[str]:
    """The statement's words in alphabetical order: constraints may come in any order."""
    return [row.name, *sorted(re.findall(r"\w+", row.sql or ""))]


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
    assert {bytes(path): key for path, key in found} == {
        path: catalogue.path_key(path) for path in paths
    }
