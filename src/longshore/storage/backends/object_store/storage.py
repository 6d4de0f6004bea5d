"""A bucket as a storage. What lies where: `keys`, `metadata`, and docs/object-stores.md.

    ObjectStorage ── Store: the client, threads, staged files in memory
      └─ ObjectFolder ── ObjectReader, StagedObject, StagedUpload
           names: the listing · publishing: final names · uploads: what a crash leaves

Beyond what the interface asks, a handler, its folders and what they open may be used by several
threads at once, each reader and each staged file by one at a time.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from typing import Final

from longshore.domain import paths
from longshore.domain.errors import ErrorKind, RetryClass, StorageError
from longshore.domain.storage import Capabilities, StorageReference
from longshore.storage.backends.object_store.client import ObjectClient
from longshore.storage.backends.object_store.folder import ObjectFolder
from longshore.storage.backends.object_store.keys import SEPARATOR
from longshore.storage.backends.object_store.retrying import RetryingClient
from longshore.storage.backends.object_store.small_files import SmallObjects
from longshore.storage.backends.object_store.stage import SMALL_BYTES
from longshore.storage.backends.object_store.store import Settings, Store
from longshore.storage.backends.posix_names import check_name
from longshore.storage.handler import Folder, Space, StorageHandler
from longshore.storage.small_files import SmallFiles

PREFIX_SETTING: Final = "prefix"
METADATA_SETTING: Final = "read_metadata"
"""0: listings believe the store's own times and take every object for a file, which saves a request
for each of them."""

OPERATIONS_AT_ONCE: Final = 16
"""Files a mover may have under way; each is a request or two, and the flow counts those."""

ACCOUNT_SETTINGS: Final = (
    "provider",
    "endpoint",
    "region",
    "proxy",
    "access_key",
    "secret_key",
    "config_file",
    "project",
    "project_domain",
    "storage_url",
)
"""Where these are equal two buckets are of one service, which can copy from one to the other."""

ENDLESS_BYTES: Final = 1 << 60  # no provider tells how much room there is


class ObjectStorage(StorageHandler):
    """The files in one bucket, below the prefix of its settings."""

    def __init__(self, reference: StorageReference, store: Store) -> None:
        self.reference = reference
        self.capabilities = _capabilities(store)
        self._store = store
        self._small_files = SmallObjects(store) if store.abilities.volleys else None

    def close(self) -> None:
        self._store.close()

    def check(self, *, writable: bool) -> None:
        self._store.client.check(writable=writable)

    def space(self) -> Space:
        self.check(writable=False)
        return Space(ENDLESS_BYTES, ENDLESS_BYTES)

    def open_folder(self, path: bytes, *, create: bool = False) -> Folder:
        names = paths.names(path)
        for name in names:
            check_name(name, "open folder")
        keys = self._keys(names)
        if not self._store.is_folder(keys[-1]) and not (create and self._make(names, keys)):
            self._check_passages(names, keys)
            cause = "there is no such folder"
            raise StorageError(ErrorKind.NOT_FOUND, RetryClass.NEVER, "open folder", path, cause)
        self._check_passages(names, keys)
        return ObjectFolder(self._store, path, keys[-1])

    def small_files(self) -> SmallFiles | None:
        return self._small_files

    def make_durable(self) -> None:
        """Whatever a store has confirmed is durable; this asks only whether it is still there."""
        self.check(writable=False)

    # Inside

    def _keys(self, names: list[bytes]) -> list[str]:
        """The keys of the root and of the folders on the way."""
        keys = [self._store.settings.prefix]
        for name in names:
            keys.append(self._store.folder_key(keys[-1], name, "open folder"))
        return keys

    def _make(self, names: list[bytes], keys: list[str]) -> bool:
        for name in names:
            if len(name) > self._store.name_bytes_maximum:
                cause = f"a name has at most {self._store.name_bytes_maximum} bytes"
                kind = ErrorKind.NAME_INVALID
                raise StorageError(kind, RetryClass.NEVER, "open folder", name, cause)
        self._check_passages(names, keys)
        there = len(keys) - 2
        while there and not self._store.is_folder(keys[there]):
            there -= 1
        for name, key in zip(names[there:], keys[there + 1 :], strict=True):
            self._store.check_fits(key.removesuffix(SEPARATOR), name, "make folder")
        for key in keys[there + 1 :]:
            self._store.make_marker(key)
        return True

    def _check_passages(self, names: list[bytes], keys: list[str]) -> None:
        """Raises kind `not_a_folder` if a file has the name of one of the folders."""
        for depth, name in enumerate(names, start=1):
            shown = self._store.key(keys[depth - 1], name, "open folder") + SEPARATOR
            # The folder beside a file of its name is only meant by its marked name.
            if shown == keys[depth] and not self._store.is_passage(shown[:-1]):
                path = paths.join(*names[:depth])
                cause = "it is a file"
                raise StorageError(
                    ErrorKind.NOT_A_FOLDER, RetryClass.NEVER, "open folder", path, cause
                )


def open_object_storage(
    reference: StorageReference,
    client: ObjectClient,
    settings: Mapping[str, str],
    *,
    sleep: Callable[[float], object],
    chance: random.Random,
) -> ObjectStorage:
    """The storage in the client's bucket. Raises ValueError for settings that mean nothing."""
    prefix = paths.parse(os.fsencode(settings.get(PREFIX_SETTING, ""))).decode()
    layout = Settings(
        prefix=prefix and prefix + SEPARATOR,
        uid=os.geteuid(),
        gid=os.getegid(),
        reads_metadata=settings.get(METADATA_SETTING, "1") != "0",
        bucket=settings.get("bucket", ""),
        account=tuple(settings.get(name, "") for name in ACCOUNT_SETTINGS),
    )
    return ObjectStorage(
        reference, Store(RetryingClient(client, sleep=sleep, chance=chance), layout)
    )


def _capabilities(store: Store) -> Capabilities:
    return Capabilities(
        atomic_replace=True,
        exclusive_create=store.abilities.conditional_create,
        symlinks=True,
        permissions=True,
        ownership=True,
        time_resolution_nanoseconds=1,
        ranged_write=not store.abilities.parts_in_order,
        parallel_operations=min(OPERATIONS_AT_ONCE, store.abilities.requests_maximum),
        name_bytes_maximum=store.name_bytes_maximum,
        extended_attributes=True,
        access_lists=True,
        shared_by_threads=True,
        confirms_content=True,
        path_bytes_maximum=store.key_bytes_maximum - len(store.settings.prefix),
        holds_names=False,
        interprets_access=False,
        staged_in_memory_bytes=SMALL_BYTES,
    )
