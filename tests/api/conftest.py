"""The real application over a real database, without controller and movers."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from sqlalchemy import insert

from longshore.api.app import create_app
from longshore.callbacks import validate
from longshore.database.connection import Database, open_database, writing
from longshore.database.migrate import migrate
from longshore.database.tables.users import users
from longshore.domain.storage import StorageAddress
from longshore.services.context import Context
from longshore.services.passwords import hash_password
from longshore.services.secrets import open_secret_box
from longshore.storage.backends.posix import PosixStorage
from tests.api.client import TestClient

ADMINISTRATOR = ("admin", "secret-of-admin")
USER = ("ulla", "secret-of-ulla")
OTHER_USER = ("omar", "secret-of-omar")
START_SECONDS_MAXIMUM = 20  # of uvicorn on a busy machine
_HASHES = {password: hash_password(password) for _, password in (ADMINISTRATOR, USER, OTHER_USER)}


@pytest.fixture(scope="session")
def migrated_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an empty SQLite database of the present schema; migrating takes a while."""
    folder = tmp_path_factory.mktemp("migrated")
    opened = open_database(None, folder)
    migrate(opened)
    opened.dispose()
    return folder


@pytest.fixture
def database(tmp_path: Path, migrated_files: Path) -> Iterator[Database]:
    """An empty SQLite database of the present schema."""
    opened = open_database(None, shutil.copytree(migrated_files, tmp_path / "data"))
    yield opened
    opened.dispose()


def open_storage(address: StorageAddress) -> PosixStorage:
    return PosixStorage(address.reference, os.fsencode(address.settings["root"]))


def add_users(database: Database) -> None:
    """An administrator and two users without privileges."""
    rows = [
        {
            "id": number,
            "name": name,
            "password_hash": _HASHES[password],
            "administrator": number == 1000,
            "creation_date": 1_500_000_000,
        }
        for number, (name, password) in enumerate((ADMINISTRATOR, USER, OTHER_USER), 1000)
    ]
    with writing(database.state) as connection:
        connection.execute(insert(users), rows)


def context_over(database: Database, folder: Path) -> Context:
    """What services need, in a folder of its own."""
    containers = folder / "containers"
    containers.mkdir(exist_ok=True)
    return Context(
        database=database,
        clock=time.time,
        monotonic=time.monotonic,
        wake=lambda: None,
        open_storage=open_storage,
        validate_script=validate,
        data_dir=folder / "data",
        containers_folder=containers,
        secrets=open_secret_box(folder / "data"),
    )


@pytest.fixture
def context(database: Database, tmp_path: Path) -> Context:
    add_users(database)
    return context_over(database, tmp_path)


ClientOf = Callable[[tuple[str, str]], TestClient]


@pytest.fixture
def client_of(context: Context) -> ClientOf:
    """A client that logs in as one of the users."""
    app = create_app(context)

    def make(login: tuple[str, str]) -> TestClient:
        client = TestClient(app, base_url="http://longshore", raise_server_exceptions=False)
        client.auth = login
        return client

    return make


@pytest.fixture
def admin(client_of: ClientOf) -> TestClient:
    return client_of(ADMINISTRATOR)


@pytest.fixture
def user(client_of: ClientOf) -> TestClient:
    return client_of(USER)


@pytest.fixture
def server(context: Context) -> Iterator[str]:
    """The address of the application behind uvicorn on a free loopback port."""
    config = uvicorn.Config(create_app(context), host="127.0.0.1", port=0, log_level="critical")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS_MAXIMUM
    while not running.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < deadline, "the server does not answer"
        time.sleep(0.005)
    port = running.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join(START_SECONDS_MAXIMUM)
