"""What Swift answers, as values of the client protocol."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from longshore.domain.errors import StorageError
from longshore.storage.backends.object_store import refusals
from longshore.storage.backends.object_store.client import ObjectStat, Page
from longshore.storage.backends.object_store.exchange import (
    NO_DOCUMENT,
    http_date,
    iso_date,
    unreadable,
)

METADATA_HEADER: Final = "x-object-meta-"
MANIFEST_HEADER: Final = "x-object-manifest"
"""Of a *dynamic large object*: the content is that of all objects with this prefix. Other programs
make such; their etag is made of etags, and changing them without this header empties them."""

_COMPOSED_MARK: Final = METADATA_HEADER + "static-large-object"  # of Ceph, which shows it
_MD5: Final = re.compile(r"[0-9a-f]{32}\Z")
_SECOND: Final = 1_000_000_000


class Listed(msgspec.Struct):
    """A line of a listing: an object, or a folded prefix."""

    name: str = ""
    subdir: str = ""
    hash: str = ""
    bytes: int = 0
    last_modified: str = ""
    slo_etag: str = ""

    def stat(self) -> ObjectStat:
        etag = (self.slo_etag or self.hash).strip('"')
        return ObjectStat(
            key=self.name,
            size=self.bytes,
            modified_ns=iso_date(self.last_modified),
            etag=etag,
            md5=b"" if self.slo_etag else _md5(etag),
        )


class Segment(msgspec.Struct):
    """A segment as a manifest names it."""

    name: str  # /container/key
    hash: str
    bytes: int

    def place(self) -> tuple[str, str]:
        """Container and key."""
        container, _, key = self.name.lstrip("/").partition("/")
        return container, key


class _Response(msgspec.Struct, rename={"status": "Response Status", "errors": "Errors"}):
    status: str = ""
    errors: list[list[str]] = []


def decode_listing(body: bytes, deed: str, key: str) -> list[Listed]:
    try:
        return msgspec.json.decode(body or b"[]", type=list[Listed])
    except NO_DOCUMENT as error:
        raise unreadable(deed, key, error) from error


def decode_manifest(body: bytes, deed: str, key: str) -> list[Segment]:
    try:
        return msgspec.json.decode(body or b"[]", type=list[Segment])
    except NO_DOCUMENT as error:
        raise unreadable(deed, key, error) from error


def page_of(lines: list[Listed]) -> Page:
    return Page(
        [line.stat() for line in lines if not line.subdir],
        [line.subdir for line in lines if line.subdir],
    )


def stat_of(key: str, headers: Mapping[str, str], size: int) -> ObjectStat:
    """The object that the headers of HEAD or GET describe."""
    etag = headers.get("etag", "").strip('"')
    return ObjectStat(
        key=key,
        size=size,
        modified_ns=_modified_ns(headers),
        etag=etag,
        md5=b"" if is_composed(headers) or MANIFEST_HEADER in headers else _md5(etag),
        metadata={
            name.removeprefix(METADATA_HEADER): value
            for name, value in headers.items()
            if name.startswith(METADATA_HEADER) and name != _COMPOSED_MARK
        },
    )


def is_composed(headers: Mapping[str, str]) -> bool:
    """Whether the object consists of segments."""
    return headers.get("x-static-large-object", "").lower() == "true"


def metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    return {METADATA_HEADER + name: value for name, value in metadata.items()}


def refuse(
    status: int, headers: Mapping[str, str], body: bytes, deed: str, key: str
) -> StorageError:
    """The error that an answer means."""
    verdict = refusals.DAMAGED if status == 422 else None
    if status == 413 and b"uota" in body:  # 413 Upload exceeds quota
        verdict = refusals.FULL
    if status == 498:
        verdict = refusals.THROTTLED
    return refusals.refusal(status, verdict, "", deed, key)


def complete_refusal(body: bytes, deed: str, key: str) -> StorageError | None:
    """The error that a manifest was refused with, if the answer came before that was known."""
    try:
        response = msgspec.json.decode(body or b"{}", type=_Response)
    except NO_DOCUMENT as error:
        return unreadable(deed, key, error)
    status = int(response.status[:3]) if response.status[:3].isdigit() else 201
    if status < 300:
        return None
    gone = any("404" in word for error in response.errors for word in error)
    verdict = refusals.GONE if gone else None
    return refusals.refusal(status, verdict, response.status, deed, key)


def _modified_ns(headers: Mapping[str, str]) -> int:
    """To the second, as listings are read: one header is rounded up, by some services only."""
    seconds = headers.get("x-timestamp", "").partition(".")[0]
    return (
        int(seconds) * _SECOND if seconds.isdigit() else http_date(headers.get("last-modified", ""))
    )


def _md5(etag: str) -> bytes:
    return bytes.fromhex(etag) if _MD5.match(etag) else b""
