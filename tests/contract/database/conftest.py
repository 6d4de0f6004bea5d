"""Every test of this folder runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from longshore.database.connection import Database, open_database
from longshore.database.migrate import migrate


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
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = None
    if request.param == "postgresql":
        url = new_postgresql_database(request.getfixturevalue("postgresql_server"))
    database = open_database(url, tmp_path)
    yield database
    database.dispose()


@pytest.fixture
def database(empty_database: Database) -> Database:
    migrate(empty_database)
    return empty_database
