"""Grounds in buckets of real object stores: each test gets a bucket of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from longshore.bootstrap import open_storage
from longshore.domain.storage import StorageAddress, StorageReference
from longshore.storage.handler import StorageHandler
from tests.object_servers.buckets import new_bucket, s3_session
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
    "s3-swift": ObjectStore("swift", "s3", {}),
}


def bucket_ground(
    store: ObjectStore, server: ObjectServer, reference: StorageReference
) -> tuple[Callable[[], StorageHandler], Callable[[], None]]:
    """What opens a new bucket, and what takes it away."""
    bucket = new_bucket(server, store.api)
    settings = server.settings(store.api, bucket, **store.options)

    def open_handler() -> StorageHandler:
        return open_storage(StorageAddress(reference, store.api, settings))

    return open_handler, lambda: remove_bucket(server, bucket)


def remove_bucket(server: ObjectServer, bucket: str) -> None:
    """Remove a bucket of S3 with all that is in it."""
    session = s3_session(server.apis["s3"])
    for page in session.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for found in page.get("Contents", []):
            session.delete_object(Bucket=bucket, Key=found["Key"])
    session.delete_bucket(Bucket=bucket)
