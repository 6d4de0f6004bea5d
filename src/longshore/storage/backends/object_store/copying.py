"""Files that the store copies from another of its buckets, so that no byte of them travels.

The content is confirmed by its MD5: the store has told that of the source, and tells that of the
copy. Where it does not, the copy is read and compared.
"""

from __future__ import annotations

import hashlib
from typing import Final

from longshore.domain import paths
from longshore.domain.entry import EntryKind
from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.storage.backends.object_store import metadata as file_metadata
from longshore.storage.backends.object_store.client import ObjectStat
from longshore.storage.backends.object_store.publishing import Publishing
from longshore.storage.backends.object_store.reading import FIRST_BYTES, RANGE_BYTES
from longshore.storage.backends.object_store.refusals import mismatch
from longshore.storage.backends.object_store.store import Store
from longshore.storage.handler import Metadata, StagedFile

COPIED_BYTES_MINIMUM: Final = FIRST_BYTES + 1
"""Smaller objects come with the one request that opens them; a copy inside takes one more."""


_OF_THE_NAME: Final = frozenset({ErrorKind.EXISTS, ErrorKind.IS_A_FOLDER, ErrorKind.NAME_INVALID})
"""Refusals of whatever is to have that name."""

_OF_ALL_COPIES: Final = frozenset({ErrorKind.UNSUPPORTED, ErrorKind.PERMISSION})
"""Others would be refused, too: a copy wants rights that reading and writing do not (tags)."""


class StagedCopy(StagedFile):
    """An object of another bucket. Nothing is done before `commit`, which is one request."""

    def __init__(
        self,
        store: Store,
        publishing: Publishing,
        temporary_name: bytes,
        source: ObjectStat,
        source_bucket: str,
    ) -> None:
        self._store = store
        self._publishing = publishing
        self._name = temporary_name
        self._source = source
        self._source_bucket = source_bucket
        self._metadata: dict[str, str] = {}
        self._is_gone = False

    def close(self) -> None:
        """Nothing is held."""

    def size(self) -> int:
        return self._source.size

    def write(self, data: memoryview, offset: int) -> None:
        raise self._no_content("write")

    def read_into(self, buffer: memoryview, offset: int) -> int:
        raise self._no_content("read")

    def set_metadata(self, metadata: Metadata) -> tuple[str, ...]:
        self._metadata, lost = file_metadata.encode(
            metadata, EntryKind.FILE, before=self._metadata, limits=self._store.abilities
        )
        return lost

    def commit(self, name: bytes, *, replace: bool) -> None:
        if self._is_gone:
            cause = "the staged file was removed"
            raise StorageError(ErrorKind.NOT_FOUND, RetryClass.NEVER, "publish", name, cause)
        conditional = self._store.abilities.conditional_create
        try:
            # Some stores heed the condition of what is written and not of what is copied.
            key = self._publishing.prepare(name, replace=replace, looks=True)
            copied = self._copied(key, only_if_absent=conditional and not replace)
            self._confirm(key, copied)
        except StorageUnavailable:
            raise
        except StorageError as error:
            # After an answer that was lost, it is this very copy that stands there.
            if error.kind is not ErrorKind.EXISTS or not self._stands_at(name):
                raise self._refused(name, error) from error
        self.abort()

    def content_md5(self) -> bytes:
        return self._source.md5

    def abort(self) -> None:
        self._publishing.forget(self._name, self)
        self._is_gone = True

    def _copied(self, key: str, *, only_if_absent: bool) -> ObjectStat:
        try:
            return self._copy(key, only_if_absent=only_if_absent)
        except StorageUnavailable:
            raise
        except StorageError as error:
            if not only_if_absent or error.kind is not ErrorKind.UNSUPPORTED:
                raise
            return self._copy(key, only_if_absent=False)  # it knows no condition of copies

    def _copy(self, key: str, *, only_if_absent: bool) -> ObjectStat:
        return self._store.client.copy(
            self._source.key,
            key,
            metadata=self._metadata,
            source_bucket=self._source_bucket,
            source_etag=self._source.etag,
            only_if_absent=only_if_absent,
        )

    def _stands_at(self, name: bytes) -> bool:
        found = self._store.look(self._store.key(self._publishing.folder_key, name, "publish"))
        return (
            found is not None
            and (found.size, found.md5) == (self._source.size, self._source.md5)
            and found.metadata == self._metadata
        )

    def _confirm(self, key: str, copied: ObjectStat) -> None:
        """Raises kind `checksum_mismatch` if the copy is not what the source was."""
        md5 = copied.md5 or self._store.client.head(key).md5 or self._read_md5(key)
        if md5 != self._source.md5:
            raise mismatch("copy", key)

    def _read_md5(self, key: str) -> bytes:
        digest = hashlib.md5(usedforsecurity=False)
        size = self._source.size
        for start in range(0, size, RANGE_BYTES):
            end = min(start + RANGE_BYTES, size)
            digest.update(self._store.client.get_range(key, start, end))
        return digest.digest()

    def _refused(self, name: bytes, error: StorageError) -> StorageError:
        """The error as it is, or one that lets the file be read and written instead."""
        if error.retry is not RetryClass.NEVER or error.kind in _OF_THE_NAME:
            return error
        if error.kind in _OF_ALL_COPIES:
            self._store.copies_inside = False
        path = paths.join(self._publishing.path, name)
        cause = f"the store does not copy it: {error}"
        return StorageError(ErrorKind.INPUT_OUTPUT, RetryClass.NOW, "publish", path, cause)

    def _no_content(self, deed: str) -> StorageError:
        cause = "the store copies its content by itself"
        return StorageError(ErrorKind.UNSUPPORTED, RetryClass.NEVER, deed, self._name, cause)


def may_copy(store: Store, source: Store, stat: ObjectStat) -> bool:
    """Whether the store can take the object from that other bucket, and confirm what it took."""
    return (
        store.copies_inside
        and bool(store.settings.bucket)
        and store.settings.account == source.settings.account
        and bool(stat.md5 and stat.etag)
        and COPIED_BYTES_MINIMUM <= stat.size <= store.abilities.copy_bytes_maximum
    )
