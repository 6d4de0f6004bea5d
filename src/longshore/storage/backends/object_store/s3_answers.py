"""What S3 answers: headers, XML documents and refusals, as values of the client protocol."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.storage.backends.object_store.client import (
    ObjectStat,
    Page,
    Part,
    Throttled,
    Upload,
)

DATES_KEPT: Final = 256  # of answers, which are to the second: many objects have the same
METADATA_HEADER: Final = "x-amz-meta-"
_ARCHIVED: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_MD5_ETAG: Final = re.compile(r"[0-9a-f]{32}\Z")
_ENCRYPTED: Final = "x-amz-server-side-encryption"
_ENCRYPTED_BY_CUSTOMER: Final = frozenset(
    {_ENCRYPTED + "-customer-algorithm", _ENCRYPTED + "-customer-key-md5"}
)
_SECOND: Final = 1_000_000_000

_NEVER, _NOW, _LATER = RetryClass.NEVER, RetryClass.NOW, RetryClass.LATER

# By the code in the answer; what is not here goes by the status.
_CODES: Final = {
    "NoSuchKey": (ErrorKind.NOT_FOUND, _NEVER, False),
    "NoSuchUpload": (ErrorKind.NOT_FOUND, _NEVER, False),
    "InvalidPart": (ErrorKind.NOT_FOUND, _NEVER, False),  # of an upload that cannot be completed
    "NoSuchBucket": (ErrorKind.NOT_FOUND, _LATER, True),
    "InvalidAccessKeyId": (ErrorKind.PERMISSION, _LATER, True),
    "SignatureDoesNotMatch": (ErrorKind.PERMISSION, _LATER, True),
    "ExpiredToken": (ErrorKind.PERMISSION, _LATER, True),
    "InvalidToken": (ErrorKind.PERMISSION, _LATER, True),
    "RequestTimeTooSkewed": (ErrorKind.PERMISSION, _LATER, True),
    "AccountProblem": (ErrorKind.PERMISSION, _LATER, True),
    "QuotaExceeded": (ErrorKind.NO_SPACE, _LATER, True),
    "StorageFull": (ErrorKind.NO_SPACE, _LATER, True),
    "EntityTooLarge": (ErrorKind.UNSUPPORTED, _NEVER, False),
    "KeyTooLongError": (ErrorKind.NAME_INVALID, _NEVER, False),
    "InvalidObjectName": (ErrorKind.NAME_INVALID, _NEVER, False),
    "BadDigest": (ErrorKind.CHECKSUM_MISMATCH, _NOW, False),
    "InvalidDigest": (ErrorKind.CHECKSUM_MISMATCH, _NOW, False),
    "XAmzContentSHA256Mismatch": (ErrorKind.CHECKSUM_MISMATCH, _NOW, False),
    "XAmzContentChecksumMismatch": (ErrorKind.CHECKSUM_MISMATCH, _NOW, False),
    "RequestTimeout": (ErrorKind.TIMEOUT, _NOW, False),
    "IncompleteBody": (ErrorKind.INPUT_OUTPUT, _NOW, False),
    "OperationAborted": (ErrorKind.INPUT_OUTPUT, _NOW, False),
    "ConditionalRequestConflict": (ErrorKind.INPUT_OUTPUT, _NOW, False),
    "InvalidObjectState": (ErrorKind.UNSUPPORTED, _NEVER, False),  # it lies in an archive
    "MetadataTooLarge": (ErrorKind.UNSUPPORTED, _NEVER, False),
    "InternalError": (ErrorKind.INPUT_OUTPUT, _NOW, False),
}
_STATUSES: Final = {
    301: (ErrorKind.NOT_FOUND, _LATER, True),  # the bucket is in another region
    307: (ErrorKind.NOT_FOUND, _LATER, True),
    401: (ErrorKind.PERMISSION, _LATER, True),
    403: (ErrorKind.PERMISSION, _NEVER, False),
    404: (ErrorKind.NOT_FOUND, _NEVER, False),
    405: (ErrorKind.UNSUPPORTED, _NEVER, False),
    407: (ErrorKind.PERMISSION, _LATER, True),
    408: (ErrorKind.TIMEOUT, _NOW, False),
    409: (ErrorKind.INPUT_OUTPUT, _NOW, False),
    412: (ErrorKind.STALE, _NOW, False),
    416: (ErrorKind.STALE, _NOW, False),
    501: (ErrorKind.UNSUPPORTED, _NEVER, False),
    507: (ErrorKind.NO_SPACE, _LATER, True),
}
_THROTTLED_CODES: Final = frozenset({"SlowDown", "Throttling", "RequestLimitExceeded"})
_THROTTLED_STATUSES: Final = frozenset({429, 503})


def refusal(status: int, body: bytes, deed: str, key: str) -> StorageError:
    """The error that an answer means."""
    code, message = _reason(body)
    cause = f"{status} {code or 'refused'}" + (f" ({message})" if message else "")
    path = key.encode()
    if code in _THROTTLED_CODES or (status in _THROTTLED_STATUSES and code not in _CODES):
        return Throttled(deed, path, cause)
    verdict = _CODES.get(code) or _STATUSES.get(status)
    if verdict is None:
        kind = ErrorKind.INPUT_OUTPUT if status >= 500 else ErrorKind.UNKNOWN
        verdict = (kind, _NOW if status >= 500 else _NEVER, False)
    kind, retry, whole_storage = verdict
    error = StorageUnavailable if whole_storage else StorageError
    return error(kind, retry, deed, path, cause)


def parse(body: bytes, deed: str, key: str) -> ET.Element:
    """The document of an answer, its names without their namespace."""
    try:
        root = _document(body)
    except ET.ParseError as error:
        cause = f"the answer cannot be read: {error}"
        raise StorageError(ErrorKind.INPUT_OUTPUT, _NOW, deed, key.encode(), cause) from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def stat_of_headers(key: str, headers: Mapping[str, str], size: int) -> ObjectStat:
    """The object that the headers of HEAD or GET describe."""
    storage_class = headers.get("x-amz-storage-class", "")
    restored = 'ongoing-request="false"' in headers.get("x-amz-restore", "")
    etag = headers.get("etag", "").strip('"')
    return ObjectStat(
        key=key,
        size=size,
        modified_ns=_http_date(headers.get("last-modified", "")),
        etag=etag,
        md5=md5_of_etag(etag, headers),
        metadata={
            name.removeprefix(METADATA_HEADER): value
            for name, value in headers.items()
            if name.startswith(METADATA_HEADER)
        },
        storage_class=storage_class,
        offline=storage_class in _ARCHIVED and not restored,
    )


def md5_of_etag(etag: str, headers: Mapping[str, str]) -> bytes:
    """The MD5 of the content, where the etag is that: not of uploads in parts, nor encrypted."""
    encrypted = headers.get(_ENCRYPTED, "AES256") != "AES256"
    encrypted = encrypted or not _ENCRYPTED_BY_CUSTOMER.isdisjoint(headers)
    return bytes.fromhex(etag) if _MD5_ETAG.match(etag) and not encrypted else b""


def page_of(root: ET.Element) -> tuple[Page, bool, str]:
    """A page of a listing, whether there is another one, and what fetches that."""
    is_encoded = root.findtext("EncodingType") == "url"
    objects = [_listed(found, is_encoded) for found in root.iterfind("Contents")]
    prefixes = [
        _text(found.findtext("Prefix") or "", is_encoded)
        for found in root.iterfind("CommonPrefixes")
    ]
    more = root.findtext("IsTruncated") == "true"
    return Page(objects, prefixes), more, root.findtext("NextContinuationToken") or ""


def parts_of(root: ET.Element) -> tuple[list[Part], str]:
    """Parts of an upload, and the marker of the next page ("" at the end)."""
    parts = []
    for found in root.iterfind("Part"):
        etag = (found.findtext("ETag") or "").strip('"')
        number, size = int(found.findtext("PartNumber") or 0), int(found.findtext("Size") or 0)
        parts.append(Part(number, size, etag, md5_of_etag(etag, {})))
    more = root.findtext("IsTruncated") == "true"
    return parts, (root.findtext("NextPartNumberMarker") or "") if more else ""


def uploads_of(root: ET.Element) -> tuple[list[Upload], tuple[str, str]]:
    """Unfinished uploads, and the markers (key, id) of the next page ("" at the end)."""
    is_encoded = root.findtext("EncodingType") == "url"
    uploads = [
        Upload(
            _text(found.findtext("Key") or "", is_encoded),
            found.findtext("UploadId") or "",
            _xml_date(found.findtext("Initiated") or ""),
        )
        for found in root.iterfind("Upload")
    ]
    if root.findtext("IsTruncated") != "true":
        return uploads, ("", "")
    key = _text(root.findtext("NextKeyMarker") or "", is_encoded)
    return uploads, (key, root.findtext("NextUploadIdMarker") or "")


def _listed(found: ET.Element, is_encoded: bool) -> ObjectStat:
    etag = (found.findtext("ETag") or "").strip('"')
    storage_class = found.findtext("StorageClass") or ""
    return ObjectStat(
        key=_text(found.findtext("Key") or "", is_encoded),
        size=int(found.findtext("Size") or 0),
        modified_ns=_xml_date(found.findtext("LastModified") or ""),
        etag=etag,
        storage_class=storage_class,
        offline=storage_class in _ARCHIVED,
    )


def _text(text: str, is_encoded: bool) -> str:
    return unquote_plus(text) if is_encoded else text


def _reason(body: bytes) -> tuple[str, str]:
    """Code and message of a refusal; empty where the answer says nothing of the kind."""
    if not body.lstrip().startswith(b"<"):
        return "", ""
    try:
        root = _document(body)
    except ET.ParseError:
        return "", ""
    found = {element.tag.rpartition("}")[2]: element.text or "" for element in root.iter()}
    return found.get("Code", ""), found.get("Message", "")


def _document(body: bytes) -> ET.Element:
    # No defence of its own is needed: expat refuses documents that grow by their entities, and
    # ElementTree reads none from outside.
    return ET.fromstring(body)  # noqa: S314


@lru_cache(maxsize=DATES_KEPT)
def _http_date(text: str) -> int:
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return 0
    # `-0000` is no zone of its own, and not the one that this process is in.
    return int(when.replace(tzinfo=when.tzinfo or UTC).timestamp()) * _SECOND


def _xml_date(text: str) -> int:
    """To the second: HEAD tells no more than that, and both have to say the same."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return 0
    return int(when.replace(tzinfo=when.tzinfo or UTC).timestamp()) * _SECOND
