"""A storage that shows a byte range of each file as if it were the whole file."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from longshore.domain.entry import Entry, EntryKind
from longshore.storage.handler import Folder, SourceFile, StorageHandler
from longshore.storage.wrappers.forwarding import (
    ForwardingFolder,
    ForwardingSourceFile,
    ForwardingStorage,
)


class RangedStorage(ForwardingStorage):
    """Reads only the bytes from `first` up to, not including, `last`. Writing is left as it is."""

    def __init__(self, inner: StorageHandler, first: int, last: int) -> None:
        super().__init__(inner)
        self._first = first
        self._last = last

    def wrap_folder(self, folder: Folder) -> Folder:
        return _RangedFolder(folder, self._first, self._last)


class _RangedFolder(ForwardingFolder):
    def __init__(self, inner: Folder, first: int, last: int) -> None:
        super().__init__(inner)
        self._first = first
        self._last = last

    def entries(self, *, after: bytes = b"") -> Iterator[Entry]:
        return (clip(entry, self._first, self._last) for entry in super().entries(after=after))

    def outlines(self, *, after: bytes = b"") -> Iterator[Entry]:
        return self.entries(after=after)  # it is a single file: nothing is saved

    def stat(self, name: bytes) -> Entry:
        return clip(super().stat(name), self._first, self._last)

    def content_md5(self, name: bytes) -> bytes:
        return b""  # of this range nobody tells it

    def wrap_source(self, name: bytes, source: SourceFile) -> SourceFile:
        return _RangedSourceFile(source, self._first, self._last)


class _RangedSourceFile(ForwardingSourceFile):
    def __init__(self, inner: SourceFile, first: int, last: int) -> None:
        super().__init__(inner)
        self._first = first
        self._last = last

    def stat(self) -> Entry:
        return clip(super().stat(), self._first, self._last)

    def read_into(self, buffer: memoryview, offset: int) -> int:
        left = self._last - self._first - offset
        return super().read_into(buffer[:left], self._first + offset) if left > 0 else 0

    def data_ranges(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """All of it: holes of the file need not be holes of the range."""
        if start < end:
            yield start, end


def clip(entry: Entry, first: int, last: int) -> Entry:
    """The entry of the range: as long as what lies in it, with no other names and no holes."""
    if entry.kind is not EntryKind.FILE:
        return entry
    size = max(0, min(entry.size, last) - first)
    return msgspec.structs.replace(entry, size=size, links=1, allocated_bytes=size)
