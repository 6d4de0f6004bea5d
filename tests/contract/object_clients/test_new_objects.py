"""The storage class and the tags of new objects, on servers that keep them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import pytest

from tests.clouds import INTERFACES
from tests.object_servers.buckets import new_bucket, s3_session
from tests.object_servers.contents import contents_of
from tests.object_servers.processes import ObjectServer

BACKENDS = "longshore.storage.backends.object_store"


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
