"""Reading a range or the beginning of an object, over connections that may break."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from longshore.domain.errors import ErrorKind, RetryClass, StorageError
from longshore.storage.backends.object_store import http
from longshore.storage.backends.object_store.client import (
    Data,
    ObjectClient,
    ObjectStat,
    RangeBody,
)
from longshore.storage.backends.object_store.exchange import broken, length_in, unreadable
from longshore.storage.backends.object_store.hashing import md5_of
from longshore.storage.backends.object_store.refusals import mismatch, replaced

RESUMES_MAXIMUM: Final = 3
"""How often one range is gone on with after a broken connection, before the error is raised."""

Ask = Callable[[Mapping[str, str]], http.Answer]
"""Asks for one object, with these headers besides those of every request."""

StatOf = Callable[[str, Mapping[str, str], int], ObjectStat]
"""The object of that key as the headers of an answer tell it; the last value is its size."""


def get_range(
    key: str,
    start: int,
    end: int,
    etag: str,
    ask: Ask,
    *,
    header: str = "range",
    room: bytearray | None = None,
) -> bytearray:
    """All bytes of a range, of the object with that etag ("" = any)."""

    def get(buffer: memoryview, offset: int) -> int:
        headers = _headers(offset, offset + len(buffer), etag, header)
        return read_range(ask(headers), buffer, offset, key)

    return whole_range(key, start, end, get, room)


class Body(RangeBody):
    """The answer to a request for a range, as it comes."""

    def __init__(self, answer: http.Answer, size: int) -> None:
        self._answer = answer
        self._left = size

    def read_into(self, buffer: memoryview) -> int:
        wanted = buffer[: self._left]
        count = self._answer.read_into(wanted)
        self._left -= count
        return count

    def close(self) -> None:
        self._answer.close()


def open_range(
    key: str, start: int, end: int, etag: str, ask: Ask, *, header: str = "range"
) -> RangeBody:
    """A range of the object with that etag ("" = any), whose bytes are still to come."""
    answer = ask(_headers(start, end, etag, header))
    try:
        _check_range(answer, start, key)
    except StorageError:
        answer.close()
        raise
    return Body(answer, end - start)


def get_first(
    client: ObjectClient,
    key: str,
    limit: int,
    ask: Ask,
    stat_of: StatOf,
    *,
    header: str = "range",
) -> tuple[ObjectStat, Data]:
    """An object and its first bytes with one request, as `ObjectClient.get_first` promises."""
    try:
        answer = ask({header: f"bytes=0-{limit - 1}"})
    except StorageError as error:
        if error.kind is not ErrorKind.STALE:
            raise
        return _empty(client, key), b""  # no range of an object of no bytes can be had
    whole, data, filled = _read_first(answer, limit, key)
    stat = stat_of(key, answer.headers, whole)
    if filled < len(data):
        data[filled:] = client.get_range(key, filled, len(data), etag=stat.etag)
    if stat.md5 and len(data) == whole and md5_of(data) != stat.md5:
        raise mismatch("read", key)
    return stat, data


def whole_range(
    key: str,
    start: int,
    end: int,
    get: Callable[[memoryview, int], int],
    room: bytearray | None = None,
) -> bytearray:
    """All bytes of a range, in the room for them if there is one.

    `get(buffer, offset)` reads as many as come before a break.
    """
    data = bytearray(end - start) if room is None else room
    view = memoryview(data)
    filled = 0
    for _ in range(1 + RESUMES_MAXIMUM):
        filled += get(view[filled:], start + filled)
        if filled == len(data):
            return data
    raise broken("read", key, f"{filled} of {len(data)} bytes came")


def read_range(answer: http.Answer, buffer: memoryview, start: int, key: str) -> int:
    """Read an answer to a request for a range, after making sure that it is that range."""
    with answer:
        _check_range(answer, start, key)
        return answer.read_into(buffer)


def _headers(start: int, end: int, etag: str, header: str) -> dict[str, str]:
    headers = {header: f"bytes={start}-{end - 1}"}
    return headers | {"if-match": f'"{etag}"'} if etag else headers


def _check_range(answer: http.Answer, start: int, key: str) -> None:
    came = answer.headers.get("content-range", "")
    if start and not came.startswith(f"bytes {start}-"):
        cause = "the service gives no ranges"
        raise StorageError(ErrorKind.UNSUPPORTED, RetryClass.NEVER, "read", key.encode(), cause)


def _empty(client: ObjectClient, key: str) -> ObjectStat:
    found = client.head(key)
    if found.size:
        raise replaced("read", key)
    return found


def _read_first(answer: http.Answer, limit: int, key: str) -> tuple[int, bytearray, int]:
    """Size of the whole object, room for its beginning, and how many bytes of that have come."""
    with answer:
        length = length_in(answer.headers, "read", key)
        whole = answer.headers.get("content-range", "").rpartition("/")[2]
        if whole and not (whole.isascii() and whole.isdigit()):
            raise unreadable("read", key, ValueError("it tells no length of the whole"))
        data = bytearray(min(length, limit))
        return int(whole) if whole else length, data, answer.read_into(memoryview(data))
