"""Short forms of what the tests do to a storage, through its interface only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from longshore.domain import paths
from longshore.domain.entry import Entry
from longshore.domain.errors import ErrorKind, StorageError
from longshore.storage.handler import TEMPORARY_PREFIX, SourceFile, StagedFile, StorageHandler

BIG_BUFFER = 3_000_001  # bytes, for files of many pieces; the ends of reads fall anywhere, too
TEMPORARY = TEMPORARY_PREFIX + b"test"


def put(storage: StorageHandler, path: bytes, content: bytes, *, replace: bool = False) -> None:
    """Publish a file with the content; missing folders are made."""
    parent, name = paths.split(path)
    with (
        storage.open_folder(parent, create=True) as folder,
        folder.stage(TEMPORARY, size=len(content)) as staged,
    ):
        staged.write(memoryview(content), 0)
        staged.commit(name, replace=replace)


def put_symlink(storage: StorageHandler, path: bytes, target: bytes) -> None:
    """Publish a symbolic link."""
    parent, name = paths.split(path)
    with (
        storage.open_folder(parent, create=True) as folder,
        folder.stage_symlink(TEMPORARY, target) as staged,
    ):
        staged.commit(name, replace=False)


def read(storage: StorageHandler, path: bytes, *, buffer_bytes: int = 7) -> bytes:
    """The content of a published file."""
    parent, name = paths.split(path)
    with storage.open_folder(parent) as folder, folder.open(name) as source:
        return content_of(source, buffer_bytes=buffer_bytes)


def content_of(file: SourceFile | StagedFile, *, buffer_bytes: int = 7) -> bytes:
    """All that `read_into` gets; the odd buffer makes the ends of reads fall anywhere."""
    content = bytearray()
    buffer = bytearray(buffer_bytes)
    while got := file.read_into(memoryview(buffer), len(content)):
        content += buffer[:got]
    return bytes(content)


def entries(storage: StorageHandler, path: bytes = b"", *, after: bytes = b"") -> list[Entry]:
    """The listing of a folder."""
    with storage.open_folder(path) as folder:
        return list(folder.entries(after=after))


def without_atime(entry: Entry) -> Entry:
    """The entry as it compares equal after a look: reading a link's target counts as access."""
    return msgspec.structs.replace(entry, atime_ns=0)


def listed(storage: StorageHandler, path: bytes = b"", *, after: bytes = b"") -> list[bytes]:
    """The names in the listing of a folder."""
    return [entry.name for entry in entries(storage, path, after=after)]


def lasting_piece(storage: StorageHandler, byte: bytes) -> bytes:
    """So much of one byte that it lasts beyond `close` of a staged file that is longer."""
    return byte * max(storage.capabilities.staged_in_memory_bytes, 3)


@contextmanager
def refused(*kinds: ErrorKind) -> Iterator[pytest.ExceptionInfo[StorageError]]:
    """The block has to raise a StorageError of one of these kinds."""
    with pytest.raises(StorageError) as caught:
        yield caught
    assert caught.value.kind in kinds


def open_descriptors() -> int:
    """How many descriptors this process holds."""
    return len(os.listdir("/proc/self/fd"))
