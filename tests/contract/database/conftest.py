"""Every test of this folder runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import create_engine, make_url, text

from longshore.database.connection import Database, open_database
from longshore.database.migrate import migrate


class Location(NamedTuple):
    """Where a database is: what `open_database` wants to know."""

    url: str | None
    data_dir: Path


def new_postgresql_database(server_url: str) -> str:
    """The URL of a fresh, empty database on the server."""
    name = f"longshore_{uuid.uuid4().hex}"
    url = make_url(server_url).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return url.set(database=name).render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def new_location(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Location]:
    """Makes the places of empty databases of one kind."""
    if request.param == "postgresql":
        server: str = request.getfixturevalue("postgresql_server")
        return lambda: Location(new_postgresql_database(server), tmp_path)
    return lambda: Location(None, Path(tempfile.mkdtemp(dir=tmp_path)))


@pytest.fixture
def empty_database(new_location: Callable[[], Location]) -> Iterator[Database]:
    database = open_database(*new_location())
    yield database
    database.dispose()


@pytest.fixture
def database(empty_database: Database) -> Database:
    migrate(empty_database)
    return empty_database
