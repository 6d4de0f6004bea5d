"""A process dies in the middle of an upload in parts: nothing is sent twice, nothing is left."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from longshore.bootstrap import open_storage
from longshore.domain.storage import StorageAddress, StorageKind, StorageReference
from longshore.storage.handler import Intent, Metadata, StorageHandler
from tests.object_servers.buckets import new_bucket, s3_session
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
storage = opened(json.loads(sys.argv[1]))
with storage.open_folder(b"folder", create=True) as folder:
    staged = folder.stage(NAME, size=SIZE, intent=INTENT)
    print(staged.token().decode(), flush=True)
    staged.write(memoryview(CONTENT)[:SENT], 0)
    staged.close()
    staged.write(memoryview(CONTENT)[SENT:SENT + MEBIBYTE], SENT)
    print("half a part more is in memory", flush=True)
    sys.stdin.read()
"""


def opened(settings: dict[str, str]) -> StorageHandler:
    reference = StorageReference(StorageKind.CLOUD_BUCKET, 1)
    return open_storage(StorageAddress(reference, "s3", settings))


@pytest.fixture(params=["moto", "rclone", "ceph"])
def server(
    request: pytest.FixtureRequest, object_server: Callable[[str], ObjectServer]
) -> ObjectServer:
    return object_server(request.param)


@pytest.fixture
def settings(server: ObjectServer) -> dict[str, str]:
    bucket = new_bucket(server, "s3")
    return server.settings("s3", bucket, folder_marker=".longshore-folder")


@pytest.fixture
def proxy() -> Iterator[Forwarding]:
    with forwarding() as proxy:
        yield proxy


def killed_in_the_middle(settings: dict[str, str]) -> bytes:
    """The token of an upload whose process was killed when two parts of five were sent."""
    child = subprocess.Popen(
        (sys.executable, "-c", CHILD, json.dumps(settings)),
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


def uploads_at(server: ObjectServer, settings: dict[str, str]) -> list[str]:
    answer = s3_session(server.apis["s3"]).list_multipart_uploads(Bucket=settings["bucket"])
    return [upload["Key"] for upload in answer.get("Uploads", [])]


@pytest.mark.parametrize("with_token", [True, False])
def test_only_missing_parts_are_sent_after_a_crash(
    settings: dict[str, str], proxy: Forwarding, server: ObjectServer, with_token: bool
) -> None:
    token = killed_in_the_middle(settings)
    again = {**settings, "proxy": proxy.address}
    with opened(again) as storage, storage.open_folder(b"folder") as folder:
        assert folder.staged_names() == [NAME]
        with folder.stage(
            NAME, size=SIZE, resume=True, intent=INTENT, token=token if with_token else b""
        ) as staged:
            assert staged.size() == SENT
            # The journal may know of less than the store has.
            staged.write(memoryview(CONTENT)[PART:], PART)
            assert staged.set_metadata(INTENT.metadata) == ()
            staged.commit(INTENT.name, replace=False)
        assert folder.staged_names() == []
        assert folder.stat(b"big").size == SIZE
    assert proxy.count("PUT", "partNumber=") == 3
    assert proxy.count("PUT", "partNumber=1&") == proxy.count("PUT", "partNumber=2&") == 0
    body = s3_session(server.apis["s3"]).get_object(Bucket=settings["bucket"], Key="folder/big")
    assert body["Body"].read() == CONTENT
    assert {name.lower(): value for name, value in body["Metadata"].items()}["mode"] == "100640"
    assert uploads_at(server, settings) == []


def test_an_abandoned_upload_is_found_and_aborted(
    settings: dict[str, str], server: ObjectServer
) -> None:
    killed_in_the_middle(settings)
    assert uploads_at(server, settings) == ["folder/big"]
    with opened(settings) as storage, storage.open_folder(b"folder") as folder:
        for name in folder.staged_names():
            folder.remove(name)
        assert folder.staged_names() == []
        assert list(folder.entries()) == []
    assert uploads_at(server, settings) == []


def test_a_proxy_gets_its_login(settings: dict[str, str], proxy: Forwarding) -> None:
    address = proxy.address.replace("http://", "http://me:p%40ss@")
    with opened({**settings, "proxy": address}) as storage:
        storage.check(writable=True)
    assert proxy.logins == {"Basic bWU6cEBzcw=="}
    assert proxy.requests
