"""Objects opened for reading: what comes next is on its way before it is asked for."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Final

from longshore.domain.entry import Entry
from longshore.domain.segments import SEGMENT_BYTES
from longshore.storage.backends.object_store.client import Data, ObjectStat
from longshore.storage.backends.object_store.metadata import decode_attributes
from longshore.storage.backends.object_store.refusals import mismatch
from longshore.storage.backends.object_store.store import Store
from longshore.storage.backends.object_store.streaming import Stream
from longshore.storage.handler import SourceFile

FIRST_BYTES: Final = 1024 * 1024
"""Of each object, read with its metadata by the request that opens it. Most files end there."""

RANGE_BYTES: Final = 8 * 1024 * 1024
"""Asked for with one request: long enough that its way to the store and back does not count."""

RANGES_AHEAD: Final = 4
"""Requests under way for a reader that goes on from where it was; 40 MiB of memory with the one
that is being read."""


class Follower:
    """Compares an object that is read from its beginning to its end with its MD5.

    Nothing else notices a byte that was changed on its way from a store without encryption.
    """

    def __init__(self, stat: ObjectStat) -> None:
        self._stat = stat
        self._digest = hashlib.md5(usedforsecurity=False)
        self._next = 0

    def follow(self, data: memoryview, offset: int) -> None:
        """These bytes were read. Raises kind `checksum_mismatch` when the last of all are wrong."""
        if offset == 0:
            self._digest, self._next = hashlib.md5(usedforsecurity=False), 0
        if offset != self._next or not len(data):
            return  # somebody reads here and there
        self._digest.update(data)
        self._next += len(data)
        if self._next == self._stat.size and self._digest.digest() != self._stat.md5:
            raise mismatch("read", self._stat.key)


class ObjectReader(SourceFile):
    """An object as it was when it was opened: once it is replaced, reading on is kind `stale`."""

    def __init__(self, store: Store, entry: Entry, stat: ObjectStat, first: Data) -> None:
        self._store = store
        self._entry = entry
        self._stat = stat
        self._first = memoryview(first)
        self._ranges: OrderedDict[int, Future[Data]] = OrderedDict()  # by where they begin
        self._next = 0  # where a sequential reader reads next
        self._stream = Stream(store.client, stat, store.pace)
        # One that came with the first bytes was compared with them, and a bigger one is read in
        # segments, by several movers.
        is_read_whole = len(first) < stat.size <= SEGMENT_BYTES
        self._follower = Follower(stat) if stat.md5 and is_read_whole else None

    def close(self) -> None:
        self._stream.close()
        self._drop_all()

    def _drop_all(self) -> None:
        while self._ranges:
            self._drop(self._ranges.popitem()[1])

    def stat(self) -> Entry:
        return self._entry

    def attributes(self) -> Mapping[bytes, bytes]:
        return decode_attributes(self._stat.metadata or {})

    def read_into(self, buffer: memoryview, offset: int) -> int:
        count = self._stream_into(buffer, offset)
        if not count:
            data = self._data_at(offset)
            count = min(len(data), len(buffer))
            buffer[:count] = data[:count]
        self._next = offset + count
        if self._follower is not None:
            self._follower.follow(buffer[:count], offset)
        return count

    def _stream_into(self, buffer: memoryview, offset: int) -> int:
        """Some bytes of what lies behind the first ones, if one request after the other will do."""
        if not len(self._first) <= offset < self._stat.size:
            return 0
        return self._stream.read_into(buffer, offset)

    def _data_at(self, offset: int) -> memoryview:
        """Some bytes from the offset on; none at the end."""
        if offset >= self._stat.size:
            return memoryview(b"")
        if offset < len(self._first):
            if len(self._first) < self._stat.size and offset == self._next:
                self._begin_behind_first()
            return self._first[offset:]
        start = self._start_of(offset)
        if offset == self._next:
            self._read_ahead(start)
        elif start not in self._ranges:
            self._drop_all()  # a jump: what was on its way will not be read
        wanted = self._ranges.get(start) or self._begin(start)
        return memoryview(wanted.result())[offset - start :]

    def _begin_behind_first(self) -> None:
        if not self._stream.begin(len(self._first)):
            self._read_ahead(len(self._first))

    def _start_of(self, offset: int) -> int:
        return max(offset // RANGE_BYTES * RANGE_BYTES, len(self._first))

    def _end_of(self, start: int) -> int:
        return min((start // RANGE_BYTES + 1) * RANGE_BYTES, self._stat.size)

    def _read_ahead(self, start: int) -> None:
        self._drop_before(start)
        for _ in range(1 + RANGES_AHEAD):
            if start < self._stat.size and start not in self._ranges:
                self._begin(start)
            start = self._end_of(start)

    def _begin(self, start: int) -> Future[Data]:
        client, stat = self._store.client, self._stat
        end = self._end_of(start)
        room = self._store.buffers.take(end - start)
        begun = self._store.begin(
            lambda: client.get_range(stat.key, start, end, etag=stat.etag, room=room)
        )
        self._ranges[start] = begun
        return begun

    def _drop_before(self, start: int) -> None:
        for each in [each for each in self._ranges if each < start]:
            self._drop(self._ranges.pop(each))

    def _drop(self, begun: Future[Data]) -> None:
        if begun.cancel() or not begun.done() or begun.exception() is not None:
            return
        data = begun.result()
        if isinstance(data, bytearray):
            self._store.buffers.give_back(data)
