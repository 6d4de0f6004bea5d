"""What lies in a bucket, seen and changed with the provider's own API and not with Longshore's."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

import boto3
import httpx

from tests.object_servers.buckets import SECONDS, s3_session, swift_login

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

MARKER = ".longshore-folder"
"""The name of what keeps a folder where keys cannot end in a slash (see `tests.clouds`)."""

_STAGED = ".longshore-"


class Contents(ABC):
    """One bucket."""

    def __init__(self, settings: Mapping[str, str], bucket: str) -> None:
        self.settings = settings
        self.bucket = bucket

    def objects(self) -> dict[str, bytes]:
        """The content of every object by its key; markers of folders and the like left out."""
        return {key: self.get(key) for key in self.keys() if not key.endswith(("/", MARKER))}

    def unfinished(self) -> list[str]:
        """Keys of uploads that are not complete, and names of staged files."""
        staged = [key for key in self.keys() if _STAGED in key and not key.endswith(MARKER)]
        return [*self.uploads(), *staged]

    @abstractmethod
    def keys(self) -> list[str]: ...

    @abstractmethod
    def get(self, key: str) -> bytes: ...

    @abstractmethod
    def put(self, key: str, content: bytes) -> None: ...

    @abstractmethod
    def remove(self, key: str) -> None: ...

    @abstractmethod
    def metadata(self, key: str) -> dict[str, str]:
        """By lower-case names, with hyphens between words: servers differ in how they spell them.

        What the object has apart from its metadata has a name of its own: `:class`, `:tags`.
        """

    @abstractmethod
    def uploads(self) -> list[str]:
        """Keys of uploads in parts that are neither complete nor aborted."""


class S3Contents(Contents):
    @property
    def _s3(self) -> boto3.client:
        return s3_session(self.settings)

    def keys(self) -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return [each["Key"] for page in pages for each in page.get("Contents", [])]

    def get(self, key: str) -> bytes:
        body: bytes = self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def put(self, key: str, content: bytes) -> None:
        self._s3.put_object(Bucket=self.bucket, Key=key, Body=content)

    def remove(self, key: str) -> None:
        self._s3.delete_object(Bucket=self.bucket, Key=key)

    def metadata(self, key: str) -> dict[str, str]:
        answer = self._s3.head_object(Bucket=self.bucket, Key=key)
        found = {name.lower(): value for name, value in answer["Metadata"].items()}
        return found | {":class": answer.get("StorageClass", "")}

    def uploads(self) -> list[str]:
        answer = self._s3.list_multipart_uploads(Bucket=self.bucket)
        return [each["Key"] for each in answer.get("Uploads", [])]


class AzureContents(Contents):
    def keys(self) -> list[str]:
        with self._container() as container:
            return list(container.list_blob_names())

    def get(self, key: str) -> bytes:
        with self._container() as container:
            return container.download_blob(key).readall()

    def put(self, key: str, content: bytes) -> None:
        with self._container() as container:
            container.upload_blob(key, content, overwrite=True)

    def remove(self, key: str) -> None:
        with self._container() as container:
            container.delete_blob(key)

    def metadata(self, key: str) -> dict[str, str]:
        with self._container() as container:
            found = container.get_blob_client(key).get_blob_properties()
        named = {name.lower().replace("_", "-"): text for name, text in found.metadata.items()}
        return named | {":class": found.blob_tier or ""}

    def uploads(self) -> list[str]:
        """Blobs that have blocks, and no content."""
        whole = set(self.keys())
        with self._container() as container:
            found = container.list_blobs(include=["uncommittedblobs"])
            return [each.name for each in found if each.name not in whole]

    def _container(self) -> ContainerClient:
        from azure.storage.blob import ContainerClient

        settings = self.settings
        return ContainerClient(settings["endpoint"], self.bucket, credential=settings["secret_key"])


class GoogleContents(Contents):
    def __init__(self, settings: Mapping[str, str], bucket: str) -> None:
        super().__init__(settings, bucket)
        self._objects = f"{settings['endpoint']}/storage/v1/b/{bucket}/o"

    def keys(self) -> list[str]:
        return [key for key in self._all_keys() if not key.startswith(".longshore-uploads/")]

    def get(self, key: str) -> bytes:
        return _send("GET", f"{self._object(key)}?alt=media").content

    def put(self, key: str, content: bytes) -> None:
        target = f"{self.settings['endpoint']}/upload/storage/v1/b/{self.bucket}/o"
        described = json.dumps({"name": key}).encode()
        head = b"--x\r\ncontent-type: application/json\r\n\r\n%b\r\n--x\r\n\r\n" % described
        _send(
            "POST",
            f"{target}?uploadType=multipart",
            content=b"%b%b\r\n--x--\r\n" % (head, content),
            headers={"content-type": "multipart/related; boundary=x"},
        )

    def remove(self, key: str) -> None:
        _send("DELETE", self._object(key))

    def metadata(self, key: str) -> dict[str, str]:
        found = _send("GET", self._object(key)).json()
        named: dict[str, str] = found.get("metadata", {})
        return named | {":class": found.get("storageClass", "")}

    def uploads(self) -> list[str]:
        return [key for key in self._all_keys() if key.startswith(".longshore-uploads/")]

    def _all_keys(self) -> Iterator[str]:
        token = ""
        while True:
            page = _send("GET", f"{self._objects}?pageToken={token}").json()
            yield from (each["name"] for each in page.get("items", []))
            token = page.get("nextPageToken", "")
            if not token:
                return

    def _object(self, key: str) -> str:
        return f"{self._objects}/{quote(key, safe='')}"


class SwiftContents(Contents):
    def __init__(self, settings: Mapping[str, str], bucket: str) -> None:
        super().__init__(settings, bucket)
        self._account, self._token = swift_login(settings)

    def keys(self) -> list[str]:
        return self._listed(self.bucket)

    def get(self, key: str) -> bytes:
        return self._send("GET", key).content

    def put(self, key: str, content: bytes) -> None:
        self._send("PUT", key, content=content)

    def remove(self, key: str) -> None:
        self._send("DELETE", key)

    def metadata(self, key: str) -> dict[str, str]:
        head = self._send("HEAD", key).headers
        prefix = "x-object-meta-"
        return {n.removeprefix(prefix): v for n, v in head.items() if n.startswith(prefix)}

    def uploads(self) -> list[str]:
        """What stands for uploads that have begun, and segments that belong to no object."""
        segments = self._listed(f"{self.bucket}_segments")
        whole = set(self.keys())
        return [each for each in segments if _object_of(each) not in whole]

    def _listed(self, container: str) -> list[str]:
        found: list[str] = []
        while True:
            query = {"format": "json", "marker": found[-1] if found else ""}
            page = httpx.get(
                f"{self._account}/{container}",
                params=query,
                headers=self._token,
                trust_env=False,
                timeout=SECONDS,
            )
            names = [each["name"] for each in page.json()] if page.status_code == 200 else []
            if not names:
                return found
            found += names

    def _send(self, method: str, key: str, content: bytes = b"") -> httpx.Response:
        address = f"{self._account}/{self.bucket}/{quote(key)}"
        return _send(method, address, content=content, headers=self._token)


def _object_of(segment: str) -> str:
    """The key of the object that a segment, or the beginning of an upload, is for."""
    kind, _, rest = segment.partition("/")
    return rest.rsplit("/", 2 if kind == "parts" else 1)[0]


def _send(
    method: str, address: str, content: bytes = b"", headers: Mapping[str, str] | None = None
) -> httpx.Response:
    answer = httpx.request(
        method, address, content=content, headers=headers, trust_env=False, timeout=SECONDS
    )
    return answer.raise_for_status()


_KINDS: Mapping[str, type[Contents]] = {
    "s3": S3Contents,
    "azure": AzureContents,
    "gcs": GoogleContents,
    "swift": SwiftContents,
}


def contents_of(api: str, settings: Mapping[str, str], bucket: str) -> Contents:
    """The bucket behind an interface."""
    return _KINDS[api](settings, bucket)
