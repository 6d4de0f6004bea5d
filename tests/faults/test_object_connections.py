"""Connections to object stores that break and lie: the content is right, or there is an error."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from random import Random

import pytest

from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.domain.storage import StorageKind, StorageReference
from longshore.storage.backends.object_store.flow import REQUESTS_AT_FIRST
from longshore.storage.backends.object_store.retrying import ATTEMPTS_MAXIMUM, RetryingClient
from longshore.storage.backends.object_store.storage import ObjectStorage
from longshore.storage.backends.object_store.store import Settings, Store
from longshore.storage.handler import SourceFile
from tests.object_servers.buckets import new_bucket
from tests.object_servers.processes import ObjectServer
from tests.object_servers.proxy import SLOW_DOWN, Disturbance, Proxy

MEBIBYTE = 1 << 20
STORES = [("ceph", "s3"), ("moto", "s3"), ("azurite", "azure"), ("gcs", "gcs"), ("swift", "swift")]
ENDLESSLY = 1_000_000
BUCKET = StorageReference(StorageKind.CLOUD_BUCKET, 1)


@dataclass(frozen=True)
class Line:
    """A bucket, reached directly and through a proxy."""

    direct: RetryingClient
    client: RetryingClient
    proxy: Proxy
    pauses: list[float]  # that the clients wanted to make


@pytest.fixture(params=STORES, ids="-".join)
def line(
    request: pytest.FixtureRequest, object_server: Callable[[str], ObjectServer]
) -> Iterator[Line]:
    server_name, api = request.param
    server = object_server(server_name)
    settings = server.settings(api, new_bucket(server, api), requests_maximum="4")
    if api == "swift":  # it tells by itself where it is
        settings["storage_url"] = _storage_url(settings)
    module = import_module(f"longshore.storage.backends.object_store.{api}")
    where = "storage_url" if api == "swift" else "endpoint"
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        time.sleep(min(seconds, 0.01))

    with Proxy(settings[where]) as proxy:
        through = {**settings, where: proxy.endpoint, "read_seconds": "1"}
        clients = [
            RetryingClient(module.open_client(each), sleep=pause, chance=Random(1))
            for each in (settings, through)
        ]
        yield Line(clients[0], clients[1], proxy, pauses)
        for client in clients:
            client.close()


def _storage_url(settings: dict[str, str]) -> str:
    from longshore.storage.backends.object_store.swift_login import SwiftLogin

    return SwiftLogin(settings).account().url


def test_a_broken_download_is_resumed_by_range(line: Line) -> None:
    content = os.urandom(2 * MEBIBYTE)
    stat = line.direct.put("key", content)
    cut = line.proxy.disturb(Disturbance(cut_download_after=MEBIBYTE // 2, times=2))
    assert bytes(line.client.get_range("key", 0, len(content), etag=stat.etag)) == content
    assert cut.hits == 2


def test_a_file_whose_answer_breaks_off_is_read_to_its_end(line: Line) -> None:
    content = os.urandom(5 * MEBIBYTE)
    line.direct.put("file", content)
    storage = ObjectStorage(BUCKET, Store(line.client, Settings(uid=0, gid=0)))
    with storage.open_folder(b"") as folder, folder.open(b"file") as reader:
        cut = line.proxy.disturb(Disturbance(cut_download_after=2 * MEBIBYTE))
        assert read_whole(reader) == content
    assert cut.hits == 1


def test_a_byte_of_a_file_changed_on_its_way_down_is_noticed(line: Line) -> None:
    content = os.urandom(5 * MEBIBYTE)
    line.direct.put("file", content)
    storage = ObjectStorage(BUCKET, Store(line.client, Settings(uid=0, gid=0)))
    changed = line.proxy.disturb(Disturbance(corrupt_download_at=3 * MEBIBYTE))
    with storage.open_folder(b"") as folder:
        with folder.open(b"file") as reader, pytest.raises(StorageError) as caught:
            read_whole(reader)
        assert (caught.value.kind, caught.value.retry) == (
            ErrorKind.CHECKSUM_MISMATCH,
            RetryClass.NOW,
        )
        assert changed.hits == 1
        with folder.open(b"file") as reader:
            assert read_whole(reader) == content


def read_whole(reader: SourceFile) -> bytes:
    """The file, read from its beginning to its end."""
    came = bytearray()
    buffer = memoryview(bytearray(MEBIBYTE))
    while count := reader.read_into(buffer, len(came)):
        came += buffer[:count]
    return bytes(came)


def test_a_download_that_stalls_is_resumed_by_range_after_the_time_out(line: Line) -> None:
    content = os.urandom(2 * MEBIBYTE)
    stat = line.direct.put("key", content)
    stall = line.proxy.disturb(Disturbance(hold_download_after=MEBIBYTE))
    line.proxy.bytes_down = 0
    assert bytes(line.client.get_range("key", 0, len(content), etag=stat.etag)) == content
    assert stall.hits == 1
    assert line.proxy.bytes_down < len(content) + MEBIBYTE // 2


@pytest.mark.parametrize(
    ("up", "down"), [(None, 0), (MEBIBYTE // 2, None)], ids=["its answer", "the request"]
)
def test_a_server_that_hangs_is_left_after_the_time_out_and_asked_again(
    line: Line, up: int | None, down: int | None
) -> None:
    content = os.urandom(MEBIBYTE)
    hung = line.proxy.disturb(Disturbance(hold_upload_after=up, hold_download_after=down))
    line.client.put("key", content)
    assert hung.hits == 1
    assert bytes(line.direct.get_range("key", 0, len(content))) == content


@pytest.mark.parametrize("line", [("moto", "s3")], indirect=True)
def test_a_server_that_never_answers_is_one_that_is_gone(line: Line) -> None:
    hung = line.proxy.disturb(Disturbance(hold_download_after=0, times=ENDLESSLY))
    with pytest.raises(StorageUnavailable) as caught:
        line.client.head("key")
    assert (caught.value.kind, caught.value.retry) == (ErrorKind.TIMEOUT, RetryClass.LATER)
    assert hung.hits == ATTEMPTS_MAXIMUM + 1  # the last one asks for the bucket


@pytest.mark.parametrize("line", [("moto", "s3")], indirect=True)
def test_one_object_that_never_comes_is_no_lost_store(line: Line) -> None:
    line.direct.put("key", b"content")
    hung = line.proxy.disturb(Disturbance(hold_download_after=0, times=ATTEMPTS_MAXIMUM))
    with pytest.raises(StorageError) as caught:
        line.client.head("key")
    assert not isinstance(caught.value, StorageUnavailable)
    assert caught.value.kind is ErrorKind.TIMEOUT
    assert hung.hits == ATTEMPTS_MAXIMUM


def test_a_broken_upload_of_a_part_is_repeated(line: Line) -> None:
    contents = [os.urandom(5 * MEBIBYTE), os.urandom(MEBIBYTE)]
    upload = line.client.begin_upload("big")
    parts = []
    for number, content in enumerate(contents, start=1):
        cut = line.proxy.disturb(Disturbance(cut_upload_after=MEBIBYTE // 2))
        parts.append(line.client.put_part(upload, number, content))
        assert cut.hits == 1
    line.client.complete_upload(upload, parts)
    whole = b"".join(contents)
    assert bytes(line.direct.get_range("big", 0, len(whole))) == whole


def test_an_answer_that_is_lost_does_no_harm(line: Line) -> None:
    upload = line.client.begin_upload("big")
    parts = [line.client.put_part(upload, 1, b"content")]
    cut = line.proxy.disturb(Disturbance(cut_download_after=0))
    assert line.client.complete_upload(upload, parts).size == 7
    line.proxy.disturb(Disturbance(cut_download_after=0))
    line.client.put("small", b"small")
    assert cut.hits == 1
    assert bytes(line.direct.get_first("big", 100)[1]) == b"content"
    assert bytes(line.direct.get_first("small", 100)[1]) == b"small"


def test_a_byte_changed_on_its_way_up_is_noticed_and_sent_again(line: Line) -> None:
    content = os.urandom(MEBIBYTE)
    changed = line.proxy.disturb(Disturbance(corrupt_upload_at=MEBIBYTE // 2))
    line.client.put("key", content)
    assert changed.hits == 1
    assert bytes(line.direct.get_range("key", 0, len(content))) == content


def test_content_that_changes_on_every_way_up_never_becomes_an_object(line: Line) -> None:
    upload = line.client.begin_upload("big")
    changed = line.proxy.disturb(Disturbance(corrupt_upload_at=MEBIBYTE // 2, times=ENDLESSLY))
    with pytest.raises(StorageError) as caught:
        line.client.put_part(upload, 1, os.urandom(MEBIBYTE))
    assert caught.value.kind is ErrorKind.CHECKSUM_MISMATCH
    assert changed.hits >= ATTEMPTS_MAXIMUM
    with pytest.raises(StorageError) as caught:
        line.direct.head("big")
    assert caught.value.kind is ErrorKind.NOT_FOUND


def test_a_byte_changed_on_its_way_down_is_noticed_and_read_again(line: Line) -> None:
    content = os.urandom(MEBIBYTE)
    line.direct.put("key", content)
    changed = line.proxy.disturb(Disturbance(corrupt_download_at=MEBIBYTE // 2))
    assert bytes(line.client.get_first("key", 2 * MEBIBYTE)[1]) == content
    assert changed.hits == 1


def test_a_store_that_asks_for_patience_gets_fewer_requests(line: Line) -> None:
    storm = line.proxy.disturb(Disturbance(answer=SLOW_DOWN, times=ATTEMPTS_MAXIMUM - 1))
    line.client.put("key", os.urandom(MEBIBYTE))
    assert storm.hits == ATTEMPTS_MAXIMUM - 1
    assert line.client.flow.allowed < min(REQUESTS_AT_FIRST, 4)
    assert line.direct.head("key").size == MEBIBYTE


def test_a_store_that_says_how_long_to_wait_is_left_alone_for_so_long(line: Line) -> None:
    patience = SLOW_DOWN.replace(b"connection: close", b"connection: close\r\nretry-after: 3")
    storm = line.proxy.disturb(Disturbance(answer=patience, times=2))
    line.client.put("key", b"content")
    assert storm.hits == 2
    assert [pause >= 3 for pause in line.pauses] == [True, True]


LISTED = [f"folder/{number:03}" for number in range(60)]


@pytest.mark.parametrize(
    "disturbance",
    [
        Disturbance(cut_upload_after=20),
        Disturbance(cut_download_after=0),
        Disturbance(cut_download_after=1500, times=2),
        Disturbance(hold_upload_after=20),
        Disturbance(hold_download_after=1500),
        Disturbance(corrupt_download_at=1500),
        Disturbance(answer=SLOW_DOWN, times=2),
    ],
    ids=["cut up", "no answer", "cut down", "held up", "held down", "corrupted down", "throttled"],
)
def test_a_listing_is_whole_whatever_happens_on_the_way(
    line: Line, disturbance: Disturbance
) -> None:
    for key in LISTED:
        line.direct.put(key, b"")
    done = line.proxy.disturb(replace(disturbance))
    found = [stat.key for page in line.client.pages("folder/") for stat in page.objects]
    assert found == LISTED
    assert done.hits == disturbance.times


def test_an_answer_with_a_changed_byte_is_asked_for_again(line: Line) -> None:
    """Wherever the byte is: in the status, a header, the document or the content."""
    for key in LISTED[:3]:
        line.direct.put(key, key.encode())
    for offset in range(3, 420, 13):
        for ask, wanted in (
            (
                lambda: [s.key for page in line.client.pages("folder/") for s in page.objects],
                LISTED[:3],
            ),
            (lambda: bytes(line.client.get_first(LISTED[0], 100)[1]), LISTED[0].encode()),
        ):
            line.proxy.disturb(Disturbance(corrupt_download_at=offset))
            assert ask() == wanted, offset


def test_a_listing_asked_for_wrongly_is_an_error_or_right_in_the_end(line: Line) -> None:
    line.direct.put("key", b"")
    asked = line.proxy.disturb(Disturbance(corrupt_upload_at=6))  # of its target
    try:
        found = [stat.key for page in line.client.pages() for stat in page.objects]
    except StorageError:
        found = ["key"]
    assert found == ["key"]
    assert asked.hits == 1


def test_a_storm_that_does_not_end_is_left_to_the_run(line: Line) -> None:
    line.proxy.disturb(Disturbance(answer=SLOW_DOWN, times=ENDLESSLY))
    with pytest.raises(StorageUnavailable) as caught:
        line.client.put("key", b"content")
    assert caught.value.retry is RetryClass.LATER
    with pytest.raises(StorageUnavailable):
        list(line.client.pages())


def test_a_store_that_was_gone_is_used_again_when_it_is_back(line: Line) -> None:
    line.client.put("before", b"1")
    line.proxy.stop()
    with pytest.raises(StorageUnavailable) as caught:
        line.client.put("key", b"content")
    assert caught.value.retry is RetryClass.LATER
    with pytest.raises(StorageUnavailable):
        line.client.check(writable=True)
    line.proxy.start()
    line.client.put("key", b"content")
    assert bytes(line.client.get_first("key", 10)[1]) == b"content"
