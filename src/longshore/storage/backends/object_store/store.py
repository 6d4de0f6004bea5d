"""What the parts of one object storage share: the client, names of keys, threads, staged files."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

import msgspec
import xxhash

from longshore.domain import paths
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.storage.backends.object_store import metadata as file_metadata
from longshore.storage.backends.object_store.buffers import KEPT
from longshore.storage.backends.object_store.client import ObjectStat, PutOptions
from longshore.storage.backends.object_store.keys import (
    SEPARATOR,
    has_folder_mark,
    meant_folder,
    piece_of,
)
from longshore.storage.backends.object_store.names import has_any
from longshore.storage.backends.object_store.retrying import RetryingClient
from longshore.storage.backends.object_store.streaming import Pace
from longshore.storage.handler import TEMPORARY_PREFIX, StagedFile

LINK_TARGET_BYTES_MAXIMUM: Final = 4096  # no system makes longer symbolic links

THREADS_MAXIMUM: Final = 64
"""That wait for answers of one storage. The flow of the client decides how many requests are under
way; those of listings and of big files share them."""

HELD_BYTES_MAXIMUM: Final = 96 * 1024 * 1024
"""Content of staged files in memory, of one storage; beyond it files go to the store in parts."""

PASSAGES_MAXIMUM: Final = 10_000
"""Folders on the way to others that are known to be no files; about 2 MB."""

Answer = TypeVar("Answer")


_MAKING: Final = frozenset({"publish", "stage", "make folder"})
"""Deeds that make objects. What others have made is used however long its key is."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How files lie in the bucket."""

    prefix: str = ""  # of all keys; "" or ending with a slash
    uid: int  # whose a file is that says nothing about it
    gid: int
    reads_metadata: bool = True  # ask for the metadata of each listed object
    bucket: str = ""
    account: tuple[str, ...] = ()  # what is equal of buckets that the same keys reach at one place


class Store:
    """One bucket. Its methods may be called by several threads at once."""

    def __init__(self, client: RetryingClient, settings: Settings) -> None:
        self.client = client
        self.buffers = KEPT
        self.pace = Pace()
        self.settings = settings
        self.abilities = client.abilities
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._held_bytes = 0
        self.held: dict[tuple[str, bytes], StagedFile] = {}  # by the folder's key and the name
        self._passages: set[str] = set()
        self.copies_inside = client.abilities.server_copy  # until it refuses to
        # Any name may be a folder, and need the key of its marker.
        longest = self.abilities.key_bytes_maximum - len(SEPARATOR)
        self.key_bytes_maximum = longest - len(self.abilities.folder_marker)
        self.name_bytes_maximum = min(paths.NAME_BYTES_MAXIMUM, self.abilities.key_bytes_maximum)

    def close(self) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)
        self.client.close()

    # ------------------------------------------------------------------ threads and memory

    def begin(self, call: Callable[..., Answer], *arguments: object) -> Future[Answer]:
        """Call it in a thread of its own."""
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(THREADS_MAXIMUM, "object-store")
            return self._pool.submit(call, *arguments)

    def hold(self, size: int) -> bool:
        """Take room in memory for so many bytes; False when there is none."""
        with self._lock:
            if self._held_bytes + size > HELD_BYTES_MAXIMUM:
                return False
            self._held_bytes += size
            return True

    def let_go(self, size: int) -> None:
        with self._lock:
            self._held_bytes -= size

    # ------------------------------------------------------------------ keys

    def key(self, folder_key: str, name: bytes, deed: str) -> str:
        """The key of a name in a folder. Raises kind `name_invalid` if it grows too long.

        Names of staged files are longer than others: far down they have their keys at the top.
        """
        key = folder_key + piece_of(name, self.abilities.key_rules)
        size = len(key.encode())
        if size > self.key_bytes_maximum and name.startswith(TEMPORARY_PREFIX):
            digest = xxhash.xxh3_128_hexdigest(key.encode())
            return f"{self.settings.prefix}{TEMPORARY_PREFIX.decode()}far-{digest}"
        if deed in _MAKING:
            self.check_fits(key, name, deed)
        elif size > self.abilities.foreign_key_bytes_maximum:
            raise _too_long(size, self.abilities.foreign_key_bytes_maximum, name, deed)
        return key

    def check_fits(self, key: str, name: bytes, deed: str) -> None:
        """Raises kind `name_invalid` if no object of this key, or below it, is to be made."""
        size = len(key.encode())
        if size > self.key_bytes_maximum:
            raise _too_long(size, self.key_bytes_maximum, name, deed)

    def folder_key(self, parent_key: str, name: bytes, deed: str) -> str:
        """The key of a folder by the name it is shown under, with the slash at its end."""
        meant = name
        if has_folder_mark(name):
            meant = meant_folder(
                name, lambda each: self.is_object(self.key(parent_key, each, deed))
            )
        return self.key(parent_key, meant, deed) + SEPARATOR

    def marker_key(self, folder_key: str) -> str:
        return folder_key + self.abilities.folder_marker

    # ------------------------------------------------------------------ objects

    def look(self, key: str) -> ObjectStat | None:
        """The object, or None if there is none."""
        try:
            return self.client.head(key)
        except StorageUnavailable:
            raise
        except StorageError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return None
            raise

    def is_object(self, key: str) -> bool:
        return self.look(key) is not None

    def is_folder(self, folder_key: str) -> bool:
        """Whether anything lies below the key, be it the folder's own marker. The root always is,
        as long as there is a bucket."""
        if self.shows_folder(folder_key) or folder_key == self.settings.prefix:
            return True
        # A listing may lag behind; the marker that was made for a new folder does not.
        return self.is_object(self.marker_key(folder_key))

    def shows_folder(self, folder_key: str) -> bool:
        """Whether listings show anything below the key."""
        return has_any(self.client, folder_key)

    def is_empty(self, folder_key: str) -> bool:
        """Whether nothing but its own marker lies below the key of a folder."""
        if any(key.startswith(folder_key) for key, _ in list(self.held)):
            return False
        marker = self.marker_key(folder_key)
        pages = self.client.pages(folder_key, limit=2)
        return all(stat.key == marker for page in pages for stat in page.objects)

    def make_marker(self, folder_key: str) -> None:
        """Make the object that keeps a folder that is empty."""
        self.client.put(self.marker_key(folder_key), b"", PutOptions(is_file=False))

    def is_passage(self, key: str) -> bool:
        """Whether no object has the key of a folder, without its slash. Believed from then on."""
        if key in self._passages:
            return True
        if self.is_object(key):
            return False
        if len(self._passages) >= PASSAGES_MAXIMUM:
            self._passages.clear()
        self._passages.add(key)
        return True

    def discard(self, key: str) -> None:
        """Remove an object, if it is there."""
        try:
            self.client.delete(key)
        except StorageUnavailable:
            raise
        except StorageError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise

    # ------------------------------------------------------------------ entries

    def file_entry(self, name: bytes, stat: ObjectStat) -> Entry:
        """The entry of an object whose metadata is known, or not asked for."""
        found = file_metadata.decode(stat.metadata or {})
        kind = found.kind()
        if kind is EntryKind.FOLDER:
            kind = EntryKind.FILE  # its key says otherwise
        if kind is EntryKind.SYMLINK and not 0 < stat.size <= LINK_TARGET_BYTES_MAXIMUM:
            kind = EntryKind.FILE  # that is no target
        target = self._target(stat) if kind is EntryKind.SYMLINK else b""
        return self.entry_of(name, stat, found, kind, target)

    def entry_of(
        self,
        name: bytes,
        stat: ObjectStat,
        found: file_metadata.FileMetadata,
        kind: EntryKind,
        target: bytes = b"",
    ) -> Entry:
        """The entry of an object whose metadata say this."""
        return Entry(
            name,
            kind,
            stat.size,
            found.full_mode(kind),
            self.settings.uid if found.uid is None else found.uid,
            self.settings.gid if found.gid is None else found.gid,
            stat.modified_ns if found.mtime_ns is None else found.mtime_ns,
            found.atime_ns or 0,
            stat.modified_ns if found.ctime_ns is None else found.ctime_ns,
            xxhash.xxh3_64_intdigest(stat.etag.encode()) >> 1 if stat.etag else 0,
            1,
            target,
            0,
            stat.size,
        )

    def folder_entry(self, name: bytes, folder_key: str) -> Entry:
        """The entry of a folder that is there, with what its marker says if that can be read."""
        try:
            marker = self.look(self.marker_key(folder_key))
        except StorageError as error:
            if isinstance(error, StorageUnavailable) or error.retry is not RetryClass.NEVER:
                raise
            marker = None
        found = file_metadata.decode((marker.metadata or {}) if marker else {})
        modified_ns = marker.modified_ns if marker else 0
        return Entry(
            name,
            EntryKind.FOLDER,
            0,
            found.full_mode(EntryKind.FOLDER),
            self.settings.uid if found.uid is None else found.uid,
            self.settings.gid if found.gid is None else found.gid,
            modified_ns if found.mtime_ns is None else found.mtime_ns,
            found.atime_ns or 0,
            modified_ns if found.ctime_ns is None else found.ctime_ns,
        )

    def _target(self, stat: ObjectStat) -> bytes:
        return bytes(self.client.get_range(stat.key, 0, stat.size, etag=stat.etag))


def _too_long(size: int, maximum: int, name: bytes, deed: str) -> StorageError:
    cause = f"its key would have {size} bytes, {maximum} fit"
    return StorageError(ErrorKind.NAME_INVALID, RetryClass.NEVER, deed, name, cause)
