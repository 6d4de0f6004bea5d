"""Objects read by long requests, whose answers are taken as they come."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from longshore.domain.errors import ErrorKind, StorageError
from longshore.storage.backends.object_store import streaming
from longshore.storage.backends.object_store.client import RangeBody
from longshore.storage.backends.object_store.streaming import Pace, Stream
from longshore.storage.handler import SourceFile
from tests.unit.storage.backends.object_store.memory import MemoryClient, open_memory

MEBIBYTE = 1024 * 1024
REQUEST_BYTES = 4 * MEBIBYTE
CONTENT = random.Random(3).randbytes(10 * MEBIBYTE + 5)


class Clock:
    """Time that passes only when somebody waits for bytes."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class MemoryBody(RangeBody):
    """The rest of an object, until the connection breaks."""

    def __init__(self, client: StreamingClient, data: memoryview) -> None:
        self._client = client
        self._data = data
        client.open_bodies += 1

    def read_into(self, buffer: memoryview) -> int:
        client = self._client
        count = min(len(buffer), len(self._data), client.bytes_until_break)
        client.bytes_until_break -= count
        client.clock.now += count * client.seconds_per_byte
        buffer[:count] = self._data[:count]
        self._data = self._data[count:]
        return count

    def close(self) -> None:
        self._client.open_bodies -= 1


class StreamingClient(MemoryClient):
    """A bucket in memory that answers as a connection does: slowly, or not to the end."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.bytes_until_break = 1 << 60
        self.seconds_per_byte = 0.0
        self.open_bodies = 0

    def open_range(self, key: str, start: int, end: int, *, etag: str = "") -> RangeBody:
        data = memoryview(self.get_range(key, start, end, etag=etag))
        self.requests[-1] = f"open {key} {start}-{end}"
        return MemoryBody(self, data)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[StreamingClient]:
    monkeypatch.setattr(streaming, "REQUEST_BYTES", REQUEST_BYTES)
    client = StreamingClient()
    client.put("file", CONTENT)
    yield client
    assert client.open_bodies == 0


@contextmanager
def opened(client: StreamingClient) -> Iterator[SourceFile]:
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        with folder.open(b"file") as reader:
            client.requests.clear()
            yield reader


def read(reader: SourceFile, start: int = 0, end: int = len(CONTENT)) -> bytes:
    content = bytearray()
    buffer = memoryview(bytearray(3 * MEBIBYTE))
    while start < end and (count := reader.read_into(buffer[: end - start], start)):
        content += buffer[:count]
        start += count
    return bytes(content)


def test_a_big_file_is_read_by_few_long_requests(client: StreamingClient) -> None:
    with opened(client) as reader:
        assert read(reader) == CONTENT
    assert client.requests == [
        f"open file {MEBIBYTE}-{REQUEST_BYTES}",
        f"open file {REQUEST_BYTES}-{2 * REQUEST_BYTES}",
        f"open file {2 * REQUEST_BYTES}-{len(CONTENT)}",
    ]


def test_nothing_is_asked_for_behind_a_segment(client: StreamingClient) -> None:
    with opened(client) as reader:
        assert (
            read(reader, REQUEST_BYTES, 2 * REQUEST_BYTES)
            == CONTENT[REQUEST_BYTES:][:REQUEST_BYTES]
        )
    assert client.requests == [f"open file {REQUEST_BYTES}-{2 * REQUEST_BYTES}"]


def test_a_reader_may_leave_in_the_middle(client: StreamingClient) -> None:
    with opened(client) as reader:
        assert read(reader, end=2 * MEBIBYTE) == CONTENT[: 2 * MEBIBYTE]


def test_what_is_left_of_an_answer_that_breaks_off_comes_in_ranges(
    client: StreamingClient,
) -> None:
    client.bytes_until_break = 2 * MEBIBYTE + 7
    with opened(client) as reader:
        assert read(reader) == CONTENT
    kinds = [each.partition(" ")[0] for each in client.requests]
    assert kinds == ["open"] + ["get"] * (len(kinds) - 1)
    assert len(kinds) > 1


def test_a_reader_that_jumps_reads_the_right_bytes(client: StreamingClient) -> None:
    with opened(client) as reader:
        for start in (2 * MEBIBYTE, 9 * MEBIBYTE, 0, 5 * MEBIBYTE + 1):
            assert read(reader, start, start + MEBIBYTE) == CONTENT[start:][:MEBIBYTE]


def test_an_object_that_was_replaced_is_stale(client: StreamingClient) -> None:
    with opened(client) as reader:
        client.put("file", CONTENT[::-1])
        with pytest.raises(StorageError) as caught:
            read(reader, REQUEST_BYTES)
    assert caught.value.kind is ErrorKind.STALE


def test_a_slow_store_is_left_to_ranges_for_a_while(client: StreamingClient) -> None:
    client.seconds_per_byte = 8 * streaming.WAITING_SECONDS_MAXIMUM / streaming.JUDGED_BYTES
    pace = Pace(client.clock)
    stat = client.head("file")
    buffer = memoryview(bytearray(MEBIBYTE))
    offset = 0
    stream = Stream(client, stat, pace)
    while count := stream.read_into(buffer, offset):
        assert buffer[:count] == CONTENT[offset : offset + count]
        offset += count
    assert 4 * MEBIBYTE <= offset <= 5 * MEBIBYTE
    assert not Stream(client, stat, pace).begin(offset)
    client.clock.now += streaming.SLOW_SECONDS
    again = Stream(client, stat, pace)
    assert again.begin(offset)
    again.close()
