"""A folder of a bucket: the keys that begin with its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Final

import msgspec

from longshore.domain import paths
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.storage.backends.object_store import metadata as file_metadata
from longshore.storage.backends.object_store import uploads
from longshore.storage.backends.object_store.client import ObjectStat, PutOptions, Upload
from longshore.storage.backends.object_store.copying import (
    COPIED_BYTES_MINIMUM,
    StagedCopy,
    may_copy,
)
from longshore.storage.backends.object_store.multipart import StagedUpload
from longshore.storage.backends.object_store.names import FolderNames, Found
from longshore.storage.backends.object_store.publishing import Publishing
from longshore.storage.backends.object_store.reading import FIRST_BYTES, ObjectReader
from longshore.storage.backends.object_store.stage import SMALL_BYTES, StagedLink, StagedObject
from longshore.storage.backends.object_store.store import LINK_TARGET_BYTES_MAXIMUM, Store
from longshore.storage.backends.posix_names import check_name, check_temporary_name
from longshore.storage.handler import (
    TEMPORARY_PREFIX,
    CopyInside,
    Folder,
    Intent,
    Metadata,
    SourceFile,
    StagedFile,
    attribute_field,
)

LOOKS_AHEAD: Final = 64
"""Names of a listing whose metadata is asked for before they are wanted: as many answers may be on
their way as the store bears, and none is waited for in turn."""


class ObjectFolder(Folder):
    """The names below one key. Holding it holds nothing at the store."""

    def __init__(self, store: Store, path: bytes, folder_key: str) -> None:
        self.path = path
        self._store = store
        self._key = folder_key
        self.publishing = Publishing(store, folder_key, path)

    def close(self) -> None:
        return

    # ------------------------------------------------------------------ looking

    def entries(self, *, after: bytes = b"") -> Iterator[Entry]:
        return self._listed(after, self._entry_soon)

    def outlines(self, *, after: bytes = b"") -> Iterator[Entry]:
        return self._listed(after, self._outline_soon)

    def completed(self, outlines: Sequence[Entry]) -> list[Entry | None]:
        asked = [self._store.begin(self._completed, outline) for outline in outlines]
        try:
            return [each.result() for each in asked]
        finally:
            for each in asked:
                each.cancel()

    def stat(self, name: bytes) -> Entry:
        check_name(name, "look at")
        found = self._store.look(self._store.key(self._key, name, "look at"))
        if found is not None:
            return self._store.file_entry(name, found)
        return self._folder_entry(name, "look at")

    def content_md5(self, name: bytes) -> bytes:
        check_name(name, "look at")
        found = self._store.look(self._store.key(self._key, name, "look at"))
        return b"" if found is None else found.md5

    def open(self, name: bytes) -> SourceFile:
        check_name(name, "open")
        key = self._store.key(self._key, name, "open")
        try:
            stat, first = self._store.client.get_first(key, FIRST_BYTES)
        except StorageError as error:
            if error.kind is not ErrorKind.NOT_FOUND or isinstance(error, StorageUnavailable):
                raise
            self._folder_entry(name, "open")
            raise self._special(name) from error
        entry = self._store.file_entry(name, stat)
        if entry.kind is not EntryKind.FILE:
            raise self._special(name)
        return ObjectReader(self._store, entry, stat, first)

    def attributes(self, name: bytes) -> Mapping[bytes, bytes]:
        stat, _ = self._described(name, "read attributes of")
        return file_metadata.decode_attributes(stat.metadata or {}) if stat else {}

    # ------------------------------------------------------------------ staging

    def stage(
        self,
        temporary_name: bytes,
        *,
        size: int,
        resume: bool = False,
        intent: Intent | None = None,
        token: bytes = b"",
    ) -> StagedFile:
        check_temporary_name(temporary_name)
        if size > self._store.abilities.object_bytes_maximum:
            cause = f"no object has more than {self._store.abilities.object_bytes_maximum} bytes"
            raise self._refusal(ErrorKind.NO_SPACE, "stage", temporary_name, cause)
        held = self.publishing.held(temporary_name) if resume else None
        if isinstance(held, StagedObject) and not isinstance(held, StagedLink):
            return held
        self.publishing.drop(temporary_name)
        if size <= SMALL_BYTES and not token and self._store.hold(size):
            staged: StagedFile = StagedObject(self._store, self.publishing, temporary_name, size)
            self.publishing.hold(temporary_name, staged)
            return staged
        return self._stage_upload(temporary_name, size, intent, token, resume=resume)

    def stage_symlink(self, temporary_name: bytes, target: bytes) -> StagedFile:
        check_temporary_name(temporary_name)
        if not target or b"\0" in target or len(target) > LINK_TARGET_BYTES_MAXIMUM:
            cause = "no target of a symbolic link"
            raise self._refusal(ErrorKind.NAME_INVALID, "stage", temporary_name, cause)
        self.publishing.drop(temporary_name)
        staged = StagedLink(self._store, self.publishing, temporary_name, target)
        self.publishing.hold(temporary_name, staged)
        return staged

    def stage_copy(self, temporary_name: bytes, source: Folder, entry: Entry) -> CopyInside | None:
        check_temporary_name(temporary_name)
        if not isinstance(source, ObjectFolder) or entry.size < COPIED_BYTES_MINIMUM:
            return None
        stat = source.object_of(entry.name)
        if stat is None or not may_copy(self._store, source.store, stat):
            return None
        self.publishing.drop(temporary_name)
        bucket = source.store.settings.bucket
        staged = StagedCopy(self._store, self.publishing, temporary_name, stat, bucket)
        self.publishing.hold(temporary_name, staged)
        found = source.store.file_entry(entry.name, stat)
        return CopyInside(
            staged, found, file_metadata.decode_attributes(stat.metadata or {}), stat.md5
        )

    @property
    def store(self) -> Store:
        """The bucket, for another one of the same backend."""
        return self._store

    def object_of(self, name: bytes) -> ObjectStat | None:
        """The object of a regular file; None if there is none of the name."""
        stat = self._store.look(self._store.key(self._key, name, "look at"))
        if stat is None or self._store.file_entry(name, stat).kind is not EntryKind.FILE:
            return None
        return stat

    def staged_names(self) -> list[bytes]:
        stored = uploads.staged_names(self._store, self._key)
        return sorted({*stored, *self.publishing.held_names()})

    # ------------------------------------------------------------------ changing

    def make_folder(self, name: bytes) -> bool:
        check_name(name, "make folder")
        if len(name) > self._store.name_bytes_maximum:
            cause = f"a name has at most {self._store.name_bytes_maximum} bytes"
            raise self._refusal(ErrorKind.NAME_INVALID, "make folder", name, cause)
        folder_key = self._store.folder_key(self._key, name, "make folder")
        if self._store.is_object(folder_key[:-1]):
            raise self._refusal(ErrorKind.NOT_A_FOLDER, "make folder", name, "it is a file")
        if self._store.is_folder(folder_key):
            return False
        self._check_there()
        self._store.make_marker(folder_key)
        self.publishing.note_folder(folder_key)
        return True

    def set_metadata(self, name: bytes, metadata: Metadata) -> tuple[str, ...]:
        stat, key = self._described(name, "set metadata of")
        if not key:
            return _named(metadata)  # the bucket itself, which has no object
        before = (stat.metadata or {}) if stat else {}
        is_folder = stat is None or key == self._store.marker_key(self._folder_key_of(name))
        kind = EntryKind.FOLDER if is_folder else file_metadata.decode(before).kind()
        after, lost = file_metadata.encode(
            metadata, kind, before=before, limits=self._store.abilities
        )
        if stat is None or (after != before and is_folder and self._is_rewritten(stat)):
            self._store.client.put(key, b"", PutOptions(metadata=after, is_file=False))
        elif after != before:
            self._store.client.set_metadata(key, after)
        return lost

    def remove(self, name: bytes) -> None:
        check_name(name, "remove")
        if self.publishing.drop(name):
            return
        key = self._store.key(self._key, name, "remove")
        if name.startswith(TEMPORARY_PREFIX):
            if not uploads.drop(self._store, key):
                raise self._missing("remove", name)
            return
        if self._store.look(key) is None:
            self._folder_entry(name, "remove")
            raise self._refusal(ErrorKind.IS_A_FOLDER, "remove", name, "it is a folder")
        self._store.discard(key)

    def remove_folder(self, name: bytes) -> None:
        check_name(name, "remove folder")
        folder_key = self._folder_key_of(name)
        if folder_key == self._store.key(self._key, name, "remove folder") + "/":
            self._check_no_object(name)
        if not self._store.is_folder(folder_key):
            raise self._missing("remove folder", name)
        if not self._store.is_empty(folder_key):
            raise self._refusal(ErrorKind.NOT_EMPTY, "remove folder", name, "it is not empty")
        self._store.discard(self._store.marker_key(folder_key))

    # ------------------------------------------------------------------ inside

    def _names(self, after: bytes) -> Iterator[Found]:
        return iter(
            FolderNames(
                self._store.client,
                self._key,
                self._store.abilities.key_rules,
                after=after,
                is_object=self._store.is_object,
            )
        )

    def _listed(
        self, after: bytes, entry_soon: Callable[[Found], Entry | Future[Entry | None]]
    ) -> Iterator[Entry]:
        """The entries of the names after that one, some of which are asked for ahead."""
        ahead: deque[Entry | Future[Entry | None]] = deque()
        try:
            for found in self._names(after):
                ahead.append(entry_soon(found))
                if len(ahead) >= LOOKS_AHEAD:
                    yield from _come(ahead.popleft())
            while ahead:
                yield from _come(ahead.popleft())
        finally:
            for each in ahead:
                if isinstance(each, Future):
                    each.cancel()

    def _entry_soon(self, found: Found) -> Future[Entry | None]:
        return self._store.begin(self._entry, found)

    def _outline_soon(self, found: Found) -> Entry | Future[Entry | None]:
        """What the listing tells of a file. A folder is asked for: it may have no object."""
        if found.stat is None or not self._is_told_too_little(found.stat):
            return self._entry_soon(found)
        entry = self._store.file_entry(found.name, found.stat)
        return msgspec.structs.replace(entry, is_outline=True)

    def _is_told_too_little(self, listed: ObjectStat) -> bool:
        return listed.metadata is None and self._store.settings.reads_metadata

    def _entry(self, found: Found) -> Entry | None:
        """The entry of a listed name; None when it vanished since."""
        if found.stat is None:
            return self._store.folder_entry(found.name, found.key)
        if self._is_told_too_little(found.stat):
            return self._read(found.name, lambda: self._store.look(found.key))
        return self._read(found.name, lambda: found.stat)

    def _completed(self, outline: Entry) -> Entry | None:
        if not outline.is_outline:
            return outline
        key = self._store.key(self._key, outline.name, "look at")
        return self._read(outline.name, lambda: self._store.look(key))

    def _read(self, name: bytes, stat_of: Callable[[], ObjectStat | None]) -> Entry | None:
        """The entry of an object, which a listing gives even where the store refuses to tell it."""
        try:
            stat = stat_of()
            return None if stat is None else self._store.file_entry(name, stat)
        except StorageError as error:
            return _unreadable(name, error)

    def _folder_key_of(self, name: bytes) -> str:
        return self._key if not name else self._store.folder_key(self._key, name, "open")

    def _folder_entry(self, name: bytes, deed: str) -> Entry:
        """The entry of a sub-folder. Raises kind `not_found`."""
        folder_key = self._folder_key_of(name)
        if not self._store.is_folder(folder_key):
            raise self._missing(deed, name)
        return self._store.folder_entry(name, folder_key)

    def _described(self, name: bytes, deed: str) -> tuple[ObjectStat | None, str]:
        """The object that bears the metadata of a name (b"" = this folder), and its key.

        A folder may have none yet. Raises kind `not_found`.
        """
        if name:
            check_name(name, deed)
            key = self._store.key(self._key, name, deed)
            found = self._store.look(key)
            if found is not None:
                return found, key
        folder_key = self._folder_key_of(name)
        if not self._store.is_folder(folder_key):
            raise self._missing(deed, name)
        key = self._store.marker_key(folder_key)
        return self._store.look(key) if key else None, key

    def _is_rewritten(self, marker: ObjectStat) -> bool:
        """Whether writing a marker anew costs less than changing it, and works in an archive."""
        return not marker.size and not self._store.abilities.updates_metadata

    def _check_there(self) -> None:
        if not self._store.is_folder(self._key):
            raise self._missing("open", b"")

    def _check_no_object(self, name: bytes) -> None:
        if self._store.is_object(self._store.key(self._key, name, "remove folder")):
            raise self._refusal(ErrorKind.NOT_A_FOLDER, "remove folder", name, "it is a file")

    def _stage_upload(
        self, name: bytes, size: int, intent: Intent | None, token: bytes, *, resume: bool
    ) -> StagedFile:
        store = self._store
        staged_key = store.key(self._key, name, "stage")
        metadata: dict[str, str] = {}
        if intent is not None:
            metadata, _ = file_metadata.encode(
                intent.metadata, EntryKind.FILE, before={}, limits=store.abilities
            )
        begun = uploads.begun_of(token)
        if begun is None and resume:
            begun = uploads.find(store, staged_key)
            if begun is not None and not _is_for(begun, metadata, size):
                begun = None
        if begun is not None and resume:
            try:
                parts = store.client.list_parts(Upload(begun.key, begun.id))
            except StorageError as error:
                if error.kind is not ErrorKind.NOT_FOUND or isinstance(error, StorageUnavailable):
                    raise
                if token:
                    uploads.forget(store, staged_key, begun)
                    cause = "the upload is gone"
                    raise self._refusal(ErrorKind.STALE, "stage", name, cause) from error
            else:
                return StagedUpload(store, self.publishing, name, begun, size, parts)
        uploads.drop(store, staged_key)
        key = self._upload_key(intent, staged_key)
        begun = uploads.begin(store, key, staged_key, metadata, size)
        return StagedUpload(store, self.publishing, name, begun, size, [])

    def _upload_key(self, intent: Intent | None, staged_key: str) -> str:
        """The final key, unless something stands there that the file may not replace."""
        if intent is None:
            return staged_key
        key = self._store.key(self._key, intent.name, "stage")
        return key if intent.replace or not self._store.is_object(key) else staged_key

    def _special(self, name: bytes) -> StorageError:
        return self._refusal(ErrorKind.SPECIAL_FILE, "open", name, "not a regular file")

    def _missing(self, deed: str, name: bytes) -> StorageError:
        return self._refusal(ErrorKind.NOT_FOUND, deed, name, "there is no such file or folder")

    def _refusal(self, kind: ErrorKind, deed: str, name: bytes, cause: str) -> StorageError:
        retry = RetryClass.NOW if kind is ErrorKind.STALE else RetryClass.NEVER
        return StorageError(kind, retry, deed, paths.join(self.path, name), cause)


def _is_for(begun: uploads.Begun, metadata: Mapping[str, str], size: int) -> bool:
    """Whether an upload was begun for the very file: else its parts may be those of another."""
    return uploads.are_same(begun.metadata, metadata) and begun.size == size


def _unreadable(name: bytes, error: StorageError) -> Entry:
    """The entry of a name whose metadata cannot be read; raises errors that may pass."""
    if isinstance(error, StorageUnavailable) or error.retry is not RetryClass.NEVER:
        raise error
    return Entry(name, EntryKind.SPECIAL, 0, 0, 0, 0, 0, 0, 0)


def _come(entry: Entry | Future[Entry | None]) -> Iterator[Entry]:
    """The entry, unless its name has vanished."""
    came = entry.result() if isinstance(entry, Future) else entry
    if came is not None:
        yield came


def _named(metadata: Metadata) -> tuple[str, ...]:
    """The names of everything that is to be set."""
    fields = ("mode", "uid", "gid", "mtime_ns", "atime_ns")
    named = [field for field in fields if getattr(metadata, field) is not None]
    return (*named, *map(attribute_field, metadata.attributes or ()))
