"""Requests to an S3 service: signed, sent, and refused as StorageError."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

from longshore.domain.errors import StorageError
from longshore.storage.backends.object_store.client import Data
from longshore.storage.backends.object_store.exchange import (
    NO_PAIRS,
    Asked,
    Exchange,
    base64_text,
)
from longshore.storage.backends.object_store.http import Answer, Place, host_text
from longshore.storage.backends.object_store.s3_answers import refusal
from longshore.storage.backends.object_store.signing import (
    EMPTY_SHA256,
    UNSIGNED_PAYLOAD,
    Signer,
    path_text,
    query_text,
)
from longshore.storage.backends.object_store.volley import Reply


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
            place = _on_host(place, bucket)
        else:
            self._bucket_path = f"/{bucket}/" if bucket else "/"
        self._exchange = Exchange(place, _refuse)
        self._others: dict[str, Requests] = {}

    def close(self) -> None:
        self._exchange.close()
        for each in self._others.values():
            each.close()

    def of_bucket(self, bucket: str) -> Requests:
        """The requests to another bucket of the service."""
        known = self._others.get(bucket)
        if known is not None:
            return known
        made = Requests(
            self._place,
            self._signer,
            bucket,
            virtual_hosts=self._virtual_hosts,
            clock=self._clock,
        )
        return self._others.setdefault(bucket, made)  # another thread may have been first

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
        target, signed = self._signed(method, key, query, headers, body)
        return self._exchange.send(method, target, signed, body, deed, key)

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
        target, signed = self._signed(method, key, query, headers, body)
        return self._exchange.read(method, target, signed, body, deed, key)

    def volley(
        self, asked: Iterable[Asked], width: int
    ) -> Iterator[tuple[Asked, Reply | StorageError]]:
        """As `Exchange.volley`, of requests that still want to be signed. No target is needed."""
        return self._exchange.volley(map(self._signed_one, asked), width)

    def _signed_one(self, asked: Asked) -> Asked:
        target, signed = self._signed(asked.method, asked.key, NO_PAIRS, asked.headers, asked.body)
        return asked._replace(target=target, headers=signed)

    def _signed(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Data,
    ) -> tuple[str, Mapping[str, str]]:
        path = path_text(self._bucket_path + key)
        now = datetime.fromtimestamp(self._clock(), UTC)
        payload = UNSIGNED_PAYLOAD if len(body) else EMPTY_SHA256
        named = {**headers, "host": self._host}
        signed = self._signer.sign(method, path, query, named, payload, now)
        return (f"{path}?{query_text(query)}" if query else path), signed


def checksum_headers(algorithm: str, data: Data) -> dict[str, str]:
    """The header that sends a checksum of that kind along; none for ""."""
    if algorithm == "crc32":
        return {"x-amz-checksum-crc32": base64_text(zlib.crc32(data).to_bytes(4, "big"))}
    if algorithm == "sha256":
        return {"x-amz-checksum-sha256": base64_text(hashlib.sha256(data).digest())}
    return {}


def _refuse(status: int, _: Mapping[str, str], body: bytes, deed: str, key: str) -> StorageError:
    return refusal(status, body, deed, key)


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
