"""What single functions work on: a tree, a mover without a server, a database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.peers import trees
from tests.api.client import TestClient
from tests.api.conftest import ADMINISTRATOR, add_users, context_over
from tests.pipelines import Bench

from longshore.api.app import create_app
from longshore.database.connection import Database, open_database
from longshore.database.migrate import migrate

FILES = 1000
FILE_BYTES = 4096
PER_FOLDER = 100


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A mover over a source with FILES files and an empty destination."""
    made = Bench(tmp_path)
    made.source.rmdir()
    trees.flat(made.source, FILES, FILE_BYTES, per_folder=PER_FOLDER)
    yield made
    made.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    (tmp_path / "data").mkdir()
    opened = open_database(None, tmp_path / "data")
    migrate(opened)
    yield opened
    opened.dispose()


@pytest.fixture
def client(database: Database, tmp_path: Path) -> TestClient:
    """The api in this process, as its administrator."""
    add_users(database)
    app = create_app(context_over(database, tmp_path))
    made = TestClient(app, base_url="http://longshore/api/v2")
    made.auth = ADMINISTRATOR
    return made
