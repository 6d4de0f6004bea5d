"""The storage class and the tags of new objects, on servers that keep them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib import import_module

import pytest
from azure.storage.blob import ContainerClient

from longshore.bootstrap import open_storage
from longshore.domain.storage import StorageAddress, StorageKind, StorageReference
from longshore.storage.backends.object_store import azure
from longshore.storage.backends.object_store.multipart import PART_BYTES
from longshore.storage.handler import Intent, Metadata, StorageHandler
from tests.clouds import INTERFACES
from tests.object_servers.buckets import new_bucket, s3_session
from tests.object_servers.contents import Contents, contents_of
from tests.object_servers.processes import ObjectServer

BACKENDS = "longshore.storage.backends.object_store"
TEMPORARY = b".longshore-class"
BIG = os.urandom(2 * PART_BYTES + 1)


@pytest.mark.parametrize(("at", "wanted"), [("moto", "STANDARD_IA"), ("azurite", "Cool")])
def test_every_new_object_gets_the_storage_class(
    object_server: Callable[[str], ObjectServer], at: str, wanted: str
) -> None:
    server = object_server(at)
    api = INTERFACES.get(at, "s3")
    bucket = new_bucket(server, api)
    settings = server.settings(api, bucket, storage_class=wanted)
    client = import_module(f"{BACKENDS}.{api}").open_client(settings)
    client.put("small", b"content")
    client.copy("small", "copy")
    upload = client.begin_upload("big")
    client.complete_upload(upload, [client.put_part(upload, 1, b"content")])
    client.set_metadata("small", {"mode": "100600"})
    client.close()
    seen = contents_of(api, server.apis[api], bucket)
    assert [seen.metadata(key)[":class"] for key in ("small", "copy", "big")] == [wanted] * 3


def test_every_new_object_gets_the_tags(object_server: Callable[[str], ObjectServer]) -> None:
    server = object_server("moto")
    bucket = new_bucket(server, "s3")
    settings = server.settings("s3", bucket, tags="project=7&kind=raw")
    client = import_module(f"{BACKENDS}.s3").open_client(settings)
    client.put("small", b"content")
    upload = client.begin_upload("big")
    client.complete_upload(upload, [client.put_part(upload, 1, b"content")])
    client.set_metadata("small", {"mode": "100600"})
    client.close()
    session = s3_session(server.apis["s3"])
    for key in ("small", "big"):
        found = session.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
        assert {each["Key"]: each["Value"] for each in found} == {"project": "7", "kind": "raw"}


def test_every_new_blob_gets_the_tags(object_server: Callable[[str], ObjectServer]) -> None:
    server = object_server("azurite")
    bucket = new_bucket(server, "azure")
    settings = server.settings("azure", bucket, tags="project=7&kind=raw%20")
    client = azure.open_client(settings)
    client.put("small", b"content")
    client.copy("small", "copy")
    upload = client.begin_upload("big")
    client.complete_upload(upload, [client.put_part(upload, 1, b"content")])
    client.set_metadata("small", {"mode": "100600"})
    client.close()
    seen = server.apis["azure"]
    with ContainerClient(seen["endpoint"], bucket, credential=seen["secret_key"]) as container:
        for key in ("small", "copy", "big"):
            found = container.get_blob_client(key).get_blob_tags()
            assert found == {"project": "7", "kind": "raw "}


@pytest.mark.parametrize("api", ["s3", "azure"])
@pytest.mark.parametrize("name", ["tags", "storage_class"])
def test_no_option_brings_a_header_of_its_own(api: str, name: str) -> None:
    settings = {"endpoint": "http://127.0.0.1:1/x", "bucket": "b", name: "a\r\nx-evil: 1"}
    with pytest.raises(ValueError, match=f"{name} has to be printable"):
        import_module(f"{BACKENDS}.{api}").open_client(settings)


@pytest.fixture(params=[("moto", "GLACIER"), ("azurite", "Archive")], ids=["moto", "azurite"])
def archive(
    request: pytest.FixtureRequest, object_server: Callable[[str], ObjectServer]
) -> Iterator[tuple[StorageHandler, Contents, str]]:
    """A bucket whose files cannot be read again just so, what lies in it, and their class."""
    at, storage_class = request.param
    server = object_server(at)
    api = INTERFACES.get(at, "s3")
    bucket = new_bucket(server, api)
    settings = server.settings(api, bucket, storage_class=storage_class)
    reference = StorageReference(StorageKind.CLOUD_BUCKET, 1)
    with open_storage(StorageAddress(reference, api, settings)) as storage:
        yield storage, contents_of(api, server.apis[api], bucket), storage_class


def test_only_the_content_of_files_gets_the_storage_class(
    archive: tuple[StorageHandler, Contents, str],
) -> None:
    storage, seen, wanted = archive
    with storage.open_folder(b"folder", create=True) as folder:
        for _ in range(2):
            assert folder.set_metadata(b"", Metadata(mode=0o700, mtime_ns=5)) == ()
        folder.stage_symlink(TEMPORARY, b"to/where").commit(b"link", replace=False)
        with folder.stage(TEMPORARY, size=3) as staged:
            staged.write(memoryview(b"abc"), 0)
            staged.commit(b"small", replace=False)
        entries = {entry.name: entry for entry in folder.entries()}
    assert entries[b"link"].link_target == b"to/where"
    assert seen.metadata("folder/small")[":class"] == wanted
    assert seen.metadata("folder/link")[":class"] != wanted
    assert seen.metadata("folder/")[":class"] != wanted
    assert seen.metadata("folder/")["mode"] == "040700"


def test_an_upload_to_an_archive_is_gone_on_with_and_goes_to_another_name(
    archive: tuple[StorageHandler, Contents, str],
) -> None:
    storage, seen, wanted = archive
    intent = Intent(b"big", Metadata(mode=0o640))
    with storage.open_folder(b"") as folder:
        for name in (b"big", b"big (1)"):
            with folder.stage(TEMPORARY, size=len(BIG), intent=intent) as staged:
                staged.write(memoryview(BIG)[:PART_BYTES], 0)
            with folder.stage(TEMPORARY, size=len(BIG), intent=intent, resume=True) as staged:
                assert staged.size() == PART_BYTES
                staged.write(memoryview(BIG), 0)
                staged.commit(name, replace=False)
    assert seen.metadata("big")[":class"] == seen.metadata("big (1)")[":class"] == wanted
    assert seen.unfinished() == []
