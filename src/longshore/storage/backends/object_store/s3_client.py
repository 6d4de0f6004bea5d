"""One bucket of the S3 family."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, cast
from xml.etree import ElementTree as ET

from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.storage.backends.object_store import ranges
from longshore.storage.backends.object_store.client import (
    PLAIN,
    Data,
    Get,
    ObjectClient,
    ObjectStat,
    Page,
    Part,
    Put,
    PutOptions,
    RangeBody,
    Upload,
)
from longshore.storage.backends.object_store.exchange import (
    NO_PAIRS,
    Asked,
    as_unavailable,
    base64_text,
    length_in,
    unreadable,
)
from longshore.storage.backends.object_store.hashing import TOGETHER, md5_of, md5s_of, with_md5
from longshore.storage.backends.object_store.profiles import Profile
from longshore.storage.backends.object_store.refusals import mismatch, replaced
from longshore.storage.backends.object_store.s3_answers import (
    METADATA_HEADER,
    md5_of_etag,
    page_of,
    parse,
    parts_of,
    refusal,
    stat_of_headers,
    uploads_of,
)
from longshore.storage.backends.object_store.s3_parts import PartSender
from longshore.storage.backends.object_store.s3_requests import Requests, checksum_headers
from longshore.storage.backends.object_store.signing import path_text

PAGE_KEYS: Final = 1000  # of a listing; no service gives more

COPY_PART_BYTES: Final = 512 * 1024 * 1024  # of an object too big for one copy request


CLASS_HEADER: Final = "x-amz-storage-class"
TAGS_HEADER: Final = "x-amz-tagging"
TAGS_DIRECTIVE: Final = "x-amz-tagging-directive"


class S3Client(ObjectClient):
    """One bucket. `new_object_headers` go with every new object: class, tags, encryption; `prefix`
    is where all keys begin that these credentials may be allowed to list."""

    def __init__(
        self,
        requests: Requests,
        bucket: str,
        profile: Profile,
        *,
        new_object_headers: Mapping[str, str],
        prefix: str = "",
    ) -> None:
        self.abilities = profile.abilities
        self._requests = requests
        self._parts = PartSender(requests)
        self._bucket = bucket
        self._checksum = profile.checksum
        self._new_object_headers = new_object_headers
        self._prefix = prefix and prefix + "/"

    def close(self) -> None:
        self._requests.close()

    def check(self, *, writable: bool) -> None:
        try:
            try:
                self._requests.read("HEAD", "", "look at bucket")
            except StorageUnavailable:
                raise
            except StorageError as error:
                if error.retry is not RetryClass.NEVER:
                    raise
                # Its answer has no body; that of a listing says why.
                self._requests.read(
                    "GET", "", "look at bucket", query=_listing(self._prefix, limit=1)
                )
        except StorageError as error:
            raise as_unavailable(error, self._bucket) from error

    # ------------------------------------------------------------------ whole objects

    def head(self, key: str) -> ObjectStat:
        return _stat(self._requests, key)

    def get_range(
        self, key: str, start: int, end: int, *, etag: str = "", room: bytearray | None = None
    ) -> Data:
        return ranges.get_range(key, start, end, etag, self._asking(key), room=room)

    def open_range(self, key: str, start: int, end: int, *, etag: str = "") -> RangeBody:
        return ranges.open_range(key, start, end, etag, self._asking(key))

    def get_first(self, key: str, limit: int) -> tuple[ObjectStat, Data]:
        return ranges.get_first(self, key, limit, self._asking(key), stat_of_headers)

    def put(self, key: str, data: Data, options: PutOptions = PLAIN) -> ObjectStat:
        md5 = md5_of(data)
        headers = self._put_headers(data, md5, options)
        answer, _ = self._create("PUT", key, "write", headers=headers, body=data)
        return _written(key, len(data), options, answer, md5, headers)

    def put_many(
        self, puts: Iterable[Put], width: int
    ) -> Iterator[tuple[Put, ObjectStat | StorageError]]:
        def asked() -> Iterator[Asked]:
            for put, md5 in with_md5(puts, lambda put: put.data):
                headers = self._put_headers(put.data, md5, put.options)
                yield Asked("PUT", "", headers, put.data, "write", put.key, (put, md5, headers))

        for each, result in self._requests.volley(asked(), width):
            put, md5, headers = cast("tuple[Put, bytes, Mapping[str, str]]", each.tag)
            if isinstance(result, StorageError):
                yield put, _refused_creation(result, "write", put.key, headers)
            else:
                yield put, _put_result(put, result.headers, md5, headers)

    def get_many(
        self, wanted: Iterable[Get], width: int
    ) -> Iterator[tuple[Get, tuple[ObjectStat, Data] | StorageError]]:
        asked = (
            Asked("GET", "", NO_PAIRS, b"", "read", each.key, each, each.size) for each in wanted
        )
        came: list[tuple[Get, ObjectStat, bytes]] = []  # and not compared yet
        for each, result in self._requests.volley(asked, width):
            get = cast("Get", each.tag)
            if isinstance(result, StorageError):
                yield get, result
                continue
            stat = stat_of_headers(get.key, result.headers, len(result.body))
            came.append((get, stat, result.body))
            if len(came) == TOGETHER:
                yield from _compared(came)
                came = []
        yield from _compared(came)

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
        source = path_text(f"/{source_bucket or self._bucket}/{source_key}")
        requests = self._requests.of_bucket(source_bucket) if source_bucket else self._requests
        found = _stat(requests, source_key)
        if source_etag and found.etag != source_etag:
            raise replaced("copy", source_key)
        kept = (found.metadata or {}) if metadata is None else metadata
        if found.size > self.abilities.copy_bytes_maximum:
            options = PutOptions(metadata=kept, only_if_absent=only_if_absent)
            return self._copy_in_parts(source, found, key, options)
        is_itself = source_key == key and not source_bucket
        headers = self._new_headers(PutOptions(metadata=kept, is_file=not is_itself)) | {
            **self._class_of_copy(found, is_itself=is_itself),
            "x-amz-copy-source": source,
            **_if_unchanged(found),
            "x-amz-metadata-directive": "REPLACE",
        }
        if only_if_absent:
            headers["if-none-match"] = "*"
        answer, body = self._create("PUT", key, "copy", headers=headers)
        root = parse(body, "copy", key)
        if root.tag == "Error":  # the status came before the store knew how it would end
            raise refusal(500, body, "copy", key)
        etag = (root.findtext("ETag") or "").strip('"')
        return ObjectStat(
            key=key,
            size=found.size,
            modified_ns=0,
            etag=etag,
            md5=md5_of_etag(etag, answer),
            metadata=kept,
        )

    def set_metadata(self, key: str, metadata: Mapping[str, str]) -> None:
        self.copy(key, key, metadata=metadata)

    def delete(self, key: str) -> None:
        self._requests.read("DELETE", key, "remove")

    def pages(
        self, prefix: str = "", *, delimiter: str = "", after: str = "", limit: int = 0
    ) -> Iterator[Page]:
        left = limit or PAGE_KEYS
        query = _listing(prefix, delimiter, after, left)
        while True:
            _, body = self._requests.read("GET", "", "list", query=query)
            page, more, token = page_of(parse(body, "list", prefix))
            yield page
            if limit:
                left -= len(page.objects) + len(page.prefixes)
            if not more or left <= 0:
                return
            if not token:
                raise _cut_listing(prefix)
            query = _listing(prefix, delimiter, after, left) | {"continuation-token": token}

    # ------------------------------------------------------------------ uploads in parts

    def begin_upload(self, key: str, options: PutOptions = PLAIN) -> Upload:
        headers = self._new_headers(options)
        _, body = self._requests.read(
            "POST", key, "begin upload of", query={"uploads": ""}, headers=headers
        )
        upload_id = parse(body, "begin upload of", key).findtext("UploadId")
        if not upload_id:
            raise unreadable("begin upload of", key, ValueError("it names no upload"))
        return Upload(key, upload_id)

    def put_part(self, upload: Upload, number: int, data: Data, *, md5: bytes = b"") -> Part:
        return self._parts.send(upload, number, data, md5 or md5_of(data))

    def list_parts(self, upload: Upload) -> list[Part]:
        parts: list[Part] = []
        marker = ""
        while True:
            query = {"uploadId": upload.id, "max-parts": str(PAGE_KEYS)}
            if marker:
                query["part-number-marker"] = marker
            _, body = self._requests.read("GET", upload.key, "list parts of", query=query)
            more, marker = parts_of(parse(body, "list parts of", upload.key))
            parts += more
            if not marker:
                return parts

    def complete_upload(
        self, upload: Upload, parts: list[Part], options: PutOptions = PLAIN
    ) -> ObjectStat:
        document = ET.Element("CompleteMultipartUpload")
        for part in parts:
            element = ET.SubElement(document, "Part")
            ET.SubElement(element, "PartNumber").text = str(part.number)
            ET.SubElement(element, "ETag").text = f'"{part.reference}"'
        headers = {"if-none-match": "*"} if options.only_if_absent else {}
        _, body = self._create(
            "POST",
            upload.key,
            "complete",
            query={"uploadId": upload.id},
            headers={**headers, "content-type": "application/xml"},
            body=ET.tostring(document),
        )
        root = parse(body, "complete", upload.key)
        if root.tag == "Error":  # the status came before the store knew how it would end
            raise refusal(500, body, "complete", upload.key)
        size = sum(part.size for part in parts)
        etag = (root.findtext("ETag") or "").strip('"')
        return ObjectStat(
            key=upload.key, size=size, modified_ns=0, etag=etag, metadata=options.metadata
        )

    def abort_upload(self, upload: Upload) -> None:
        try:
            self._requests.read("DELETE", upload.key, "abort", query={"uploadId": upload.id})
        except StorageError as error:
            if error.kind is not ErrorKind.NOT_FOUND or isinstance(error, StorageUnavailable):
                raise

    def list_uploads(self, prefix: str = "") -> Iterator[Upload]:
        query = {"uploads": "", "prefix": prefix, "encoding-type": "url"}
        while True:
            _, body = self._requests.read("GET", "", "list uploads", query=query)
            uploads, (key, upload_id) = uploads_of(parse(body, "list uploads", prefix))
            yield from uploads
            if not key:
                return
            query |= {"key-marker": key, "upload-id-marker": upload_id}

    # Inside

    def _create(
        self,
        method: str,
        key: str,
        deed: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str],
        body: Data = b"",
    ) -> tuple[Mapping[str, str], bytes]:
        """A request that makes an object; the condition that it is new is its only one."""
        try:
            return self._requests.read(
                method, key, deed, query=query or {}, headers=headers, body=body
            )
        except StorageError as error:
            refused = _refused_creation(error, deed, key, headers)
            if refused is error:
                raise
            raise refused from error

    def _asking(self, key: str) -> ranges.Ask:
        return lambda headers: self._requests.send("GET", key, "read", headers=headers)

    def _put_headers(self, data: Data, md5: bytes, options: PutOptions) -> Mapping[str, str]:
        """Everything that is said of a new object."""
        headers = self._new_headers(options) | checksum_headers(self._checksum, data)
        headers["content-md5"] = base64_text(md5)
        if options.only_if_absent:
            headers["if-none-match"] = "*"
        return headers

    def _new_headers(self, options: PutOptions) -> dict[str, str]:
        named = {METADATA_HEADER + name: value for name, value in options.metadata.items()}
        headers = {**self._new_object_headers, **named}
        if not options.is_file:
            headers.pop(CLASS_HEADER, None)
        return headers

    def _class_of_copy(self, found: ObjectStat, *, is_itself: bool) -> dict[str, str]:
        """Tags travel with a copy by themselves; the storage class does not, not even in place."""
        headers = {TAGS_DIRECTIVE: "REPLACE"} if TAGS_HEADER in self._new_object_headers else {}
        if not is_itself:
            return headers
        # An object that tells no class is in the usual one, and stays there.
        headers = {TAGS_DIRECTIVE: "COPY"} if headers else {}
        return headers | ({CLASS_HEADER: found.storage_class} if found.storage_class else {})

    def _copy_in_parts(
        self, source: str, found: ObjectStat, key: str, options: PutOptions
    ) -> ObjectStat:
        upload = self.begin_upload(key, options)
        try:
            step = max(COPY_PART_BYTES, -(-found.size // self.abilities.parts_maximum))
            parts = [
                self._copy_part(source, found, upload, number, start, min(start + step, found.size))
                for number, start in enumerate(range(0, found.size, step), start=1)
            ]
            return self.complete_upload(upload, parts, options)
        except BaseException:
            self.abort_upload(upload)
            raise

    def _copy_part(
        self, source: str, found: ObjectStat, upload: Upload, number: int, start: int, end: int
    ) -> Part:
        headers = {
            "x-amz-copy-source": source,
            **_if_unchanged(found),
            "x-amz-copy-source-range": f"bytes={start}-{end - 1}",
        }
        query = {"partNumber": str(number), "uploadId": upload.id}
        _, body = self._requests.read("PUT", upload.key, "copy", query=query, headers=headers)
        root = parse(body, "copy", upload.key)
        if root.tag == "Error":  # as with whole copies
            raise refusal(500, body, "copy", upload.key)
        return Part(number, end - start, (root.findtext("ETag") or "").strip('"'))


def _compared(
    came: list[tuple[Get, ObjectStat, bytes]],
) -> Iterator[tuple[Get, tuple[ObjectStat, Data] | StorageError]]:
    """Each object, if its content has the MD5 that the store tells of it."""
    md5s = iter(md5s_of([content for _, stat, content in came if stat.md5]))
    for get, stat, content in came:
        is_right = not stat.md5 or next(md5s) == stat.md5
        yield get, (stat, content) if is_right else mismatch("read", get.key)


def _stat(requests: Requests, key: str) -> ObjectStat:
    headers, _ = requests.read("HEAD", key, "look at")
    return stat_of_headers(key, headers, length_in(headers, "look at", key))


def _cut_listing(prefix: str) -> StorageError:
    """The error for a store that knows the older form of listings only: what is behind the first
    page must not pass for not being there."""
    cause = "the listing breaks off without saying how it goes on (ListObjectsV2 is needed)"
    return StorageError(ErrorKind.UNSUPPORTED, RetryClass.NEVER, "list", prefix.encode(), cause)


def _refused_creation(
    error: StorageError, deed: str, key: str, headers: Mapping[str, str]
) -> StorageError:
    """The error of a request that makes an object."""
    if error.kind is not ErrorKind.STALE or "if-none-match" not in headers:
        return error
    return StorageError(ErrorKind.EXISTS, RetryClass.NEVER, deed, key.encode(), "it exists")


def _put_result(
    put: Put, answer: Mapping[str, str], md5: bytes, sent: Mapping[str, str]
) -> ObjectStat | StorageError:
    try:
        return _written(put.key, len(put.data), put.options, answer, md5, sent)
    except StorageError as error:
        return error


def _written(
    key: str,
    size: int,
    options: PutOptions,
    answer: Mapping[str, str],
    md5: bytes,
    sent: Mapping[str, str],
) -> ObjectStat:
    """The object that the store says it has got. Raises kind `checksum_mismatch`."""
    _confirm(answer, md5, sent, "write", key)
    etag = answer.get("etag", "").strip('"')
    return ObjectStat(
        key=key, size=size, modified_ns=0, etag=etag, md5=md5, metadata=options.metadata
    )


def _if_unchanged(source: ObjectStat) -> dict[str, str]:
    """The condition that the source of a copy is still what it was.

    Not for objects of uploads in parts: Swift compares their etags with another one.
    """
    return {} if "-" in source.etag else {"x-amz-copy-source-if-match": f'"{source.etag}"'}


def _listing(
    prefix: str = "", delimiter: str = "", after: str = "", limit: int = PAGE_KEYS
) -> dict[str, str]:
    query = {
        "list-type": "2",
        "encoding-type": "url",
        "prefix": prefix,
        "max-keys": str(min(limit, PAGE_KEYS)),
    }
    if delimiter:
        query["delimiter"] = delimiter
    if after:
        query["start-after"] = after
    return query


def _confirm(
    answer: Mapping[str, str], md5: bytes, sent: Mapping[str, str], deed: str, key: str
) -> None:
    """Compare what the store says it has got. Raises kind `checksum_mismatch`."""
    found = md5_of_etag(answer.get("etag", "").strip('"'), answer)
    named = [name for name in sent if name.startswith("x-amz-checksum-")]
    if (found and found != md5) or any(answer.get(n, sent[n]) != sent[n] for n in named):
        raise mismatch(deed, key)
