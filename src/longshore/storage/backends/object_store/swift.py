"""OpenStack Swift, by its own interface.

Big objects are *static large objects*: a manifest that names segments, which lie in a container of
their own, `<container>_segments`, as other programs put them there:

    uploads/<key>/<id>            the upload has begun; removed when it is complete
    parts/<key>/<id>/00001        a segment; it stays as long as the object

An object that is replaced leaves its segments behind, so whoever writes looks first whether there
is a big object under that name, and removes the segments of that afterwards.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from longshore.domain.cloud import RemoteBucket
from longshore.domain.errors import ErrorKind, StorageError, StorageUnavailable
from longshore.storage.backends.object_store import ranges
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
from longshore.storage.backends.object_store.exchange import as_unavailable, length_in
from longshore.storage.backends.object_store.hashing import md5_of
from longshore.storage.backends.object_store.listing import listed_after
from longshore.storage.backends.object_store.profiles import InvalidSetting, adjusted
from longshore.storage.backends.object_store.refusals import EXISTS, GONE, mismatch, replaced
from longshore.storage.backends.object_store.swift_answers import (
    MANIFEST_HEADER,
    Segment,
    complete_refusal,
    decode_listing,
    decode_manifest,
    is_composed,
    metadata_headers,
    page_of,
    stat_of,
)
from longshore.storage.backends.object_store.swift_requests import SwiftRequests

PAGE_KEYS: Final = 1000  # of a listing; services give up to 10,000
SEGMENTS_SUFFIX: Final = "_segments"
NO_SEGMENTS_SECONDS: Final = 30.0
"""How long it is believed that there is no container of segments, so that nothing big is replaced.
Another mover may make it meanwhile; what it costs then are segments that nobody removes."""

_KEPT_HEADERS: Final = (MANIFEST_HEADER, "x-delete-at")
"""Of others, which are gone with the next change of metadata that does not name them."""

_GIBIBYTE: Final = 1024**3
_OWN_KEY_BYTES: Final = len("parts/") + 1 + 32 + 1 + 5  # around the key of the object
_ABILITIES: Final = Abilities(
    # It knows the condition, but each object server looks for itself: two writers may both find
    # nothing. So nothing is promised unless the connector says that this will do.
    conditional_create=False,
    updates_metadata=True,
    part_bytes_minimum=1024 * 1024,
    parts_maximum=1000,
    object_bytes_maximum=1000 * 4 * _GIBIBYTE,  # parts are doubled, and have 5 GiB at most
    key_bytes_maximum=1024 - _OWN_KEY_BYTES,
    metadata_value_bytes_maximum=256,
)


def open_client(settings: Mapping[str, str]) -> SwiftClient:
    """The client of a container. Raises ValueError for settings that mean nothing."""
    if not settings.get("bucket"):
        raise InvalidSetting("no bucket is named")
    return SwiftClient(SwiftRequests(settings), settings["bucket"], adjusted(_ABILITIES, settings))


def list_buckets(settings: Mapping[str, str]) -> list[RemoteBucket]:
    """All containers of the account but those of segments. Raises StorageError, ValueError."""
    requests = SwiftRequests(settings)
    found: list[RemoteBucket] = []
    query = {"format": "json", "limit": str(PAGE_KEYS)}
    try:
        while True:
            _, body = requests.read("GET", "", "", "list buckets", query=query)
            names = [line.name for line in decode_listing(body, "list buckets", "")]
            found += [RemoteBucket(name) for name in names if not name.endswith(SEGMENTS_SUFFIX)]
            if not names:
                return found
            query["marker"] = names[-1]
    finally:
        requests.close()


class SwiftClient(ObjectClient):
    """One container, and the one of its segments."""

    def __init__(
        self,
        requests: SwiftRequests,
        bucket: str,
        abilities: Abilities,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.abilities = abilities
        self._requests = requests
        self._bucket = bucket
        self._segments = bucket + SEGMENTS_SUFFIX
        self._clock = clock
        self._no_segments_until = 0.0
        self._has_segments = False

    def close(self) -> None:
        self._requests.close()

    def check(self, *, writable: bool) -> None:
        try:
            self._requests.read("HEAD", self._bucket, "", "look at bucket")
        except StorageError as error:
            raise as_unavailable(error, self._bucket) from error

    # ------------------------------------------------------------------ whole objects

    def head(self, key: str) -> ObjectStat:
        headers, _ = self._requests.read("HEAD", self._bucket, key, "look at")
        return stat_of(key, headers, length_in(headers, "look at", key))

    def get_range(
        self, key: str, start: int, end: int, *, etag: str = "", room: bytearray | None = None
    ) -> Data:
        return ranges.get_range(key, start, end, etag, self._asking(key), room=room)

    def open_range(self, key: str, start: int, end: int, *, etag: str = "") -> RangeBody:
        return ranges.open_range(key, start, end, etag, self._asking(key))

    def get_first(self, key: str, limit: int) -> tuple[ObjectStat, Data]:
        return ranges.get_first(self, key, limit, self._asking(key), stat_of)

    def put(self, key: str, data: Data, options: PutOptions = PLAIN) -> ObjectStat:
        old = self._segments_of(key)
        stat = self._put(
            self._bucket, key, data, options.metadata, only_if_absent=options.only_if_absent
        )
        self._remove_segments(old)
        return stat

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
        headers, _ = self._requests.read("HEAD", bucket, source_key, "look at")
        found = stat_of(source_key, headers, length_in(headers, "look at", source_key))
        if source_etag and found.etag != source_etag:
            raise replaced("copy", source_key)
        kept = (found.metadata or {}) if metadata is None else metadata
        if is_composed(headers):
            return self._copy_segments(bucket, source_key, key, kept)
        old = self._segments_of(key)
        self._copy(bucket, source_key, self._bucket, key, found.etag, kept)
        self._remove_segments(old)
        return self.head(key)

    def set_metadata(self, key: str, metadata: Mapping[str, str]) -> None:
        before, _ = self._requests.read("HEAD", self._bucket, key, "look at")
        kept = {name: before[name] for name in _KEPT_HEADERS if name in before}
        headers = {**kept, **metadata_headers(metadata)}
        self._requests.read("POST", self._bucket, key, "set metadata of", headers=headers)

    def delete(self, key: str) -> None:
        old = self._segments_of(key)
        self._requests.read("DELETE", self._bucket, key, "remove")
        self._remove_segments(old)

    def pages(
        self, prefix: str = "", *, delimiter: str = "", after: str = "", limit: int = 0
    ) -> Iterator[Page]:
        pages = self._pages(self._bucket, prefix, delimiter, after, limit or PAGE_KEYS)
        return listed_after(pages, "", limit)

    # ------------------------------------------------------------------ uploads in parts

    def begin_upload(self, key: str, options: PutOptions = PLAIN) -> Upload:
        self._make_segments_container()
        upload = Upload(key, uuid.uuid4().hex)
        self._put(self._segments, _begun_key(upload), b"", {})
        return upload

    def put_part(self, upload: Upload, number: int, data: Data, *, md5: bytes = b"") -> Part:
        stat = self._put(self._segments, _part_key(upload, f"{number:05}"), data, {}, md5=md5)
        return Part(number, len(data), stat.etag, stat.md5)

    def list_parts(self, upload: Upload) -> list[Part]:
        parts = [
            Part(int(stat.key.rpartition("/")[2]), stat.size, stat.etag, stat.md5)
            for page in self._pages(self._segments, _part_key(upload, ""))
            for stat in page.objects
        ]
        if not parts:
            self._requests.read("HEAD", self._segments, _begun_key(upload), "list parts of")
        return parts

    def complete_upload(
        self, upload: Upload, parts: list[Part], options: PutOptions = PLAIN
    ) -> ObjectStat:
        old = self._segments_of(upload.key)
        own = f"/{self._segments}/{_part_key(upload, '')}"
        manifest = [
            {
                "path": f"/{self._segments}/{_part_key(upload, f'{part.number:05}')}",
                "etag": part.reference,
                "size_bytes": part.size,
            }
            for part in parts
        ]
        stat = self._put_manifest(upload.key, manifest, options)
        self._remove_segments([each for each in old if not each.name.startswith(own)])
        self._discard(self._segments, _begun_key(upload))
        used = {part.number for part in parts}
        for part in self.list_parts(upload):
            if part.number not in used:
                self._discard(self._segments, _part_key(upload, f"{part.number:05}"))
        return stat

    def abort_upload(self, upload: Upload) -> None:
        for page in self._pages(self._segments, _part_key(upload, "")):
            for stat in page.objects:
                self._discard(self._segments, stat.key)
        self._discard(self._segments, _begun_key(upload))

    def list_uploads(self, prefix: str = "") -> Iterator[Upload]:
        if not self._may_have_segments():
            return
        for page in self._pages(self._segments, "uploads/" + prefix):
            for stat in page.objects:
                key, _, upload_id = stat.key.removeprefix("uploads/").rpartition("/")
                yield Upload(key, upload_id, stat.modified_ns)

    # Inside

    def _asking(self, key: str) -> ranges.Ask:
        return lambda headers: self._requests.send(
            "GET", self._bucket, key, "read", headers=headers
        )

    def _put(
        self,
        bucket: str,
        key: str,
        data: Data,
        metadata: Mapping[str, str],
        *,
        only_if_absent: bool = False,
        md5: bytes = b"",
    ) -> ObjectStat:
        md5 = md5 or md5_of(data)
        headers = {
            **metadata_headers(metadata),
            **_condition(only_if_absent),
            "etag": md5.hex(),  # which the service compares
            "content-type": "application/octet-stream",
        }
        try:
            answer, _ = self._requests.read("PUT", bucket, key, "write", headers=headers, body=data)
        except StorageError as error:
            if error.kind is ErrorKind.NOT_FOUND:  # nothing else can be missing
                raise as_unavailable(error, bucket) from error
            raise _as_existing(error, "write", key, only_if_absent) from error
        if answer.get("etag", md5.hex()).strip('"') != md5.hex():
            raise mismatch("write", key)
        return ObjectStat(
            key=key, size=len(data), modified_ns=0, etag=md5.hex(), md5=md5, metadata=metadata
        )

    def _put_manifest(
        self, key: str, manifest: list[dict[str, object]], options: PutOptions
    ) -> ObjectStat:
        try:
            _, body = self._requests.read(
                "PUT",
                self._bucket,
                key,
                "complete",
                query={"multipart-manifest": "put"},
                headers={
                    **metadata_headers(options.metadata),
                    **_condition(options.only_if_absent),
                    "accept": "application/json",
                },
                body=msgspec.json.encode(manifest),
            )
        except StorageError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                raise as_unavailable(error, self._bucket) from error
            # The service says 400 for a manifest whose segments are not there.
            if error.kind is not ErrorKind.UNKNOWN:
                raise _as_existing(error, "complete", key, options.only_if_absent) from error
            raise StorageError(
                GONE.kind, GONE.retry, "complete", key.encode(), str(error)
            ) from error
        refused = complete_refusal(body, "complete", key) if body[:1] == b"{" else None
        if refused is not None:
            raise refused
        return self.head(key)

    def _copy(
        self,
        bucket: str,
        source_key: str,
        to_bucket: str,
        key: str,
        etag: str,
        metadata: Mapping[str, str],
    ) -> None:
        headers = {
            **metadata_headers(metadata),
            "x-copy-from": self._requests.copy_source(bucket, source_key),
            "x-fresh-metadata": "true",
            "if-match": f'"{etag}"',
        }
        answer, _ = self._requests.read("PUT", to_bucket, key, "copy", headers=headers)
        if answer.get("etag", etag).strip('"') != etag:
            raise replaced("copy", key)

    def _copy_segments(
        self, bucket: str, source_key: str, key: str, metadata: Mapping[str, str]
    ) -> ObjectStat:
        """A big object of segments of its own, with the same content."""
        upload = self.begin_upload(key)
        parts = []
        try:
            for number, segment in enumerate(self._manifest(bucket, source_key), start=1):
                part_key = _part_key(upload, f"{number:05}")
                container, segment_key = segment.place()
                self._copy(container, segment_key, self._segments, part_key, segment.hash, {})
                parts.append(Part(number, segment.bytes, segment.hash))
            return self.complete_upload(upload, parts, PutOptions(metadata=metadata))
        except BaseException:
            self.abort_upload(upload)
            raise

    def _segments_of(self, key: str) -> list[Segment]:
        """The segments of the object that stands under the key; none if it is not a big one."""
        if not self._may_have_segments():
            return []
        try:
            headers, _ = self._requests.read("HEAD", self._bucket, key, "look at")
        except StorageUnavailable:
            raise
        except StorageError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return []
            raise
        return self._manifest(self._bucket, key) if is_composed(headers) else []

    def _manifest(self, bucket: str, key: str) -> list[Segment]:
        query = {"multipart-manifest": "get"}
        _, body = self._requests.read("GET", bucket, key, "read", query=query)
        return decode_manifest(body, "read", key)

    def _remove_segments(self, segments: list[Segment]) -> None:
        for segment in segments:
            self._discard(*segment.place())

    def _discard(self, bucket: str, key: str) -> None:
        try:
            self._requests.read("DELETE", bucket, key, "remove")
        except StorageUnavailable:
            raise
        except StorageError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise

    def _make_segments_container(self) -> None:
        if not self._has_segments:
            self.check(writable=True)
            self._requests.read("PUT", self._segments, "", "make container")
            self._has_segments = True

    def _may_have_segments(self) -> bool:
        if self._has_segments:
            return True
        if self._clock() < self._no_segments_until:
            return False
        try:
            self._requests.read("HEAD", self._segments, "", "look at container")
        except StorageError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise
            self._no_segments_until = self._clock() + NO_SEGMENTS_SECONDS
            return False
        self._has_segments = True
        return True

    def _pages(
        self,
        bucket: str,
        prefix: str,
        delimiter: str = "",
        after: str = "",
        size: int = PAGE_KEYS,
    ) -> Iterator[Page]:
        given = {"prefix": prefix, "delimiter": delimiter, "marker": after}
        query = {"format": "json", "limit": str(min(size, PAGE_KEYS))}
        query |= {name: value for name, value in given.items() if value}
        while True:
            try:
                _, body = self._requests.read("GET", bucket, "", "list", query=query)
            except StorageError as error:
                raise as_unavailable(error, bucket) from error
            lines = decode_listing(body, "list", prefix)
            yield page_of(lines)
            if len(lines) < int(query["limit"]):
                return
            query["marker"] = lines[-1].subdir or lines[-1].name


def _condition(only_if_absent: bool) -> dict[str, str]:
    return {"if-none-match": "*"} if only_if_absent else {}


def _as_existing(error: StorageError, deed: str, key: str, only_if_absent: bool) -> StorageError:
    """What it means if the only condition was that there is no such object."""
    if error.kind is not ErrorKind.STALE or not only_if_absent:
        return error
    return StorageError(EXISTS.kind, EXISTS.retry, deed, key.encode(), "it exists")


def _begun_key(upload: Upload) -> str:
    return f"uploads/{upload.key}/{upload.id}"


def _part_key(upload: Upload, name: str) -> str:
    return f"parts/{upload.key}/{upload.id}/{name}"
