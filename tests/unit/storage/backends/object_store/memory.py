"""A bucket in memory: a real client of the protocol, with tiny pages and late listings."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Iterator, Mapping

import msgspec

from longshore.domain.errors import ErrorKind, RetryClass, StorageError
from longshore.domain.storage import StorageKind, StorageReference
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
from longshore.storage.backends.object_store.storage import ObjectStorage, open_object_storage


class Kept(msgspec.Struct):
    stat: ObjectStat
    data: bytes


class MemoryClient(ObjectClient):
    """`requests` names what was asked for; keys of `unlisted` are missing from listings."""

    def __init__(self, *, page_keys: int = 1000, abilities: Abilities | None = None) -> None:
        self.abilities = abilities or Abilities(conditional_create=True)
        self.kept: dict[str, Kept] = {}
        self.uploads: dict[str, tuple[Upload, PutOptions, dict[int, bytes]]] = {}
        self.requests: list[str] = []
        self.unlisted: set[str] = set()
        self._page_keys = page_keys
        self._lock = threading.Lock()
        self._now_ns = 0

    def close(self) -> None:
        return

    def check(self, *, writable: bool) -> None:
        return

    def head(self, key: str) -> ObjectStat:
        self.requests.append(f"head {key}")
        return self._find(key).stat

    def get_range(
        self, key: str, start: int, end: int, *, etag: str = "", room: bytearray | None = None
    ) -> Data:
        self.requests.append(f"get {key} {start}-{end}")
        kept = self._find(key)
        if etag and kept.stat.etag != etag:
            raise StorageError(ErrorKind.STALE, RetryClass.NOW, "read", key.encode(), "replaced")
        assert start < end <= kept.stat.size
        return kept.data[start:end]

    def get_first(self, key: str, limit: int) -> tuple[ObjectStat, Data]:
        self.requests.append(f"first {key}")
        kept = self._find(key)
        return kept.stat, kept.data[:limit]

    def put(self, key: str, data: Data, options: PutOptions = PLAIN) -> ObjectStat:
        self.requests.append(f"put {key}")
        return self._keep(key, bytes(data), options)

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
        self.requests.append(f"copy {source_key} {key}")
        kept = self._find(source_key)
        named = kept.stat.metadata or {} if metadata is None else metadata
        options = PutOptions(metadata=named, only_if_absent=only_if_absent)
        return self._keep(key, kept.data, options)

    def set_metadata(self, key: str, metadata: Mapping[str, str]) -> None:
        self.copy(key, key, metadata=metadata)

    def delete(self, key: str) -> None:
        self.requests.append(f"delete {key}")
        self.kept.pop(key, None)

    def pages(
        self, prefix: str = "", *, delimiter: str = "", after: str = "", limit: int = 0
    ) -> Iterator[Page]:
        found: list[tuple[str, ObjectStat | None]] = []
        for key in sorted(set(self.kept) - self.unlisted):
            if not key.startswith(prefix) or key <= after:
                continue
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            if end < 0:
                found.append((key, self.kept[key].stat))
            elif not found or found[-1] != (key[: end + 1], None):
                found.append((key[: end + 1], None))
        found = found[:limit] if limit else found
        for start in range(0, max(len(found), 1), self._page_keys):
            self.requests.append(f"list {prefix}")
            part = found[start : start + self._page_keys]
            yield Page(
                [msgspec.structs.replace(stat, metadata=None) for _, stat in part if stat],
                [name for name, stat in part if stat is None],
            )

    def begin_upload(self, key: str, options: PutOptions = PLAIN) -> Upload:
        self.requests.append(f"begin {key}")
        upload = Upload(key, f"upload {len(self.requests)}")
        self.uploads[upload.id] = (upload, options, {})
        return upload

    def put_part(self, upload: Upload, number: int, data: Data, *, md5: bytes = b"") -> Part:
        assert md5 in {b"", hashlib.md5(data).digest()}
        self.requests.append(f"part {number}")
        self._upload(upload)[2][number] = bytes(data)
        return _part(number, bytes(data))

    def list_parts(self, upload: Upload) -> list[Part]:
        self.requests.append("parts")
        return [_part(number, data) for number, data in sorted(self._upload(upload)[2].items())]

    def complete_upload(
        self, upload: Upload, parts: list[Part], options: PutOptions = PLAIN
    ) -> ObjectStat:
        self.requests.append("complete")
        _, begun, sent = self._upload(upload)
        content = b"".join(sent[part.number] for part in parts)
        named = PutOptions(metadata=begun.metadata, only_if_absent=options.only_if_absent)
        stat = msgspec.structs.replace(self._keep(upload.key, content, named), md5=b"")
        self.kept[upload.key].stat = stat
        del self.uploads[upload.id]
        return stat

    def abort_upload(self, upload: Upload) -> None:
        self.requests.append("abort")
        self.uploads.pop(upload.id, None)

    def list_uploads(self, prefix: str = "") -> Iterator[Upload]:
        yield from (each for each, _, _ in self.uploads.values() if each.key.startswith(prefix))

    def _find(self, key: str) -> Kept:
        try:
            return self.kept[key]
        except KeyError:
            raise _missing(key) from None

    def _upload(self, upload: Upload) -> tuple[Upload, PutOptions, dict[int, bytes]]:
        try:
            return self.uploads[upload.id]
        except KeyError:
            raise _missing(upload.key) from None

    def _keep(self, key: str, data: bytes, options: PutOptions) -> ObjectStat:
        with self._lock:
            if options.only_if_absent and key in self.kept:
                raise StorageError(ErrorKind.EXISTS, RetryClass.NEVER, "write", key.encode(), "")
            self._now_ns += 1_000_000_000
            stat = ObjectStat(
                key=key,
                size=len(data),
                modified_ns=self._now_ns,
                etag=hashlib.md5(data).hexdigest(),
                md5=hashlib.md5(data).digest(),
                metadata=dict(options.metadata),
            )
            self.kept[key] = Kept(stat, data)
            return stat


def open_memory(client: MemoryClient, **settings: str) -> ObjectStorage:
    """A storage in the bucket; its pauses are none."""
    return open_object_storage(
        StorageReference(StorageKind.CLOUD_BUCKET, 1),
        client,
        settings,
        sleep=lambda _: None,
        chance=random.Random(1),
    )


def _part(number: int, data: bytes) -> Part:
    digest = hashlib.md5(data).digest()
    return Part(number, len(data), digest.hex(), digest)


def _missing(key: str) -> StorageError:
    return StorageError(ErrorKind.NOT_FOUND, RetryClass.NEVER, "look at", key.encode(), "")
