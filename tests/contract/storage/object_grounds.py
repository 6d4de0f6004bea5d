"""Grounds in buckets of real object stores: each test gets a bucket of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from longshore.bootstrap import open_storage
from longshore.domain.storage import StorageAddress, StorageReference
from longshore.storage.handler import StorageHandler
from tests.object_servers.buckets import new_bucket, remove_bucket
from tests.object_servers.processes import ObjectServer


@dataclass(frozen=True)
class ObjectStore:
    """A server, one of its interfaces, and what its connector has to say of it."""

    server: str
    api: str
    options: dict[str, str]


OBJECT_STORES = {
    # Its files lie in a file system, where nothing can be called `folder/`.
    "s3-rclone": ObjectStore(
        "rclone", "s3", {"folder_marker": ".longshore-folder", "prefix": "deep/below"}
    ),
    "s3-moto": ObjectStore("moto", "s3", {"conditional_create": "1"}),
    "s3-ceph": ObjectStore("ceph", "s3", {"conditional_create": "1"}),
    "s3-swift": ObjectStore("swift", "s3", {"metadata_value_bytes_maximum": "256"}),
    "azure": ObjectStore("azurite", "azure", {}),
    "swift": ObjectStore("swift", "swift", {}),
    # The emulator ignores conditions; the service does not.
    "gcs": ObjectStore("gcs", "gcs", {"conditional_create": "0", "requests_maximum": "4"}),
}


def bucket_ground(
    store: ObjectStore, server: ObjectServer, reference: StorageReference
) -> tuple[Callable[[], StorageHandler], Callable[[], None]]:
    """What opens a new bucket, and what takes it away."""
    bucket = new_bucket(server, store.api)
    settings = server.settings(store.api, bucket, **store.options)

    def open_handler() -> StorageHandler:
        return open_storage(StorageAddress(reference, store.api, settings))

    return open_handler, lambda: remove_bucket(server, store.api, bucket)
