"""Azure Blob Storage: block blobs in one container.

An upload has no place of its own on Azure: its blocks wait, unseen, under the name of the blob that
they are to become. `azure_blocks` says how they are told apart. Nothing can take such blocks away
but a blob of that name, which must not be made for that; Azure drops them after a week.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final
from xml.etree import ElementTree as ET

from longshore.domain.cloud import RemoteBucket
from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.storage.backends.object_store import azure_blocks, ranges
from longshore.storage.backends.object_store.azure_answers import (
    metadata_headers,
    page_of,
    parse,
    refuse,
    stat_of,
)
from longshore.storage.backends.object_store.azure_signing import AzureSigner
from longshore.storage.backends.object_store.client import (
    PLAIN,
    Abilities,
    Data,
    ObjectClient,
    ObjectStat,
    Page,
    Part,
    PutOptions,
    RangeBody,
    Upload,
)
from longshore.storage.backends.object_store.exchange import (
    NO_PAIRS,
    Exchange,
    as_unavailable,
    base64_text,
    length_in,
    path_text,
    place_of,
    query_text,
)
from longshore.storage.backends.object_store.hashing import md5_of
from longshore.storage.backends.object_store.http import Answer
from longshore.storage.backends.object_store.keys import KeyRules
from longshore.storage.backends.object_store.listing import listed_after
from longshore.storage.backends.object_store.profiles import InvalidSetting, adjusted, printable
from longshore.storage.backends.object_store.refusals import EXISTS, replaced

ENDPOINT: Final = "https://{account}.blob.core.windows.net"
RANGE_HEADER: Final = "x-ms-range"  # which Azure heeds before `range`
PAGE_KEYS: Final = 5000  # of a listing; the service gives no more
COPY_SECONDS_MAXIMUM: Final = 3600.0  # inside an account a copy is done at once, as a rule
COPY_POLL_SECONDS: Final = 0.5  # between two looks at a copy that is under way

_MEBIBYTE: Final = 1024 * 1024
_ABILITIES: Final = Abilities(
    conditional_create=True,
    updates_metadata=True,
    lists_metadata=True,
    lists_uploads=False,
    copy_bytes_maximum=1 << 62,  # Azure divides big ones itself
    put_bytes_maximum=5000 * _MEBIBYTE,
    part_bytes_minimum=_MEBIBYTE,
    part_bytes_maximum=4000 * _MEBIBYTE,
    parts_maximum=50_000,
    object_bytes_maximum=50_000 * 2048 * _MEBIBYTE,  # parts are doubled
    foreign_key_bytes_maximum=3 * 1024,  # 1,024 letters
    metadata_bytes_maximum=7 * 1024,  # of 8 KiB, in which Azure counts headers
    # Azure turns backslashes into slashes and takes dots off the end of a name.
    key_rules=KeyRules(escaped=KeyRules().escaped | frozenset("\\"), escaped_at_end=frozenset(".")),
)


def open_client(settings: Mapping[str, str]) -> AzureClient:
    """The client of a container. Raises ValueError for settings that mean nothing."""
    if not settings.get("bucket"):
        raise InvalidSetting("no bucket is named")
    return AzureClient(
        _Requests(settings),
        settings["bucket"],
        adjusted(_ABILITIES, settings),
        printable(settings, "storage_class"),
        printable(settings, "tags"),
    )


def list_buckets(settings: Mapping[str, str]) -> list[RemoteBucket]:
    """All containers of the account. Raises StorageError, ValueError."""
    requests = _Requests(settings)
    try:
        return [
            RemoteBucket(each.findtext("Name") or "")
            for page in requests.pages("", "list buckets", {"comp": "list"})
            for each in page.iter("Container")
        ]
    finally:
        requests.close()


class _Requests:
    """Signed requests to one account."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        account = settings.get("access_key", "")
        endpoint = settings.get("endpoint") or ENDPOINT.format(account=account)
        place = place_of(settings, endpoint)
        self._base = "/" + endpoint.partition("://")[2].partition("/")[2].strip("/")
        self._base = self._base.rstrip("/")
        self._signer = AzureSigner(account, settings.get("secret_key", ""))
        self._exchange = Exchange(place, refuse)
        self.url = endpoint.rstrip("/")

    def close(self) -> None:
        self._exchange.close()

    def source_url(self, bucket: str, key: str) -> str:
        """What names a blob as the source of a copy."""
        return f"{self.url}/{path_text(f'{bucket}/{key}')}{query_text(self._signer.access)}"

    def read(
        self,
        method: str,
        bucket: str,
        key: str,
        deed: str,
        *,
        query: Mapping[str, str] = NO_PAIRS,
        headers: Mapping[str, str] = NO_PAIRS,
        body: Data = b"",
    ) -> tuple[Mapping[str, str], bytes]:
        target, signed = self._signed(method, bucket, key, query, headers, body)
        return self._exchange.read(method, target, signed, body, deed, key)

    def pages(self, bucket: str, deed: str, query: Mapping[str, str]) -> Iterator[ET.Element]:
        """All pages of a listing, as documents."""
        marker: dict[str, str] = {}
        while True:
            _, body = self.read("GET", bucket, "", deed, query={**query, **marker})
            page = parse(body, deed, "")
            yield page
            marker = {"marker": page.findtext("NextMarker") or ""}
            if not marker["marker"]:
                return

    def send(
        self, method: str, bucket: str, key: str, deed: str, headers: Mapping[str, str]
    ) -> Answer:
        target, signed = self._signed(method, bucket, key, NO_PAIRS, headers, b"")
        return self._exchange.send(method, target, signed, b"", deed, key)

    def _signed(
        self,
        method: str,
        bucket: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Data,
    ) -> tuple[str, dict[str, str]]:
        path = self._base + path_text("/".join(("", *filter(None, (bucket, key)))) or "/")
        now = datetime.fromtimestamp(time.time(), UTC)
        length = {"content-length": str(len(body))} if len(body) else {}
        signed = self._signer.sign(method, path, query, {**headers, **length}, now)
        signed.pop("content-length", None)  # the connection sends it
        return path + query_text({**query, **self._signer.access}), signed


class AzureClient(ObjectClient):
    """One container. `tier` is the access tier of new files, "" leaves it to the account; `tags`
    are the index tags of all new blobs."""

    def __init__(
        self,
        requests: _Requests,
        bucket: str,
        abilities: Abilities,
        tier: str,
        tags: str,
        *,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.abilities = abilities
        self._requests = requests
        self._bucket = bucket
        self._tier = {"x-ms-access-tier": tier} if tier else {}
        self._tags = {"x-ms-tags": tags} if tags else {}
        self._sleep = sleep

    def close(self) -> None:
        self._requests.close()

    def check(self, *, writable: bool) -> None:
        try:
            self._read("GET", "", "look at bucket", query=_listing("", "", 1))
        except StorageError as error:
            raise as_unavailable(error, self._bucket) from error

    # ------------------------------------------------------------------ whole objects

    def head(self, key: str) -> ObjectStat:
        return self._head(self._bucket, key)

    def get_range(
        self, key: str, start: int, end: int, *, etag: str = "", room: bytearray | None = None
    ) -> Data:
        asking = self._asking(key)
        return ranges.get_range(key, start, end, etag, asking, header=RANGE_HEADER, room=room)

    def open_range(self, key: str, start: int, end: int, *, etag: str = "") -> RangeBody:
        return ranges.open_range(key, start, end, etag, self._asking(key), header=RANGE_HEADER)

    def get_first(self, key: str, limit: int) -> tuple[ObjectStat, Data]:
        return ranges.get_first(self, key, limit, self._asking(key), stat_of, header=RANGE_HEADER)

    def put(self, key: str, data: Data, options: PutOptions = PLAIN) -> ObjectStat:
        md5 = md5_of(data)
        headers = {
            **self._new_headers(options),
            "x-ms-blob-type": "BlockBlob",
            "content-md5": base64_text(md5),
            **_condition(options),
        }
        answer = self._create(key, "write", options, headers=headers, body=data)
        return ObjectStat(
            key=key,
            size=len(data),
            modified_ns=0,
            etag=answer.get("etag", "").strip('"'),
            md5=md5,
            metadata=options.metadata,
        )

    def copy(
        self,
        source_key: str,
        key: str,
        *,
        metadata: Mapping[str, str] | None = None,
        source_bucket: str = "",
        source_etag: str = "",
        only_if_absent: bool = False,
    ) -> ObjectStat:
        bucket = source_bucket or self._bucket
        found = self._head(bucket, source_key)
        if source_etag and found.etag != source_etag:
            raise replaced("copy", source_key)
        kept = (found.metadata or {}) if metadata is None else metadata
        headers = {
            **self._new_headers(PutOptions(metadata=kept)),
            "x-ms-copy-source": self._requests.source_url(bucket, source_key),
            "x-ms-source-if-match": f'"{found.etag}"',
            **_condition(PutOptions(only_if_absent=only_if_absent)),
        }
        answer, _ = self._read("PUT", key, "copy", headers=headers)
        self._wait_for_copy(key, answer)
        etag = answer.get("etag", "").strip('"')
        return ObjectStat(key=key, size=found.size, modified_ns=0, etag=etag, metadata=kept)

    def set_metadata(self, key: str, metadata: Mapping[str, str]) -> None:
        headers = metadata_headers(metadata)
        self._read("PUT", key, "set metadata of", query={"comp": "metadata"}, headers=headers)

    def delete(self, key: str) -> None:
        self._read("DELETE", key, "remove", headers={"x-ms-delete-snapshots": "include"})

    def pages(
        self, prefix: str = "", *, delimiter: str = "", after: str = "", limit: int = 0
    ) -> Iterator[Page]:
        # There is no way to begin in the middle: what comes before is passed over.
        size = min(limit, PAGE_KEYS) if limit and not after else PAGE_KEYS
        return listed_after(self._all_pages(prefix, delimiter, size), after, limit)

    def _all_pages(self, prefix: str, delimiter: str, size: int) -> Iterator[Page]:
        query = _listing(prefix, delimiter, size)
        for page in self._requests.pages(self._bucket, "list", query):
            yield page_of(page)

    # ------------------------------------------------------------------ uploads in parts

    def begin_upload(self, key: str, options: PutOptions = PLAIN) -> Upload:
        return Upload(key, uuid.uuid4().hex)

    def put_part(self, upload: Upload, number: int, data: Data, *, md5: bytes = b"") -> Part:
        md5 = md5 or md5_of(data)
        block = azure_blocks.name_of(upload, number, md5, time.time_ns())
        self._read(
            "PUT",
            upload.key,
            "write part of",
            query={"comp": "block", "blockid": block},
            headers={"content-md5": base64_text(md5)},
            body=data,
        )
        return Part(number, len(data), block, md5)

    def list_parts(self, upload: Upload) -> list[Part]:
        query = {"comp": "blocklist", "blocklisttype": "uncommitted"}
        try:
            _, body = self._read("GET", upload.key, "list parts of", query=query)
        except StorageUnavailable:
            raise
        except StorageError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise
            return []  # so it says of an upload of which no block was sent yet, too
        root = parse(body, "list parts of", upload.key)
        return azure_blocks.parts_of(
            upload,
            ((e.findtext("Name") or "", int(e.findtext("Size") or 0)) for e in root.iter("Block")),
        )

    def complete_upload(
        self, upload: Upload, parts: list[Part], options: PutOptions = PLAIN
    ) -> ObjectStat:
        document = ET.Element("BlockList")
        for part in parts:
            ET.SubElement(document, "Uncommitted").text = part.reference
        answer = self._create(
            upload.key,
            "complete",
            options,
            query={"comp": "blocklist"},
            headers={
                **self._new_headers(options),
                "content-type": "application/xml",
                **_condition(options),
            },
            body=ET.tostring(document),
        )
        return ObjectStat(
            key=upload.key,
            size=sum(part.size for part in parts),
            modified_ns=0,
            etag=answer.get("etag", "").strip('"'),
            metadata=options.metadata,
        )

    def abort_upload(self, upload: Upload) -> None:
        return  # Azure does that: see above

    def list_uploads(self, prefix: str = "") -> Iterator[Upload]:
        return iter(())

    # Inside

    def _new_headers(self, options: PutOptions) -> dict[str, str]:
        tier = self._tier if options.is_file else NO_PAIRS
        return {**tier, **self._tags, **metadata_headers(options.metadata)}

    def _read(
        self,
        method: str,
        key: str,
        deed: str,
        *,
        query: Mapping[str, str] = NO_PAIRS,
        headers: Mapping[str, str] = NO_PAIRS,
        body: Data = b"",
    ) -> tuple[Mapping[str, str], bytes]:
        return self._requests.read(
            method, self._bucket, key, deed, query=query, headers=headers, body=body
        )

    def _create(
        self,
        key: str,
        deed: str,
        options: PutOptions,
        *,
        query: Mapping[str, str] = NO_PAIRS,
        headers: Mapping[str, str],
        body: Data,
    ) -> Mapping[str, str]:
        """A request that makes a blob; the condition that it is new is its only one."""
        try:
            answer, _ = self._read("PUT", key, deed, query=query, headers=headers, body=body)
        except StorageError as error:
            if error.kind is not ErrorKind.STALE or not options.only_if_absent:
                raise
            raise StorageError(
                EXISTS.kind, EXISTS.retry, deed, key.encode(), "it exists"
            ) from error
        return answer

    def _head(self, bucket: str, key: str) -> ObjectStat:
        headers, _ = self._requests.read("HEAD", bucket, key, "look at")
        return stat_of(key, headers, length_in(headers, "look at", key))

    def _asking(self, key: str) -> ranges.Ask:
        return lambda headers: self._requests.send("GET", self._bucket, key, "read", headers)

    def _wait_for_copy(self, key: str, answer: Mapping[str, str]) -> None:
        deadline = time.monotonic() + COPY_SECONDS_MAXIMUM
        while (status := answer.get("x-ms-copy-status", "success")) == "pending":
            if time.monotonic() > deadline:
                break
            self._sleep(COPY_POLL_SECONDS)
            answer, _ = self._read("HEAD", key, "copy")
        if status != "success":
            cause = f"the copy is {status} ({answer.get('x-ms-copy-status-description', '')})"
            raise StorageError(
                ErrorKind.INPUT_OUTPUT, RetryClass.LATER, "copy", key.encode(), cause
            )


def _listing(prefix: str, delimiter: str, size: int) -> dict[str, str]:
    query = {
        "restype": "container",
        "comp": "list",
        "include": "metadata",
        "maxresults": str(size),
    }
    given = {"prefix": prefix, "delimiter": delimiter}
    return query | {name: value for name, value in given.items() if value}


def _condition(options: PutOptions) -> dict[str, str]:
    return {"if-none-match": "*"} if options.only_if_absent else {}
