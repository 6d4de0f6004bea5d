"""Answers of S3 services that are not as they should be, or say no behind a yes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer

import pytest

from longshore.domain.errors import ErrorKind, StorageError
from longshore.storage.backends.object_store import azure
from longshore.storage.backends.object_store.client import Part, PutOptions, Upload
from longshore.storage.backends.object_store.exchange import http_date
from longshore.storage.backends.object_store.s3_answers import _http_date
from longshore.storage.backends.object_store.s3_client import S3Client
from tests.answering import QuietHandler, answering

OLD_LISTING = b"""<ListBucketResult><IsTruncated>true</IsTruncated>
<Contents><Key>a</Key><Size>1</Size><ETag>"e"</ETag></Contents></ListBucketResult>"""
NEW = PutOptions(only_if_absent=True)
ERROR = b"<Error><Code>InternalError</Code></Error>"


class Server(ThreadingHTTPServer):
    daemon_threads = True
    status = 200
    body = b""
    headers: dict[str, str] = {}

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(QuietHandler):
    """Answers everything in these words."""

    server: Server

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        if "transfer-encoding" not in self.server.headers:
            self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.server.body)

    do_GET = do_HEAD = do_PUT = do_POST = _answer


@pytest.fixture
def server() -> Iterator[Server]:
    with answering(Server()) as server:
        yield server


def test_a_listing_that_breaks_off_is_not_taken_for_a_whole_one(
    server: Server, client: S3Client
) -> None:
    server.body = OLD_LISTING
    with pytest.raises(StorageError, match="breaks off") as caught:
        list(client.pages())
    assert caught.value.kind is ErrorKind.UNSUPPORTED
    # What was wanted of it is there.
    [page] = client.pages(limit=1)
    assert [stat.key for stat in page.objects] == ["a"]


def test_a_part_that_was_not_copied_is_an_error(server: Server, client: S3Client) -> None:
    server.body = ERROR
    server.headers = {"etag": '"0"'}
    with pytest.raises(StorageError, match="InternalError"):
        client._copy_part("/bucket/a", client.head("a"), Upload("b", "1"), 1, 0, 10)


def test_an_upload_without_a_name_is_not_begun(server: Server, client: S3Client) -> None:
    server.body = b"<Other/>"
    with pytest.raises(StorageError, match="names no upload"):
        client.begin_upload("a")


def test_an_object_without_a_length_is_not_an_empty_one(server: Server, client: S3Client) -> None:
    server.headers = {"transfer-encoding": "chunked", "etag": '"several-2"'}
    server.body = b"7\r\ncontent\r\n0\r\n\r\n"
    for deed in (lambda: client.head("a"), lambda: client.get_first("a", 100)):
        with pytest.raises(StorageError, match="tells no length"):
            deed()


def test_parts_that_the_store_has_lost_are_those_of_an_upload_that_is_gone(
    server: Server, client: S3Client
) -> None:
    server.status, server.body = 400, b"<Error><Code>InvalidPart</Code></Error>"
    with pytest.raises(StorageError) as caught:
        client.complete_upload(Upload("a", "1"), [Part(1, 10, "etag")])
    assert caught.value.kind is ErrorKind.NOT_FOUND


@pytest.mark.parametrize("code", ["ConditionNotMet", "TargetConditionNotMet"])
def test_a_blob_whose_condition_is_not_met_exists(server: Server, code: str) -> None:
    endpoint = f"http://127.0.0.1:{server.server_address[1]}/account"
    client = azure.open_client({"endpoint": endpoint, "bucket": "b", "secret_key": "a2V5"})
    server.status, server.headers = 412, {"x-ms-error-code": code}
    deeds: list[Callable[[], object]] = [
        lambda: client.put("a", b"", NEW),
        lambda: client.complete_upload(Upload("a", "00"), [], NEW),
    ]
    for deed in deeds:
        with pytest.raises(StorageError) as caught:
            deed()
        assert caught.value.kind is ErrorKind.EXISTS
    if code == "ConditionNotMet":
        with pytest.raises(StorageError) as caught:
            client.get_range("a", 0, 1, etag="other")
        assert caught.value.kind is ErrorKind.STALE
    client.close()


@pytest.mark.parametrize("date_of", [http_date, _http_date])
def test_a_date_without_a_zone_is_in_utc(
    date_of: Callable[[str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        for zone in ("GMT", "-0000", "+0000"):
            assert date_of(f"Sat, 14 Feb 2009 00:01:30 {zone}") == 1234569690 * 10**9
    finally:
        monkeypatch.undo()
        time.tzset()
