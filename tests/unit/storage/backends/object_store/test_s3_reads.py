"""Reading from a server that breaks off, lies, or refuses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest

from longshore.domain.errors import ErrorKind, StorageError
from longshore.storage.backends.object_store.s3 import open_client
from longshore.storage.backends.object_store.s3_client import S3Client
from tests.answering import QuietHandler, answering

CONTENT = bytes(range(256)) * 4000
ETAG = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Sends at most `sent_bytes` of each body; with `corrupts` a byte is another."""

    daemon_threads = True
    sent_bytes = len(CONTENT)
    corrupts = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str] = []


class Handler(QuietHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers["range"]
        self.server.ranges.append(asked)
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last) + 1, len(CONTENT))
        body = bytearray(CONTENT[start:end])
        if self.server.corrupts:
            body[0] ^= 1
        self.send_response(206)
        self.send_header("content-range", f"bytes {start}-{end - 1}/{len(CONTENT)}")
        self.send_header("content-length", str(len(body)))
        self.send_header("etag", f'"{ETAG}"')
        self.end_headers()
        self.wfile.write(body[: self.server.sent_bytes])
        self.close_connection = len(body) > self.server.sent_bytes


@pytest.fixture
def server() -> Iterator[Server]:
    with answering(Server()) as server:
        yield server


def test_a_range_goes_on_at_the_byte_where_the_connection_broke(
    server: Server, client: S3Client
) -> None:
    server.sent_bytes = 300_000
    assert bytes(client.get_range("file", 100, 800_000)) == CONTENT[100:800_000]
    assert server.ranges == ["bytes=100-799999", "bytes=300100-799999", "bytes=600100-799999"]


def test_the_first_bytes_go_on_where_the_connection_broke(server: Server, client: S3Client) -> None:
    server.sent_bytes = 600_000
    stat, data = client.get_first("file", 1 << 20)
    assert (stat.size, bytes(data)) == (len(CONTENT), CONTENT)
    assert server.ranges == ["bytes=0-1048575", f"bytes=600000-{len(CONTENT) - 1}"]


def test_a_connection_that_breaks_again_and_again_is_an_error(
    server: Server, client: S3Client
) -> None:
    server.sent_bytes = 1000
    with pytest.raises(StorageError, match="bytes came") as caught:
        client.get_range("file", 0, 800_000)
    assert caught.value.kind is ErrorKind.INPUT_OUTPUT


def test_a_small_object_that_is_not_what_its_etag_says_is_refused(
    server: Server, client: S3Client
) -> None:
    server.corrupts = True
    with pytest.raises(StorageError) as caught:
        client.get_first("file", 1 << 20)
    assert caught.value.kind is ErrorKind.CHECKSUM_MISMATCH


@pytest.mark.parametrize(
    "settings",
    [
        {"provider": "nobody"},
        {"bucket": ""},
        {"checksum": "sha1"},
        {"conditional_create": "yes"},
        {"requests_maximum": "0"},
        {"addressing": "both"},
        {"endpoint": "s3.example.com"},
        {"tags": "a=1\r\nhost: other"},
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, str]) -> None:
    good = {"endpoint": "http://127.0.0.1:1", "bucket": "bucket"}
    open_client(good).close()
    with pytest.raises(ValueError, match=r"[a-z]"):
        open_client(good | settings)
