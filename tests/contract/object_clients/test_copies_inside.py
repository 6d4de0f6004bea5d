"""Copies that a store makes from one of its buckets to another, confirmed without being read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from longshore.bootstrap import open_storage
from longshore.domain.errors import ErrorKind, StorageError
from longshore.domain.storage import StorageAddress, StorageKind, StorageReference
from longshore.storage.handler import CopyInside, Folder, Metadata
from tests.clouds import INTERFACES
from tests.contract.object_clients.conftest import CLIENTS
from tests.object_servers.buckets import new_bucket
from tests.object_servers.contents import Contents, contents_of
from tests.object_servers.forwarding import Forwarding, forwarding
from tests.object_servers.processes import ObjectServer

TEMPORARY = b".longshore-copy"
CONTENT = os.urandom(2 * 1024 * 1024)
OPTIONS = {server: options for server, _, options in CLIENTS.values()}


@dataclass(frozen=True)
class Pair:
    """The roots of two buckets, the source's with a file `film`, and what has been asked for."""

    source: Folder
    target: Folder
    seen: Contents  # the target
    proxy: Forwarding

    def stage(self) -> CopyInside:
        inside = self.target.stage_copy(TEMPORARY, self.source, self.source.stat(b"film"))
        assert inside is not None
        return inside

    def write(self, content: bytes) -> None:
        with self.source.stage(TEMPORARY, size=len(content)) as staged:
            staged.write(memoryview(content), 0)
            staged.set_metadata(Metadata(mode=0o640, mtime_ns=10**18))
            staged.commit(b"film", replace=True)


@pytest.fixture(params=["moto", "ceph", "azurite", "gcs", "swift"])
def pair(
    request: pytest.FixtureRequest, object_server: Callable[[str], ObjectServer]
) -> Iterator[Pair]:
    server = object_server(request.param)
    api = INTERFACES.get(server.name, "s3")
    buckets = [new_bucket(server, api) for _ in range(2)]
    with forwarding() as proxy:
        storages = [
            open_storage(
                StorageAddress(
                    StorageReference(StorageKind.CLOUD_BUCKET, number),
                    api,
                    server.settings(
                        api, bucket, proxy=proxy.address, **OPTIONS.get(server.name, {})
                    ),
                )
            )
            for number, bucket in enumerate(buckets)
        ]
        one, other = (storage.open_folder(b"") for storage in storages)
        made = Pair(one, other, contents_of(api, server.apis[api], buckets[1]), proxy)
        made.write(CONTENT)
        yield made
        for storage in storages:
            storage.close()


def test_a_copy_inside_is_the_file_and_no_byte_of_it_travels(pair: Pair) -> None:
    inside = pair.stage()
    pair.proxy.bytes_passed = 0
    assert inside.file.set_metadata(Metadata(mode=0o600, mtime_ns=5)) == ()
    assert pair.target.staged_names() == [TEMPORARY]
    assert list(pair.target.entries()) == []
    inside.file.commit(b"copy", replace=False)
    assert pair.proxy.bytes_passed < len(CONTENT) // 10
    assert pair.seen.get("copy") == CONTENT
    assert pair.seen.metadata("copy")["mode"] == "100600"
    assert pair.target.stat(b"copy").mtime_ns == 5
    assert pair.target.staged_names() == []


def test_a_source_that_was_replaced_is_not_copied(pair: Pair) -> None:
    inside = pair.stage()
    pair.write(CONTENT[::-1])
    with pytest.raises(StorageError) as caught:
        inside.file.commit(b"copy", replace=False)
    assert caught.value.kind is ErrorKind.STALE
    assert pair.seen.keys() == []


def test_a_copy_inside_replaces_only_when_it_may(pair: Pair) -> None:
    pair.seen.put("copy", b"of somebody else")
    inside = pair.stage()
    with pytest.raises(StorageError) as caught:
        inside.file.commit(b"copy", replace=False)
    assert caught.value.kind is ErrorKind.EXISTS
    assert pair.seen.get("copy") == b"of somebody else"
    inside.file.commit(b"copy", replace=True)
    assert pair.seen.get("copy") == CONTENT


def test_small_files_and_folders_of_others_are_not_copied_inside(pair: Pair) -> None:
    pair.write(b"small")
    found = pair.source.stat(b"film")
    assert pair.target.stage_copy(TEMPORARY, pair.source, found) is None
