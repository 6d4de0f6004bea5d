"""Google Cloud Storage, by its JSON interface.

An upload is a folder of objects, one for each part, which are composed to the object in the end:

    .longshore-uploads/<key>/<id>/00000     begun; holds nothing
    .longshore-uploads/<key>/<id>/00001     the first part
    .longshore-uploads/<key>/<id>/c00001    32 of them composed, if there are more

Google's own resumable uploads take one piece after the other and fix the conditions at the start;
these take parts in any order from anybody, and the condition counts when the object appears.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import quote

import msgspec

from longshore.domain.cloud import RemoteBucket
from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
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
    Upload,
)
from longshore.storage.backends.object_store.exchange import (
    NO_PAIRS,
    Exchange,
    as_unavailable,
    base64_text,
    place_of,
    query_text,
)
from longshore.storage.backends.object_store.gcs_answers import (
    Buckets,
    Listed,
    Resource,
    Rewritten,
    decode,
    refuse,
)
from longshore.storage.backends.object_store.gcs_login import Login, account_of
from longshore.storage.backends.object_store.hashing import md5_of
from longshore.storage.backends.object_store.http import Answer
from longshore.storage.backends.object_store.listing import listed_after
from longshore.storage.backends.object_store.profiles import InvalidSetting, adjusted
from longshore.storage.backends.object_store.refusals import EXISTS, mismatch, replaced

ENDPOINT: Final = "https://storage.googleapis.com"
PAGE_KEYS: Final = 1000  # of a listing; the service gives no more
UPLOADS_PREFIX: Final = ".longshore-uploads/"
COMPOSED_MAXIMUM: Final = 32  # objects in one composition
REMOVALS_AT_ONCE: Final = 8  # requests in flight when the parts of an upload are removed

_UPLOAD_KEY_BYTES: Final = len(UPLOADS_PREFIX) + 1 + 32 + 1 + 6  # around the key of the object
_GIBIBYTE: Final = 1024**3
_ABILITIES: Final = Abilities(
    conditional_create=True,
    updates_metadata=True,
    lists_metadata=True,
    copy_bytes_maximum=1 << 62,  # the service takes several requests for big ones
    put_bytes_maximum=5
    * _GIBIBYTE,  # one request; the service itself has no limit but the object's
    part_bytes_minimum=1024 * 1024,
    key_bytes_maximum=1024 - _UPLOAD_KEY_BYTES,
    metadata_bytes_maximum=8 * 1024,
)


def open_client(settings: Mapping[str, str]) -> GoogleClient:
    """The client of a bucket. Raises ValueError for settings that mean nothing."""
    if not settings.get("bucket"):
        raise InvalidSetting("no bucket is named")
    return GoogleClient(
        _Requests(settings),
        settings["bucket"],
        adjusted(_ABILITIES, settings),
        settings.get("storage_class", ""),
    )


def list_buckets(settings: Mapping[str, str]) -> list[RemoteBucket]:
    """All buckets of the account's project. Raises StorageError, ValueError."""
    requests = _Requests(settings)
    query = {"project": settings.get("project") or requests.project}
    found: list[RemoteBucket] = []
    try:
        while True:
            _, body = requests.read("GET", "/storage/v1/b", "list buckets", "", query=query)
            page = decode(body, Buckets, "list buckets", "")
            found += [RemoteBucket(bucket.name, bucket.location) for bucket in page.items]
            if not page.next_page_token:
                return found
            query["pageToken"] = page.next_page_token
    finally:
        requests.close()


class _Requests:
    """Requests to the service, with the token of the account."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        account = account_of(settings)
        self.project = account.project_id if account else ""
        self._login = Login(account, settings)
        self._exchange = Exchange(place_of(settings, settings.get("endpoint") or ENDPOINT), refuse)

    def close(self) -> None:
        self._exchange.close()

    def read(
        self,
        method: str,
        path: str,
        deed: str,
        key: str,
        *,
        query: Mapping[str, str] = NO_PAIRS,
        headers: Mapping[str, str] = NO_PAIRS,
        body: Data = b"",
    ) -> tuple[Mapping[str, str], bytes]:
        named = {**self._login.headers(), **headers}
        return self._exchange.read(method, path + query_text(query), named, body, deed, key)

    def send(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str], key: str
    ) -> Answer:
        named = {**self._login.headers(), **headers}
        return self._exchange.send("GET", path + query_text(query), named, b"", "read", key)


class GoogleClient(ObjectClient):
    """One bucket. `storage_class` is that of new objects; "" leaves it to the bucket."""

    def __init__(
        self, requests: _Requests, bucket: str, abilities: Abilities, storage_class: str
    ) -> None:
        self.abilities = abilities
        self._requests = requests
        self._bucket = bucket
        self._new_object = {"storageClass": storage_class} if storage_class else {}

    def close(self) -> None:
        self._requests.close()

    def check(self, *, writable: bool) -> None:
        try:
            self._list({"maxResults": "1"}, "look at bucket")
        except StorageError as error:
            raise as_unavailable(error, self._bucket) from error

    # ------------------------------------------------------------------ whole objects

    def head(self, key: str) -> ObjectStat:
        return self._head(self._bucket, key)

    def get_range(
        self, key: str, start: int, end: int, *, etag: str = "", room: bytearray | None = None
    ) -> Data:
        query = {"alt": "media"} | ({"ifGenerationMatch": etag} if etag else {})

        def get(buffer: memoryview, offset: int) -> int:
            # As it is stored: what was uploaded compressed is unpacked for anybody else.
            headers = {
                "range": f"bytes={offset}-{offset + len(buffer) - 1}",
                "accept-encoding": "gzip",
            }
            answer = self._requests.send(self._path(key), query, headers, key)
            if etag and answer.headers.get("x-goog-generation", etag) != etag:
                with answer:
                    answer.read_error()
                raise replaced("read", key)
            return ranges.read_range(answer, buffer, offset, key)

        return ranges.whole_range(key, start, end, get, room)

    def get_first(self, key: str, limit: int) -> tuple[ObjectStat, Data]:
        # The answer with the content does not tell all of the metadata.
        stat = self.head(key)
        size = min(stat.size, limit)
        data = self.get_range(key, 0, size, etag=stat.etag) if size else b""
        if stat.md5 and size == stat.size and md5_of(data) != stat.md5:
            raise mismatch("read", key)
        return stat, data

    def put(self, key: str, data: Data, options: PutOptions = PLAIN) -> ObjectStat:
        return self._put(key, data, options, md5_of(data))

    def _put(self, key: str, data: Data, options: PutOptions, md5: bytes) -> ObjectStat:
        described = {
            **self._class_of(options),
            "name": key,
            "metadata": dict(options.metadata),
            "md5Hash": base64_text(md5),
        }
        boundary = uuid.uuid4().hex
        try:
            answer = self._create(
                "POST",
                f"/upload/storage/v1/b/{self._bucket}/o",
                "write",
                key,
                only_if_absent=options.only_if_absent,
                query={"uploadType": "multipart"},
                headers={"content-type": f"multipart/related; boundary={boundary}"},
                body=_related(boundary, json.dumps(described).encode(), data),
            )
        except StorageError as error:
            raise self._without_bucket(error) from error
        stat = decode(answer, Resource, "write", key).stat()
        if stat.md5 and stat.md5 != md5:
            raise mismatch("write", key)
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
        found = self._head(bucket, source_key)
        if source_etag and found.etag != source_etag:
            raise replaced("copy", source_key)
        kept = (found.metadata or {}) if metadata is None else metadata
        described = {**self._new_object, "metadata": dict(kept)}
        path = (
            f"{_object_path(bucket, source_key)}/rewriteTo{self._path(key)[len('/storage/v1') :]}"
        )
        query = {"ifSourceGenerationMatch": found.etag}
        while True:
            answer = self._create(
                "POST",
                path,
                "copy",
                key,
                only_if_absent=only_if_absent,
                query=query,
                headers=_JSON,
                body=msgspec.json.encode(described),
            )
            result = decode(answer, Rewritten, "copy", key)
            if result.done and result.resource is not None:
                stat = result.resource.stat()
                break
            query["rewriteToken"] = result.rewrite_token
        if stat.metadata != kept:  # a service that does not look at what it should become
            self.set_metadata(key, kept)
            stat = self.head(key)
        return stat

    def set_metadata(self, key: str, metadata: Mapping[str, str]) -> None:
        """What is there and not wanted is named, with nothing as its value."""
        before = self.head(key)
        wanted = dict.fromkeys(before.metadata or {}) | dict(metadata)
        if wanted:
            body = msgspec.json.encode({"metadata": wanted})
            path = self._path(key)
            self._requests.read("PATCH", path, "set metadata of", key, headers=_JSON, body=body)

    def delete(self, key: str) -> None:
        self._requests.read("DELETE", self._path(key), "remove", key)

    def pages(
        self, prefix: str = "", *, delimiter: str = "", after: str = "", limit: int = 0
    ) -> Iterator[Page]:
        given = {"prefix": prefix, "delimiter": delimiter, "startOffset": after}
        query = {name: value for name, value in given.items() if value}
        wanted = limit + 1 if limit else PAGE_KEYS  # one may be `after` itself
        query["maxResults"] = str(min(wanted, PAGE_KEYS))
        return listed_after(self._all_pages(query), after, limit)

    def _all_pages(self, query: Mapping[str, str]) -> Iterator[Page]:
        for page in self._listed(query, "list"):
            objects = [each.stat() for each in page.items]
            yield Page(
                [each for each in objects if not each.key.startswith(UPLOADS_PREFIX)],
                [each for each in page.prefixes if each != UPLOADS_PREFIX],
            )

    # ------------------------------------------------------------------ uploads in parts

    def begin_upload(self, key: str, options: PutOptions = PLAIN) -> Upload:
        upload = Upload(key, uuid.uuid4().hex)
        self.put(_part_key(upload, "00000"), b"", PutOptions(is_file=False))
        return upload

    def put_part(self, upload: Upload, number: int, data: Data, *, md5: bytes = b"") -> Part:
        key = _part_key(upload, f"{number:05}")
        stat = self._put(key, data, PLAIN, md5 or md5_of(data))
        return Part(number, len(data), key, stat.md5)

    def list_parts(self, upload: Upload) -> list[Part]:
        found = [stat for page in self._objects_of(upload) for stat in page.items]
        parts = []
        for resource in found:
            name = resource.name.rpartition("/")[2]
            if name.isdigit() and int(name):
                stat = resource.stat()
                parts.append(Part(int(name), stat.size, stat.key, stat.md5))
        if not found:
            raise _no_upload("list parts of", upload)
        return parts

    def complete_upload(
        self, upload: Upload, parts: list[Part], options: PutOptions = PLAIN
    ) -> ObjectStat:
        keys = [part.reference for part in parts]
        depth = 0
        while len(keys) > COMPOSED_MAXIMUM:
            depth += 1
            keys = [
                self._compose(
                    keys[at : at + COMPOSED_MAXIMUM], _composed_key(upload, depth, at)
                ).key
                for at in range(0, len(keys), COMPOSED_MAXIMUM)
            ]
        stat = self._compose(keys, upload.key, options)
        if stat.size != sum(part.size for part in parts):
            raise mismatch("complete", upload.key)
        return stat

    def tidy_upload(self, upload: Upload) -> None:
        self._remove_parts(upload)

    def abort_upload(self, upload: Upload) -> None:
        self._remove_parts(upload)

    def list_uploads(self, prefix: str = "") -> Iterator[Upload]:
        last = Upload("", "")
        for page in self._listed({"prefix": UPLOADS_PREFIX + prefix}, "list uploads"):
            for resource in page.items:
                key, upload_id, _ = resource.name.removeprefix(UPLOADS_PREFIX).rsplit("/", 2)
                if (key, upload_id) != (last.key, last.id):
                    last = Upload(key, upload_id, resource.stat().modified_ns)
                    yield last

    # Inside

    def _class_of(self, options: PutOptions) -> Mapping[str, str]:
        return self._new_object if options.is_file else NO_PAIRS

    def _path(self, key: str) -> str:
        return _object_path(self._bucket, key)

    def _head(self, bucket: str, key: str) -> ObjectStat:
        _, body = self._requests.read("GET", _object_path(bucket, key), "look at", key)
        return decode(body, Resource, "look at", key).stat()

    def _listed(self, query: Mapping[str, str], deed: str) -> Iterator[Listed]:
        """All pages of a listing."""
        wanted = dict(query)
        while True:
            page = self._list(wanted, deed)
            yield page
            if not page.next_page_token:
                return
            wanted["pageToken"] = page.next_page_token

    def _list(self, query: Mapping[str, str], deed: str) -> Listed:
        path = f"/storage/v1/b/{self._bucket}/o"
        try:
            _, body = self._requests.read("GET", path, deed, "", query=query)
        except StorageError as error:
            raise self._without_bucket(error) from error
        return decode(body, Listed, deed, "")

    def _without_bucket(self, error: StorageError) -> StorageError:
        """What it means if nothing but the bucket can be missing."""
        is_missing = error.kind is ErrorKind.NOT_FOUND
        return as_unavailable(error, self._bucket) if is_missing else error

    def _create(
        self,
        method: str,
        path: str,
        deed: str,
        key: str,
        *,
        only_if_absent: bool,
        query: Mapping[str, str] = NO_PAIRS,
        headers: Mapping[str, str],
        body: Data,
    ) -> bytes:
        """A request that makes an object; that it is new may be its condition."""
        condition = {"ifGenerationMatch": "0"} if only_if_absent else {}
        try:
            _, answer = self._requests.read(
                method, path, deed, key, query={**query, **condition}, headers=headers, body=body
            )
        except StorageError as error:
            if error.kind is ErrorKind.STALE and only_if_absent:
                raise StorageError(
                    EXISTS.kind, EXISTS.retry, deed, key.encode(), "it exists"
                ) from error
            raise
        return answer

    def _compose(self, keys: list[str], key: str, options: PutOptions = PLAIN) -> ObjectStat:
        described = {
            "sourceObjects": [{"name": each} for each in keys],
            "destination": {**self._class_of(options), "metadata": dict(options.metadata)},
        }
        answer = self._create(
            "POST",
            f"{self._path(key)}/compose",
            "complete",
            key,
            only_if_absent=options.only_if_absent,
            headers=_JSON,
            body=msgspec.json.encode(described),
        )
        return decode(answer, Resource, "complete", key).stat()

    def _objects_of(self, upload: Upload) -> Iterator[Listed]:
        return self._listed({"prefix": _part_key(upload, "")}, "list parts of")

    def _remove_parts(self, upload: Upload) -> None:
        """Remove all objects of an upload; its beginning last, so that it is found until then."""
        keys = [each.name for page in self._objects_of(upload) for each in page.items]
        with ThreadPoolExecutor(REMOVALS_AT_ONCE) as pool:
            list(pool.map(self._discard, keys[1:]))
        for key in keys[:1]:
            self._discard(key)

    def _discard(self, key: str) -> None:
        try:
            self.delete(key)
        except StorageUnavailable:
            raise
        except StorageError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise


_JSON: Final = {"content-type": "application/json"}


def _object_path(bucket: str, key: str) -> str:
    return f"/storage/v1/b/{bucket}/o/{quote(key, safe='')}"


def _part_key(upload: Upload, name: str) -> str:
    return f"{UPLOADS_PREFIX}{upload.key}/{upload.id}/{name}"


def _composed_key(upload: Upload, depth: int, at: int) -> str:
    return _part_key(upload, f"c{depth}{at:05}")


def _related(boundary: str, described: bytes, data: Data) -> bytes:
    """Description and content as one body; the description has to be ASCII, as mail has."""
    return b"".join(
        (
            f"--{boundary}\r\ncontent-type: application/json\r\n\r\n".encode(),
            described,
            f"\r\n--{boundary}\r\ncontent-type: application/octet-stream\r\n\r\n".encode(),
            data,
            f"\r\n--{boundary}--\r\n".encode(),
        )
    )


def _no_upload(deed: str, upload: Upload) -> StorageError:
    cause = "there is no such upload"
    return StorageError(ErrorKind.NOT_FOUND, RetryClass.NEVER, deed, upload.key.encode(), cause)
