"""Requests to an S3 service: signed, sent, and refused as StorageError."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.storage.backends.object_store.client import Data
from longshore.storage.backends.object_store.http import (
    Answer,
    Broken,
    Connections,
    Place,
    TooSlow,
    Unreachable,
    host_text,
    proxy_headers,
)
from longshore.storage.backends.object_store.s3_answers import refusal
from longshore.storage.backends.object_store.signing import (
    EMPTY_SHA256,
    UNSIGNED_PAYLOAD,
    Signer,
    path_text,
    query_text,
)

NO_PAIRS: Final[Mapping[str, str]] = {}


class Requests:
    """Sends requests to one service, for one bucket ("" = the service itself)."""

    def __init__(
        self,
        place: Place,
        signer: Signer,
        bucket: str,
        *,
        virtual_hosts: bool,
        clock: Callable[[], float],
    ) -> None:
        self._place = place
        self._virtual_hosts = virtual_hosts
        self._signer = signer
        self._clock = clock
        self._host = host_text(place)
        self._bucket_path = "/"
        if bucket and virtual_hosts:
            self._host = f"{bucket}.{self._host}"
            self._connections = Connections(_on_host(place, bucket))
        else:
            self._connections = Connections(place)
            self._bucket_path = f"/{bucket}/" if bucket else "/"
        self._extra = proxy_headers(place)
        self._others: dict[str, Requests] = {}

    def close(self) -> None:
        self._connections.close()
        for each in self._others.values():
            each.close()

    def of_bucket(self, bucket: str) -> Requests:
        """The requests to another bucket of the service."""
        if bucket not in self._others:
            self._others[bucket] = Requests(
                self._place,
                self._signer,
                bucket,
                virtual_hosts=self._virtual_hosts,
                clock=self._clock,
            )
        return self._others[bucket]

    def send(
        self,
        method: str,
        key: str,
        deed: str,
        *,
        query: Mapping[str, str] = NO_PAIRS,
        headers: Mapping[str, str] = NO_PAIRS,
        body: Data = b"",
    ) -> Answer:
        """The answer to a request that the service has accepted; use it in a `with` block.

        Anything else is raised as StorageError.
        """
        path = path_text(self._bucket_path + key)
        now = datetime.fromtimestamp(self._clock(), UTC)
        payload = UNSIGNED_PAYLOAD if len(body) else EMPTY_SHA256
        signed = self._signer.sign(
            method, path, query, {**headers, "host": self._host}, payload, now
        )
        target = f"{path}?{query_text(query)}" if query else path
        try:
            answer = self._connections.request(method, target, {**signed, **self._extra}, body)
        except Unreachable as error:
            raise _unavailable(deed, key, f"{self._host}: {error}") from error
        except TooSlow as error:
            raise StorageError(
                ErrorKind.TIMEOUT, RetryClass.NOW, deed, key.encode(), "no answer in time"
            ) from error
        except Broken as error:
            raise broken(deed, key, str(error)) from error
        if answer.status < 300:
            return answer
        with answer:
            body = answer.read_error()
        raise refusal(answer.status, body, deed, key)  # behind the block: the connection is kept

    def read(
        self,
        method: str,
        key: str,
        deed: str,
        *,
        query: Mapping[str, str] = NO_PAIRS,
        headers: Mapping[str, str] = NO_PAIRS,
        body: Data = b"",
    ) -> tuple[Mapping[str, str], bytes]:
        """Headers and body of the answer, both whole."""
        try:
            with self.send(method, key, deed, query=query, headers=headers, body=body) as answer:
                return answer.headers, answer.read()
        except TooSlow as error:
            raise StorageError(
                ErrorKind.TIMEOUT, RetryClass.NOW, deed, key.encode(), "no answer in time"
            ) from error
        except Broken as error:
            raise broken(deed, key, str(error)) from error


def broken(deed: str, key: str, cause: str) -> StorageError:
    """The error for a connection that ended in the middle."""
    cause = f"the connection ended: {cause}" if cause else "the connection ended"
    return StorageError(ErrorKind.INPUT_OUTPUT, RetryClass.NOW, deed, key.encode(), cause)


def md5_of(data: Data) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def checksum_headers(algorithm: str, data: Data) -> dict[str, str]:
    """The header that sends a checksum of that kind along; none for ""."""
    if algorithm == "crc32":
        return {"x-amz-checksum-crc32": base64_text(zlib.crc32(data).to_bytes(4, "big"))}
    if algorithm == "sha256":
        return {"x-amz-checksum-sha256": base64_text(hashlib.sha256(data).digest())}
    return {}


def _unavailable(deed: str, key: str, cause: str) -> StorageUnavailable:
    return StorageUnavailable(ErrorKind.INPUT_OUTPUT, RetryClass.LATER, deed, key.encode(), cause)


def _on_host(place: Place, bucket: str) -> Place:
    host = f"{bucket}.{place.host}"
    return Place(
        host=urlsplit(f"//{host}").hostname or host,
        port=place.port,
        secure=place.secure,
        proxy=place.proxy,
        ca_file=place.ca_file,
        connect_seconds=place.connect_seconds,
        read_seconds=place.read_seconds,
    )
