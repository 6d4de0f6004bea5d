"""A client of the server that a module of tests has as its fixture `server`."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest

from longshore.storage.backends.object_store.s3 import open_client
from longshore.storage.backends.object_store.s3_client import S3Client


@pytest.fixture
def client(server: ThreadingHTTPServer) -> Iterator[S3Client]:
    endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    client = open_client(
        {"endpoint": endpoint, "bucket": "bucket", "access_key": "key", "secret_key": "secret"}
    )
    yield client
    client.close()
