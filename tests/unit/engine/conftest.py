"""A workshop of its own for each test, over a database that was migrated once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from longshore.config import Config
from longshore.database.connection import open_database
from longshore.database.migrate import migrate
from tests.workshop import Workshop


@pytest.fixture(scope="session")
def migrated_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an empty SQLite database of the present schema; migrating takes a while."""
    folder = tmp_path_factory.mktemp("migrated")
    opened = open_database(None, folder)
    migrate(opened)
    opened.dispose()
    return folder


@pytest.fixture
def workshop(tmp_path: Path, migrated_files: Path) -> Iterator[Workshop]:
    data_dir = tmp_path / "data"
    shutil.copytree(migrated_files, data_dir)
    database = open_database(None, data_dir)
    config = Config(
        data_dir=data_dir, batch_files_maximum=5, slice_seconds=0.05, storage_retry_seconds=0
    )
    yield Workshop(database, tmp_path, config)
    database.dispose()
