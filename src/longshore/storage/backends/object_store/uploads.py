"""Uploads in parts that are not finished, by the names of the staged files that they are.

For each there is a small object under the temporary name that says which upload it is: so whoever
comes later, another mover or one after a crash, goes on with it or takes it away, with any
provider. It is written right after the upload has begun and removed when that has ended. A crash
between the two leaves an upload without any part, which costs nothing; providers remove such after
days, if the bucket has a rule for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from longshore.domain.errors import ErrorKind, StorageError, StorageUnavailable
from longshore.storage.backends.object_store.client import PutOptions, Upload
from longshore.storage.backends.object_store.exchange import NO_DOCUMENT
from longshore.storage.backends.object_store.keys import SEPARATOR, name_of
from longshore.storage.backends.object_store.store import Store
from longshore.storage.handler import TEMPORARY_PREFIX

_MARK = "longshore-upload"  # in the metadata of such an object
_BYTES_MAXIMUM = 64 * 1024  # of one; ids of uploads are below 2 KiB, metadata too


class Begun(msgspec.Struct, frozen=True, array_like=True):
    """An upload for a staged file: all that is needed to go on with it."""

    key: str
    id: str
    metadata: dict[str, str]
    is_final: bool  # whether the key is that of the published file, not that of the staged one
    size: int = 0  # of the file; 0 where an earlier version has begun it


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Begun)


def token_of(begun: Begun) -> bytes:
    """What the journal keeps of the upload."""
    return _encoder.encode(begun)


def begun_of(token: bytes) -> Begun | None:
    """The upload that the journal has kept."""
    try:
        return _decoder.decode(token) if token else None
    except NO_DOCUMENT:
        return None


def begin(
    store: Store, begun_key: str, staged_key: str, metadata: dict[str, str], size: int
) -> Begun:
    """Begin an upload to the key, and note it under the key of the staged file."""
    is_final = begun_key != staged_key
    # What is put together under the key of the staged file is copied then, so it has to be at hand.
    options = PutOptions(metadata=metadata, is_file=is_final)
    upload = store.client.begin_upload(begun_key, options)
    begun = Begun(begun_key, upload.id, metadata, is_final, size)
    try:
        store.client.put(
            staged_key, token_of(begun), PutOptions(metadata={_MARK: "1"}, is_file=False)
        )
    except BaseException:
        store.client.abort_upload(upload)
        raise
    return begun


def are_same(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether these are metadata of one state of a file.

    Reading the file may have changed when it was read last, and a further name when it was changed.
    """
    unimportant = {"atime": "", "ctime": ""}
    return {**one, **unimportant} == {**other, **unimportant}


def find(store: Store, staged_key: str) -> Begun | None:
    """The upload that is noted under the key; None if there is none."""
    try:
        stat, data = store.client.get_first(staged_key, _BYTES_MAXIMUM)
    except StorageUnavailable:
        raise
    except StorageError as error:
        if error.kind is ErrorKind.NOT_FOUND:
            return None
        raise
    return begun_of(bytes(data)) if _MARK in (stat.metadata or {}) else None


def drop(store: Store, staged_key: str) -> bool:
    """Abort what is noted under the key and remove whatever lies there; whether anything did."""
    if store.look(staged_key) is None:
        return False
    begun = find(store, staged_key)
    if begun is not None:
        store.client.abort_upload(Upload(begun.key, begun.id))
    store.discard(staged_key)
    return True


def forget(store: Store, staged_key: str, begun: Begun) -> None:
    """Remove what a crash has left of an upload that is gone, unless it is of another one."""
    noted = find(store, staged_key)
    if noted is None or noted.id == begun.id:
        store.discard(staged_key)


def staged_names(store: Store, folder_key: str) -> Iterator[bytes]:
    """The temporary names of staged files that the bucket holds in a folder."""
    prefix = folder_key + TEMPORARY_PREFIX.decode()
    hidden = store.marker_key(folder_key)
    for page in store.client.pages(prefix, delimiter=SEPARATOR):
        for stat in page.objects:
            if stat.key != hidden:
                yield name_of(stat.key[len(folder_key) :], store.abilities.key_rules)
