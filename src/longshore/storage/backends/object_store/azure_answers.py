"""What Azure answers: headers, XML documents and refusals, as values of the client protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from longshore.domain.errors import StorageError
from longshore.storage.backends.object_store import refusals
from longshore.storage.backends.object_store.client import ObjectStat, Page
from longshore.storage.backends.object_store.exchange import base64_bytes, http_date, unreadable
from longshore.storage.backends.object_store.refusals import Verdict

METADATA_HEADER: Final = "x-ms-meta-"
_ARCHIVE: Final = "Archive"

_CODES: Final[Mapping[str, Verdict]] = {
    "AccountIsDisabled": refusals.NO_LOGIN,
    "AuthenticationFailed": refusals.NO_LOGIN,
    "AuthorizationFailure": refusals.NO_LOGIN,
    "BlobArchived": refusals.UNSUPPORTED,
    "BlobAlreadyExists": refusals.EXISTS,
    "BlobBeingRehydrated": refusals.UNSUPPORTED,
    "BlobNotFound": refusals.GONE,
    "ContainerBeingDeleted": refusals.NO_BUCKET,
    "ContainerDisabled": refusals.NO_BUCKET,
    "ContainerNotFound": refusals.NO_BUCKET,
    "InternalError": refusals.TROUBLE,
    "InvalidBlockId": refusals.GONE,
    "InvalidBlockList": refusals.GONE,  # the blocks of an upload that is not there any more
    "InvalidMd5": refusals.DAMAGED,
    "InvalidResourceName": refusals.BAD_NAME,
    "Md5Mismatch": refusals.DAMAGED,
    "MetadataTooLarge": refusals.UNSUPPORTED,
    "OperationTimedOut": refusals.SLOW,
    "OutOfRangeInput": refusals.BAD_NAME,
    "ServerBusy": refusals.THROTTLED,
    "TargetConditionNotMet": refusals.EXISTS,  # of a copy: that nothing has its name
    "UnauthorizedBlobOverwrite": refusals.EXISTS,
}


def refuse(
    status: int, headers: Mapping[str, str], body: bytes, deed: str, key: str
) -> StorageError:
    """The error that an answer means."""
    code = headers.get("x-ms-error-code", "")
    return refusals.refusal(status, _CODES.get(code), code or _code_in(body), deed, key)


def parse(body: bytes, deed: str, key: str) -> ET.Element:
    """The document of an answer."""
    try:
        # expat itself refuses documents that grow by their entities.
        return ET.fromstring(body.decode("utf-8-sig"))  # noqa: S314
    except (ET.ParseError, ValueError) as error:
        raise unreadable(deed, key, error) from error


def stat_of(key: str, headers: Mapping[str, str], size: int) -> ObjectStat:
    """The blob that the headers of HEAD or GET describe."""
    tier = headers.get("x-ms-access-tier", "")
    # With a range `content-md5` would be that of the range.
    whole = headers.get("x-ms-blob-content-md5", "")
    if not whole and "content-range" not in headers:
        whole = headers.get("content-md5", "")
    return ObjectStat(
        key=key,
        size=size,
        modified_ns=http_date(headers.get("last-modified", "")),
        etag=headers.get("etag", "").strip('"'),
        md5=base64_bytes(whole),
        metadata={
            _name(name.removeprefix(METADATA_HEADER)): value
            for name, value in headers.items()
            if name.startswith(METADATA_HEADER)
        },
        storage_class=tier,
        offline=tier == _ARCHIVE,
    )


def metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """The headers of metadata: names have to be such that C# takes them, without hyphens."""
    return {METADATA_HEADER + name.replace("-", "_"): value for name, value in metadata.items()}


def page_of(root: ET.Element) -> Page:
    """A page of a listing."""
    objects = [_listed(found) for found in root.iterfind("Blobs/Blob")]
    prefixes = [_key_in(found) for found in root.iterfind("Blobs/BlobPrefix")]
    # Azure sorts by its own order, which differs from that of UTF-8 beyond the first 65,536 signs.
    objects.sort(key=lambda stat: stat.key.encode())
    prefixes.sort(key=str.encode)
    return Page(objects, prefixes)


def _listed(found: ET.Element) -> ObjectStat:
    properties = found.find("Properties")
    values = {} if properties is None else {each.tag: each.text or "" for each in properties}
    metadata = found.find("Metadata")
    tier = values.get("AccessTier", "")
    return ObjectStat(
        key=_key_in(found),
        size=int(values.get("Content-Length") or 0),
        modified_ns=http_date(values.get("Last-Modified", "")),
        etag=values.get("Etag", "").strip('"'),
        md5=base64_bytes(values.get("Content-MD5", "")),
        metadata={
            _name(each.tag): each.text or "" for each in ([] if metadata is None else metadata)
        },
        storage_class=tier,
        offline=tier == _ARCHIVE,
    )


def _key_in(found: ET.Element) -> str:
    """The key of a line of a listing; one that no XML can hold comes encoded, and says so."""
    name = found.find("Name")
    text = "" if name is None else name.text or ""
    return unquote(text) if name is not None and name.get("Encoded") == "true" else text


def _name(text: str) -> str:
    return text.lower().replace("_", "-")


def _code_in(body: bytes) -> str:
    try:
        return ET.fromstring(body.decode("utf-8-sig")).findtext("Code") or ""  # noqa: S314
    except (ET.ParseError, ValueError):
        return ""
