"""Engines for the two parts of the database, and transactions over them.

SQLite: two files in the data directory, both in WAL mode. A write transaction takes the write
lock at its start (BEGIN IMMEDIATE), so it never fails half-way for want of it.
PostgreSQL: one database, so both engines are the same.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

LOCK_TIMEOUT_SECONDS = 30  # a writer holds the lock for one batch, well under a second
POOL_CONNECTIONS = 8  # per process; the api answers from up to 40 threads, and queries are short
TRUSTED_SECONDS = 1.0  # a connection that served so lately is not asked whether it is alive
STATEMENT_CACHE_SIZE = 500  # compiled statements kept per engine

STATE_FILE = "state.sqlite"
JOURNAL_FILE = "journal.sqlite"


@dataclass(frozen=True, slots=True)
class Database:
    """The two parts; on PostgreSQL the same engine twice."""

    state: Engine
    journal: Engine

    @property
    def is_sqlite(self) -> bool:
        return self.state.dialect.name == "sqlite"

    def within(self, larger: LargerTransaction) -> Database:
        """The database as parts of a larger transaction of its state see it.

        Where the journal is in the same database it is a part, too: with a connection of its own,
        whoever holds one would ask for a second, and requests could wait for each other.
        """
        journal = larger.engine if self.journal is self.state else self.journal
        return Database(state=larger.engine, journal=journal)

    def dispose(self) -> None:
        """Close all connections; the object may be used again."""
        self.state.dispose()
        self.journal.dispose()


def open_sqlite(data_dir: Path) -> Database:
    """The database in the data directory's two files, which are made when missing."""
    return Database(
        state=_sqlite_engine(data_dir / STATE_FILE), journal=_sqlite_engine(data_dir / JOURNAL_FILE)
    )


def open_url(url: str, *, clock: Callable[[], float] = time.monotonic) -> Database:
    """The PostgreSQL database at the URL (postgresql+psycopg://…)."""
    engine = create_engine(url, pool_size=POOL_CONNECTIONS, query_cache_size=STATEMENT_CACHE_SIZE)
    _ask_after_a_pause(engine, clock)
    return Database(state=engine, journal=engine)


def _ask_after_a_pause(engine: Engine, clock: Callable[[], float]) -> None:
    """Replace connections that the server gave up while nobody needed them.

    Asking before every use would take longer than most of what is asked then.
    """

    def used(_: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info["longshore_used"] = clock()

    def taken(
        connection: DBAPIConnection, entry: ConnectionPoolEntry, _: PoolProxiedConnection
    ) -> None:
        last = entry.info.get("longshore_used")
        if last is None or clock() - last < TRUSTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error

    event.listen(engine, "checkin", used)
    event.listen(engine, "checkout", taken)


def open_database(url: str | None, data_dir: Path) -> Database:
    """The configured database: the URL's, or SQLite in the data directory."""
    if not url or url.startswith("sqlite"):
        return open_sqlite(data_dir)
    return open_url(url)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one state of the database and changes nothing."""
    larger = _larger_transaction(engine)
    if larger is not None and larger.connection is not None:
        yield larger.connection
        return
    with engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def looking(engine: Engine) -> Iterator[Connection]:
    """A connection for single statements: each sees the database as it is then.

    Where that will do it is quicker than a transaction, whose begin and end are messages to the
    server too.
    """
    larger = _larger_transaction(engine)
    if larger is not None and larger.connection is not None:
        yield larger.connection
        return
    option = _SQLITE_LOOKING if engine.dialect.name == "sqlite" else _SERVER_LOOKING
    with engine.connect().execution_options(**option) as connection:
        yield connection


_SQLITE_LOOKING: dict[str, Any] = {"longshore_looking": True}
_SERVER_LOOKING: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"}


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that commits when the block ends, and leaves nothing behind when it raises.

    On the engine of a LargerTransaction it is a part of that one.
    """
    larger = _larger_transaction(engine)
    if larger is not None:
        with larger.part() as connection:
            yield connection
        return
    with (
        engine.connect().execution_options(longshore_writing=True) as connection,
        connection.begin(),
    ):
        yield connection


class LargerTransaction:
    """One transaction out of several: it begins with the first that is written, ends with `with`.

        with LargerTransaction(database.state, begin=first) as larger:
            ...                 # `writing(larger.engine)`: nothing is committed yet
            larger.connection   # None if nothing was written; otherwise for what belongs to it

    It commits at the end and leaves nothing behind when the block raises. `begin` is called as the
    first part of the transaction. One thread uses it.
    """

    def __init__(self, engine: Engine, *, begin: Callable[[Connection], None]) -> None:
        self.engine = engine.execution_options(longshore_larger=self)
        self.connection: Connection | None = None
        self._engine = engine
        self._begin = begin
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._open.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._open.__exit__(*raised)

    @contextmanager
    def part(self) -> Iterator[Connection]:
        """One of the transactions: what it did is undone when its block raises."""
        if self.connection is None:
            connection = self._open.enter_context(writing(self._engine))
            self._begin(connection)
            self.connection = connection
        with self.connection.begin_nested():
            yield self.connection


def _larger_transaction(engine: Engine) -> LargerTransaction | None:
    return engine.get_execution_options().get("longshore_larger")


def _sqlite_engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=POOL_CONNECTIONS,
        query_cache_size=STATEMENT_CACHE_SIZE,
        connect_args={"timeout": LOCK_TIMEOUT_SECONDS, "check_same_thread": False},
    )

    def configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        assert isinstance(connection, sqlite3.Connection)
        connection.isolation_level = None  # transactions begin where `begin` below says so
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",  # a commit that returned survives a power loss
            "foreign_keys = ON",
            "temp_store = MEMORY",
            "cache_size = -16000",  # KiB per connection
            "wal_autocheckpoint = 4000",  # pages of 4 KiB: 16 MB are put back at once
            "journal_size_limit = 67108864",  # bytes the WAL file shrinks to after a checkpoint
        ):
            connection.execute(f"PRAGMA {pragma}")

    def begin(connection: Connection) -> None:
        options: dict[str, Any] = dict(connection.get_execution_options())
        if options.get("longshore_looking", False):
            return
        immediate = options.get("longshore_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    event.listen(engine, "connect", configure)
    event.listen(engine, "begin", begin)
    return engine
