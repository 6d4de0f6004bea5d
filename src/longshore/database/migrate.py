"""Bringing a database to the schema of this version.

The two parts have their own chains of migrations (`migrations/state`, `migrations/journal`) and
version tables, so that the same chains serve two SQLite files and one PostgreSQL database.

    no version     create: the tables of this version at once, with the newest version
    an older one   upgrade: the migrations that are missing, one after the other
    the newest     nothing
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    insert,
    inspect,
    select,
    text,
)

from longshore.database import tables
from longshore.database.connection import Database, reading, writing
from longshore.domain.errors import LongshoreError

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

PARTS: dict[str, MetaData] = {"state": tables.state, "journal": tables.journal}


LOCK_KEY = 0x6C6F6E6773686F72  # "longshor": the advisory lock that PostgreSQL migrations take


class SchemaTooNew(LongshoreError):
    """The database was written by a newer version of Longshore."""


def migrate(database: Database) -> None:
    """Make or apply what is missing, each part in one transaction. Raises SchemaTooNew.

    Who dies in it leaves each part as it was, or finished. Several processes may call it at the
    same time: one does the work, the others wait for it.
    """
    for part, engine in (("state", database.state), ("journal", database.journal)):
        _migrate_part(part, engine)


def version_table(part: str) -> str:
    """The table in which alembic keeps the part's version."""
    return f"alembic_version_{part}"


def head(part: str) -> str:
    """The revision of the part's newest migration, by the name of its file.

    Looking is enough when there is nothing to do, as at nearly every start: alembic, which knows
    the chain better, takes longer to be imported than all else that a start does here.
    """
    folder = Path(__file__).parent / "migrations" / part / "versions"
    return max(path.name.partition("_")[0] for path in folder.glob("[0-9]*_*.py"))


def scripts(part: str) -> ScriptDirectory:
    """The part's chain of migrations."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations" / part))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


def current_version(part: str, connection: Connection) -> str | None:
    """The revision the part is at; None before the first migration."""
    if not inspect(connection).has_table(version_table(part)):
        return None
    found: str | None = connection.execute(select(_versions(part).c.version_num)).scalar()
    return found


def _versions(part: str) -> Table:
    """The version table as alembic makes it."""
    name = version_table(part)
    return Table(
        name,
        MetaData(),
        Column("version_num", String(32), nullable=False),
        PrimaryKeyConstraint("version_num", name=f"{name}_pkc"),
    )


def _migrate_part(part: str, engine: Engine) -> None:
    with reading(engine) as connection:
        # Without the write lock: a controller that was suspended with it could never be replaced.
        if current_version(part, connection) == head(part):
            return
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
        version = current_version(part, connection)
        if version is None:
            create(part, connection)
        elif version != head(part):
            upgrade(part, version, connection)


def create(part: str, connection: Connection) -> None:
    """Make the part's tables as they are after the newest migration."""
    PARTS[part].create_all(connection, checkfirst=False)
    versions = _versions(part)
    versions.create(connection, checkfirst=False)
    connection.execute(insert(versions).values(version_num=head(part)))


def upgrade(part: str, version: str | None, connection: Connection, *, to: str = "head") -> None:
    """Bring the part from that version to another one. Raises SchemaTooNew."""
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext

    chain = scripts(part)
    if version is not None and version not in {step.revision for step in chain.walk_revisions()}:
        raise SchemaTooNew(
            f"the {part} database has schema {version}, which this version does not know"
        )
    environment = EnvironmentContext(
        Config(), chain, fn=lambda revision, _: chain._upgrade_revs(to, revision)
    )
    environment.configure(
        connection=connection,
        target_metadata=PARTS[part],
        version_table=version_table(part),
        transactional_ddl=False,  # the transaction is ours
    )
    environment.run_migrations()
