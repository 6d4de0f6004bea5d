"""Pools of buckets on a server under test, and what lies in the buckets."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.object_servers.buckets import new_bucket
from tests.object_servers.contents import MARKER, Contents, contents_of
from tests.object_servers.processes import ObjectServer
from tests.servers import wait_until
from tests.story import created

OPTIONS = {
    # It serves folders of a file system, which cannot hold an object whose key ends in a slash.
    "rclone": f"folder_marker={MARKER}",
    # The emulator ignores conditions, and bears few connections; the service is better at both.
    "gcs": "conditional_create=0,requests_maximum=4",
}

INTERFACES = {"azurite": "azure", "gcs": "gcs", "swift": "swift"}
"""Which interface of a server is used; S3 for the others."""

PROVIDERS = {
    "s3": "generic_s3",
    "azure": "azure",
    "gcs": "google_cloud_storage",
    "swift": "openstack_swift",
}


@dataclass(frozen=True, slots=True)
class BucketPool:
    """A pool with one bucket."""

    id: int
    connector_id: int
    bucket_id: int
    contents: Contents

    @property
    def bucket(self) -> str:
        return self.contents.bucket

    @property
    def settings(self) -> Mapping[str, str]:
        return self.contents.settings

    def objects(self) -> dict[str, bytes]:
        return self.contents.objects()

    def put(self, key: str, content: bytes) -> None:
        self.contents.put(key, content)

    def remove(self, key: str) -> None:
        self.contents.remove(key)

    def metadata(self, key: str) -> dict[str, str]:
        return {n: v for n, v in self.contents.metadata(key).items() if not n.startswith(":")}

    def unfinished(self) -> list[str]:
        return self.contents.unfinished()


def connector_of(server: ObjectServer, name: str) -> dict[str, Any]:
    """What declares a connector to the server, as the REST API wants it."""
    api = INTERFACES.get(server.name, "s3")
    settings = server.apis[api]
    return {
        "name": name,
        "provider": PROVIDERS[api],
        "url": settings["endpoint"],
        "region": settings.get("region"),
        "access_key": settings["access_key"],
        "secret_key": settings["secret_key"],
        "options": OPTIONS.get(server.name),
    }


def add_bucket_pool(
    client: httpx.Client, server: ObjectServer, name: str, kind: str, **connector: Any
) -> BucketPool:
    """A new pool over a new, empty bucket of the server; its name begins with `name`."""
    name = f"{name}-{uuid.uuid4().hex[:8]}"
    body = connector_of(server, name) | connector
    made = created(client.post("/cloud_connectors", json=body))
    return add_pool_of_connector(client, server, int(made["id"]), name, kind)


def add_pool_of_connector(
    client: httpx.Client, server: ObjectServer, connector_id: int, name: str, kind: str
) -> BucketPool:
    """A new pool over a new, empty bucket of a connector that there is."""
    api = INTERFACES.get(server.name, "s3")
    bucket = new_bucket(server, api)
    found = synchronized(client, connector_id)
    bucket_id = next(int(each["id"]) for each in found if each["name"] == bucket)
    pool = created(
        client.post(
            "/pools",
            json={"name": name, "type": kind, "content": "cloud", "cloud_bucket_ids": [bucket_id]},
        )
    )
    contents = contents_of(api, server.apis[api], bucket)
    return BucketPool(int(pool["id"]), connector_id, bucket_id, contents)


def synchronized(client: httpx.Client, connector_id: int) -> list[dict[str, Any]]:
    """The buckets of the connector, once they were brought in."""
    path = f"/cloud_connectors/{connector_id}/cloud_buckets/-/sync"
    job_id = client.put(path).raise_for_status().json()["job_id"]

    def finished() -> Any:
        answer = client.get(path, params={"job_id": job_id})
        return answer.json() if answer.status_code == 200 else None

    job = wait_until(finished, "the buckets to be brought in")
    assert job["status"] == "completed", job
    buckets: list[dict[str, Any]] = job["cloud_buckets"]
    return buckets
