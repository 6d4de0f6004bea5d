"""A process dies in the middle of an upload in parts: nothing is sent twice, nothing is left."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from longshore.bootstrap import open_storage
from longshore.domain.storage import StorageAddress, StorageKind, StorageReference
from longshore.storage.handler import Intent, Metadata, StorageHandler
from tests.clouds import INTERFACES
from tests.object_servers.buckets import new_bucket
from tests.object_servers.contents import MARKER, Contents, contents_of
from tests.object_servers.forwarding import Forwarding, forwarding
from tests.object_servers.processes import ObjectServer

MEBIBYTE = 1 << 20
PART = 8 * MEBIBYTE  # what multipart.part_bytes gives for such a size
SIZE = 4 * PART + 1000
SENT = 2 * PART
NAME = b".longshore-crash"
INTENT = Intent(b"big", Metadata(mode=0o640, mtime_ns=10**18))
CONTENT = random.Random(7).randbytes(SIZE)
SECONDS = 60.0

CHILD = """
import json, sys
from tests.faults.test_killed_uploads import CONTENT, INTENT, MEBIBYTE, NAME, SENT, SIZE, opened
storage = opened(sys.argv[1], json.loads(sys.argv[2]))
with storage.open_folder(b"folder", create=True) as folder:
    staged = folder.stage(NAME, size=SIZE, intent=INTENT)
    print(staged.token().decode(), flush=True)
    staged.write(memoryview(CONTENT)[:SENT], 0)
    staged.close()
    staged.write(memoryview(CONTENT)[SENT:SENT + MEBIBYTE], SENT)
    print("half a part more is in memory", flush=True)
    sys.stdin.read()
"""


PARTS = {
    "s3": ("PUT", "partNumber="),
    "azure": ("PUT", "comp=block&"),
    "gcs": ("POST", "/upload/"),  # any object; which one stands in the body
    "swift": ("PUT", "_segments/parts/"),
}
"""The requests that send a part."""

OPTIONS = {
    "s3": {"folder_marker": MARKER},
    "azure": {},
    "gcs": {"conditional_create": "0", "requests_maximum": "4"},
    "swift": {},
}


def opened(api: str, settings: dict[str, str]) -> StorageHandler:
    reference = StorageReference(StorageKind.CLOUD_BUCKET, 1)
    return open_storage(StorageAddress(reference, api, settings))


@dataclass(frozen=True)
class Place:
    """A bucket, and how it is reached."""

    api: str
    settings: dict[str, str]
    contents: Contents

    def open(self, **more: str) -> StorageHandler:
        return opened(self.api, {**self.settings, **more})


@pytest.fixture(params=["moto", "rclone", "ceph", "azurite", "gcs", "swift"])
def place(request: pytest.FixtureRequest, object_server: Callable[[str], ObjectServer]) -> Place:
    server = object_server(request.param)
    api = INTERFACES.get(server.name, "s3")
    bucket = new_bucket(server, api)
    settings = server.settings(api, bucket, **OPTIONS[api])
    return Place(api, settings, contents_of(api, settings, bucket))


@pytest.fixture
def proxy() -> Iterator[Forwarding]:
    with forwarding() as proxy:
        yield proxy


def killed_in_the_middle(place: Place) -> bytes:
    """The token of an upload whose process was killed when two parts of five were sent."""
    child = subprocess.Popen(
        (sys.executable, "-c", CHILD, place.api, json.dumps(place.settings)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    try:
        token = child.stdout.readline()
        assert "half" in child.stdout.readline()
    finally:
        child.kill()
        child.communicate(timeout=SECONDS)
    return token.strip().encode()


@pytest.mark.parametrize("with_token", [True, False])
def test_only_missing_parts_are_sent_after_a_crash(
    place: Place, proxy: Forwarding, with_token: bool
) -> None:
    token = killed_in_the_middle(place)
    with place.open(proxy=proxy.address) as storage, storage.open_folder(b"folder") as folder:
        assert folder.staged_names() == [NAME]
        with folder.stage(
            NAME, size=SIZE, resume=True, intent=INTENT, token=token if with_token else b""
        ) as staged:
            assert staged.size() == SENT
            # The journal may know of less than the store has.
            staged.write(memoryview(CONTENT), 0)
            assert staged.set_metadata(INTENT.metadata) == ()
            staged.commit(INTENT.name, replace=False)
        assert folder.staged_names() == []
        assert folder.stat(b"big").size == SIZE
    assert proxy.count(*PARTS[place.api]) == 3
    assert place.contents.get("folder/big") == CONTENT
    assert place.contents.metadata("folder/big")["mode"] == "100640"
    assert place.contents.unfinished() == []


@pytest.mark.parametrize("place", ["moto", "azurite"], indirect=True)
def test_parts_of_another_state_of_the_file_are_not_taken(place: Place) -> None:
    killed_in_the_middle(place)
    changed = Intent(INTENT.name, Metadata(mode=0o640, mtime_ns=10**18 + 1))
    with place.open() as storage, storage.open_folder(b"folder") as folder:
        with folder.stage(NAME, size=SIZE, resume=True, intent=changed) as staged:
            assert staged.size() == 0
            staged.abort()
        assert folder.staged_names() == []
    if place.api != "azure":  # where blocks go by themselves
        assert place.contents.unfinished() == []


def test_an_abandoned_upload_is_found_and_aborted(place: Place) -> None:
    killed_in_the_middle(place)
    assert place.contents.uploads() != []
    with place.open() as storage, storage.open_folder(b"folder") as folder:
        for name in folder.staged_names():
            folder.remove(name)
        assert folder.staged_names() == []
        assert list(folder.entries()) == []
    if place.api != "azure":
        assert place.contents.unfinished() == []


@pytest.mark.parametrize("place", ["moto"], indirect=True)
def test_a_proxy_gets_its_login(place: Place, proxy: Forwarding) -> None:
    address = proxy.address.replace("http://", "http://me:p%40ss@")
    with place.open(proxy=address) as storage:
        storage.check(writable=True)
    assert proxy.logins == {"Basic bWU6cEBzcw=="}
    assert proxy.requests
