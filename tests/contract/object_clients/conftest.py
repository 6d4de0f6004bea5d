"""Every client of object stores that the suite runs over, each on a real server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib import import_module
from random import Random

import pytest

from longshore.storage.backends.object_store.client import ObjectClient
from longshore.storage.backends.object_store.retrying import RetryingClient
from tests.object_servers.buckets import new_bucket
from tests.object_servers.processes import ObjectServer

BACKENDS = "longshore.storage.backends.object_store"

CLIENTS: dict[str, tuple[str, str, dict[str, str]]] = {
    "s3-moto": ("moto", "s3", {"conditional_create": "1"}),
    "s3-ceph": ("ceph", "s3", {"conditional_create": "1"}),
    "azure": ("azurite", "azure", {}),
    "swift": ("swift", "swift", {"conditional_create": "1"}),
    "gcs": (
        "gcs",
        "gcs",
        {"conditional_create": "0", "requests_maximum": "4"},
    ),  # the emulator ignores conditions
}
"""Server, interface and options of the connector."""

OpenClient = Callable[..., ObjectClient]


@pytest.fixture(params=CLIENTS)
def open_client(
    request: pytest.FixtureRequest, object_server: Callable[[str], ObjectServer]
) -> Iterator[OpenClient]:
    """Opens further clients of one new bucket, with settings as they are given."""
    server_name, api, options = CLIENTS[request.param]
    server = object_server(server_name)
    settings = server.settings(api, new_bucket(server, api), **options)
    opened: list[ObjectClient] = []

    def open_another(**more: str) -> ObjectClient:
        client = import_module(f"{BACKENDS}.{api}").open_client({**settings, **more})
        opened.append(RetryingClient(client, sleep=time.sleep, chance=Random(1)))
        return opened[-1]

    yield open_another
    for client in opened:
        client.close()


@pytest.fixture
def client(open_client: OpenClient) -> ObjectClient:
    return open_client()
