"""Staged files whose content waits in memory: they are written by one request when published."""

from __future__ import annotations

from typing import Final

from longshore.domain.entry import EntryKind
from longshore.domain.errors import ErrorKind, RetryClass, StorageError
from longshore.storage.backends.object_store import metadata as file_metadata
from longshore.storage.backends.object_store.client import PutOptions
from longshore.storage.backends.object_store.extents import Extents
from longshore.storage.backends.object_store.hashing import md5_of
from longshore.storage.backends.object_store.publishing import Publishing
from longshore.storage.backends.object_store.store import Store
from longshore.storage.handler import Metadata, StagedFile

SMALL_BYTES: Final = 16 * 1024 * 1024
"""Up to this size a file waits in memory. An upload in parts costs four more requests."""


class StagedObject(StagedFile):
    """A small file or a symbolic link, in memory until `commit`."""

    def __init__(
        self, store: Store, publishing: Publishing, temporary_name: bytes, size: int
    ) -> None:
        self._store = store
        self._publishing = publishing
        self._name = temporary_name
        self._content = bytearray()
        self._there = Extents()
        self._room = size  # taken of the store's memory
        self._metadata: dict[str, str] = {}
        self._kind = EntryKind.FILE
        self._md5 = b""  # that the store has confirmed
        self.is_gone = False

    def close(self) -> None:
        """Nothing: the content is needed until it is published."""

    def write(self, data: memoryview, offset: int) -> None:
        end = offset + len(data)
        if end > len(self._content):
            self._content.extend(bytes(end - len(self._content)))
        self._content[offset:end] = data
        self._there.add(offset, end)

    def read_into(self, buffer: memoryview, offset: int) -> int:
        data = memoryview(self._content)[offset : offset + len(buffer)]
        buffer[: len(data)] = data
        count = len(data)
        data.release()  # the content may have to grow
        return count

    def size(self) -> int:
        return len(self._content)

    def set_metadata(self, metadata: Metadata) -> tuple[str, ...]:
        self._metadata, lost = file_metadata.encode(
            metadata, self._kind, before=self._metadata, limits=self._store.abilities
        )
        return lost

    def commit(self, name: bytes, *, replace: bool) -> None:
        conditional = self._store.abilities.conditional_create
        key = self._publishing.prepare(name, replace=replace, looks=not conditional)
        if self.is_gone:
            cause = "the staged file was removed"
            raise StorageError(ErrorKind.NOT_FOUND, RetryClass.NEVER, "publish", name, cause)
        if not self._there.are_all(len(self._content)):
            cause = "another handler has got the beginning"
            raise StorageError(ErrorKind.STALE, RetryClass.NOW, "publish", name, cause)
        options = PutOptions(
            metadata=self._metadata,
            only_if_absent=conditional and not replace,
            is_file=self._kind is EntryKind.FILE,
        )
        self._md5 = self._store.client.put(key, self._content, options).md5
        self.abort()

    def content_md5(self) -> bytes:
        return self._md5 if self.is_gone else md5_of(self._content)

    def abort(self) -> None:
        self._publishing.forget(self._name, self)
        if not self.is_gone:
            self.is_gone = True
            self._content = bytearray()
            self._store.let_go(self._room)


class StagedLink(StagedObject):
    """A symbolic link: its target is the content of an object with the mode of a link."""

    def __init__(
        self, store: Store, publishing: Publishing, temporary_name: bytes, target: bytes
    ) -> None:
        super().__init__(store, publishing, temporary_name, 0)
        super().write(memoryview(target), 0)
        self._kind = EntryKind.SYMLINK
        self.set_metadata(Metadata())

    def write(self, data: memoryview, offset: int) -> None:
        raise self._no_content("write")

    def read_into(self, buffer: memoryview, offset: int) -> int:
        raise self._no_content("read")

    def _no_content(self, deed: str) -> StorageError:
        cause = "a symbolic link has no content"
        return StorageError(ErrorKind.UNSUPPORTED, RetryClass.NEVER, deed, self._name, cause)
