"""Pools of buckets on a server under test, and what lies in the buckets, seen with boto3."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.object_servers.buckets import new_bucket, s3_session
from tests.object_servers.processes import ObjectServer
from tests.servers import wait_until
from tests.story import created

MARKER = ".longshore-folder"
OPTIONS = {"rclone": f"folder_marker={MARKER}"}
"""rclone serves folders of a file system, which cannot hold an object whose key ends in a slash."""


@dataclass(frozen=True, slots=True)
class BucketPool:
    """A pool with one bucket."""

    id: int
    connector_id: int
    bucket_id: int
    bucket: str
    settings: Mapping[str, str]

    def objects(self) -> dict[str, bytes]:
        """The content of every object by its key; markers of folders and the like left out."""
        s3 = s3_session(self.settings)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
        return {
            key: s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            for key in keys
            if not key.endswith(("/", MARKER))
        }

    def put(self, key: str, content: bytes) -> None:
        s3_session(self.settings).put_object(Bucket=self.bucket, Key=key, Body=content)

    def remove(self, key: str) -> None:
        s3_session(self.settings).delete_object(Bucket=self.bucket, Key=key)

    def metadata(self, key: str) -> dict[str, str]:
        """By lower-case names: servers differ in how they spell them."""
        answer = s3_session(self.settings).head_object(Bucket=self.bucket, Key=key)
        return {name.lower(): value for name, value in answer["Metadata"].items()}

    def unfinished(self) -> list[str]:
        """Keys of uploads that are not complete, and names of staged files."""
        s3 = s3_session(self.settings)
        uploads = s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        staged = [key for key in self.objects() if ".longshore-" in key]
        return [each["Key"] for each in uploads] + staged


def add_bucket_pool(
    client: httpx.Client, server: ObjectServer, name: str, kind: str, **connector: Any
) -> BucketPool:
    """A new pool over a new, empty bucket of the server; its name begins with `name`."""
    settings = server.apis["s3"]
    name = f"{name}-{uuid.uuid4().hex[:8]}"
    bucket = new_bucket(server, "s3")
    body = {
        "name": name,
        "provider": "generic_s3",
        "url": settings["endpoint"],
        "region": settings["region"],
        "access_key": settings["access_key"],
        "secret_key": settings["secret_key"],
        "options": OPTIONS.get(server.name),
        **connector,
    }
    made = created(client.post("/cloud_connectors", json=body))
    found = synchronized(client, int(made["id"]))
    bucket_id = next(int(each["id"]) for each in found if each["name"] == bucket)
    pool = created(
        client.post(
            "/pools",
            json={"name": name, "type": kind, "content": "cloud", "cloud_bucket_ids": [bucket_id]},
        )
    )
    return BucketPool(int(pool["id"]), int(made["id"]), bucket_id, bucket, settings)


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
