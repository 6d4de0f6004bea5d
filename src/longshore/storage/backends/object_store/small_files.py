"""Whole small objects, by volleys of requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from longshore.domain.entry import Entry, EntryKind
from longshore.domain.errors import StorageError, StorageUnavailable
from longshore.storage.backends.object_store import metadata as file_metadata
from longshore.storage.backends.object_store.client import (
    SMALL_OBJECT_BYTES,
    Get,
    ObjectStat,
    Put,
    PutOptions,
)
from longshore.storage.backends.object_store.folder import ObjectFolder
from longshore.storage.backends.object_store.store import Store
from longshore.storage.handler import Folder
from longshore.storage.small_files import NewFile, SmallFile, SmallFiles, Wanted


class SmallObjects(SmallFiles):
    """Folders have to be those of the store, not wrapped."""

    bytes_maximum = SMALL_OBJECT_BYTES

    def __init__(self, store: Store) -> None:
        self._store = store
        self.creates = store.abilities.conditional_create

    def prepare(self, folder: Folder) -> bool:
        return isinstance(folder, ObjectFolder) and folder.publishing.learn()

    def read(self, wanted: Iterable[Wanted]) -> Iterator[tuple[Wanted, SmallFile | None]]:
        for get, result in self._store.client.get_many(self._gets(wanted)):
            each = cast("Wanted", get.tag)
            if isinstance(result, StorageUnavailable):
                raise result
            if isinstance(result, StorageError):
                yield each, None
                continue
            stat, data = result
            entry = self._usual(each.name, stat)
            yield each, None if entry is None else SmallFile(entry, bytes(data))

    def write(self, files: Iterable[NewFile]) -> Iterator[tuple[NewFile, bytes | None]]:
        for put, result in self._store.client.put_many(self._puts(files)):
            md5 = None if isinstance(result, StorageError) else result.md5
            yield cast("NewFile", put.tag), md5

    def _gets(self, wanted: Iterable[Wanted]) -> Iterator[Get]:
        for each in wanted:
            assert isinstance(each.folder, ObjectFolder)
            try:
                key = each.folder.publishing.key(each.name, "open")
            except StorageError:
                continue
            yield Get(key, each, each.size)

    def _usual(self, name: bytes, stat: ObjectStat) -> Entry | None:
        """The entry of a regular file without attributes; None for anything else."""
        metadata = stat.metadata or {}
        found = file_metadata.decode(metadata)
        if found.kind() is not EntryKind.FILE or file_metadata.has_attributes(metadata):
            return None
        return self._store.entry_of(name, stat, found, EntryKind.FILE)

    def _puts(self, files: Iterable[NewFile]) -> Iterator[Put]:
        """What is usual of the files."""
        for file in files:
            assert isinstance(file.folder, ObjectFolder)
            key = file.folder.publishing.free_key(file.name)
            metadata, lost = file_metadata.encode(
                file.metadata, EntryKind.FILE, before={}, limits=self._store.abilities
            )
            if key is not None and not lost:
                options = PutOptions(metadata=metadata, only_if_absent=not file.replace)
                yield Put(key, file.content, options, file)
