"""Signatures of requests as S3 wants them (AWS Signature Version 4)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final
from urllib.parse import quote

import msgspec

UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
STAMPS_KEPT: Final = 4  # of the last seconds: many requests are signed within one
EMPTY_SHA256: Final = hashlib.sha256(b"").hexdigest()

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_UNSIGNED_HEADERS: Final = frozenset({"content-length", "user-agent", "connection", "expect"})


class Credentials(msgspec.Struct, frozen=True):
    """Who asks. A token comes with credentials that end by themselves."""

    access_key: str
    secret_key: str
    token: str = ""

    def __repr__(self) -> str:
        return f"Credentials({self.access_key!r})"  # never the secret: errors are logged


class Signer:
    """Signs the requests of one account for one region."""

    def __init__(self, credentials: Credentials, region: str) -> None:
        self._credentials = credentials
        self._region = region
        self._key: tuple[str, bytes] = ("", b"")  # of one day

    def sign(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        payload_sha256: str,
        now: datetime,
    ) -> dict[str, str]:
        """The headers with those that sign them; `path` and names of headers as they are sent.

        Names of headers have to be lower case, and `host` among them. `now` is in UTC.
        """
        stamp = _stamp(now.replace(microsecond=0))
        day = stamp[: len("20260102")]
        signed = {**headers, "x-amz-date": stamp, "x-amz-content-sha256": payload_sha256}
        if self._credentials.token:
            signed["x-amz-security-token"] = self._credentials.token
        names = sorted(signed.keys() - _UNSIGNED_HEADERS)
        named = "".join([f"{name}:{_trimmed(signed[name])}\n" for name in names])
        listed = ";".join(names)
        query_part = query_text(query) if query else ""
        canonical = f"{method}\n{path}\n{query_part}\n{named}\n{listed}\n{payload_sha256}"
        scope = f"{day}/{self._region}/s3/aws4_request"
        # Metadata of others may hold any bytes: they are signed as headers are sent.
        digest = hashlib.sha256(canonical.encode("latin-1", "replace")).hexdigest()
        text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}"
        signature = hmac.digest(self._signing_key(day), text.encode(), "sha256").hex()
        signed["authorization"] = (
            f"{_ALGORITHM} Credential={self._credentials.access_key}/{scope}, "
            f"SignedHeaders={listed}, Signature={signature}"
        )
        return signed

    def _signing_key(self, day: str) -> bytes:
        known_day, key = self._key
        if known_day == day:
            return key
        key = f"AWS4{self._credentials.secret_key}".encode()
        for word in (day, self._region, "s3", "aws4_request"):
            key = hmac.digest(key, word.encode(), "sha256")
        self._key = (day, key)
        return key


@lru_cache(maxsize=STAMPS_KEPT)
def _stamp(now: datetime) -> str:
    return now.strftime("%Y%m%dT%H%M%SZ")


def _trimmed(value: str) -> str:
    """The value with one space wherever there are several, and none at its ends."""
    return " ".join(value.split()) if " " in value or "\t" in value else value


def path_text(path: str) -> str:
    """A path as it is sent and signed."""
    return quote(path, safe="/-_.~")


def query_text(query: Mapping[str, str]) -> str:
    """A query as it is sent and signed."""
    pairs = sorted((quote(name, safe="-_.~"), quote(query[name], safe="-_.~")) for name in query)
    return "&".join(f"{name}={value}" for name, value in pairs)
