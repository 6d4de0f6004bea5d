"""Parts of uploads: their content is confirmed, by whatever the store offers for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest

from longshore.domain.errors import ErrorKind, StorageError
from longshore.storage.backends.object_store.client import Upload
from longshore.storage.backends.object_store.s3_client import S3Client
from tests.answering import QuietHandler, answering

CONTENT = bytes(range(256)) * 40
MD5 = hashlib.md5(CONTENT).digest()
UPLOAD = Upload("big", "1")


class Server(ThreadingHTTPServer):
    """Takes parts. `sent_md5` says for each of them whether its checksum came along."""

    daemon_threads = True
    needs_md5 = False  # refuses parts without it, as buckets with object lock do
    tells_md5 = True  # by the etag
    damages = 0  # so many parts from now on
    takes_again = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.sent_md5: list[bool] = []
        self.damaged: set[str] = set()


class Handler(QuietHandler):
    server: Server

    def do_PUT(self) -> None:
        server = self.server
        body = bytearray(self.rfile.read(int(self.headers["content-length"])))
        has_md5 = "content-md5" in self.headers
        server.sent_md5.append(has_md5)
        if server.needs_md5 and not has_md5:
            return self.answer(400, "InvalidRequest")
        if self.path in server.damaged and not server.takes_again:
            return self.answer(501, "NotImplemented")
        if server.damages:
            server.damages -= 1
            server.damaged.add(self.path)
            body[0] ^= 1
            if has_md5:
                return self.answer(400, "BadDigest")
        etag = hashlib.md5(body).hexdigest() if server.tells_md5 else "7"
        return self.answer(200, etag=etag)

    def answer(self, status: int, code: str = "", *, etag: str = "") -> None:
        body = f"<Error><Code>{code}</Code></Error>".encode() if code else b""
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        if etag:
            self.send_header("etag", f'"{etag}"')
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    with answering(Server()) as server:
        yield server


def test_the_checksum_goes_along_until_an_etag_confirms_it(
    server: Server, client: S3Client
) -> None:
    parts = [client.put_part(UPLOAD, number, CONTENT) for number in (1, 2, 3)]
    assert server.sent_md5 == [True, False, False]
    assert {part.md5 for part in parts} == {MD5}


def test_the_checksum_always_goes_to_a_store_whose_etags_say_nothing(
    server: Server, client: S3Client
) -> None:
    server.tells_md5 = False
    for number in (1, 2, 3):
        client.put_part(UPLOAD, number, CONTENT)
    assert server.sent_md5 == [True, True, True]


def test_a_store_that_wants_the_checksum_gets_it_from_then_on(
    server: Server, client: S3Client
) -> None:
    server.needs_md5 = True
    for number in (1, 2, 3):
        client.put_part(UPLOAD, number, CONTENT)
    assert server.sent_md5 == [True, False, True, True]


def test_a_part_is_sent_again_with_its_checksum_when_its_etag_is_another(
    server: Server, client: S3Client
) -> None:
    client.put_part(UPLOAD, 1, CONTENT)
    server.damages = 1
    part = client.put_part(UPLOAD, 2, CONTENT)
    assert (part.reference, part.md5) == (MD5.hex(), MD5)
    assert server.sent_md5 == [True, False, True]


def test_a_part_whose_etag_stops_to_confirm_it_is_sent_again_with_its_checksum(
    server: Server, client: S3Client
) -> None:
    client.put_part(UPLOAD, 1, CONTENT)
    server.tells_md5 = False
    client.put_part(UPLOAD, 2, CONTENT)
    assert server.sent_md5 == [True, False, True]


def test_content_that_comes_wrong_each_time_is_an_error(server: Server, client: S3Client) -> None:
    client.put_part(UPLOAD, 1, CONTENT)
    server.damages = 2
    with pytest.raises(StorageError) as caught:
        client.put_part(UPLOAD, 2, CONTENT)
    assert caught.value.kind is ErrorKind.CHECKSUM_MISMATCH


def test_an_upload_that_takes_no_part_again_has_to_begin_anew(
    server: Server, client: S3Client
) -> None:
    client.put_part(UPLOAD, 1, CONTENT)
    server.damages, server.takes_again = 1, False
    with pytest.raises(StorageError) as caught:
        client.put_part(UPLOAD, 2, CONTENT)
    assert caught.value.kind is ErrorKind.STALE
