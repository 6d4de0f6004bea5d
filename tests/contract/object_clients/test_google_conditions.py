"""What the emulator of Google Cloud ignores, conditions and the size of pages.

What is asked, and what answers mean.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from longshore.domain.errors import ErrorKind, RetryClass, StorageError
from longshore.storage.backends.object_store import gcs
from longshore.storage.backends.object_store.client import PutOptions
from longshore.storage.backends.object_store.retrying import RetryingClient
from tests.object_servers.buckets import new_bucket
from tests.object_servers.contents import contents_of
from tests.object_servers.forwarding import forwarding
from tests.object_servers.late_listings import GooglePages
from tests.object_servers.processes import ObjectServer
from tests.object_servers.proxy import Disturbance, Proxy

NEW = PutOptions(only_if_absent=True)
NOT_MET = b"HTTP/1.1 412 Precondition Failed\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def test_new_objects_are_asked_for_as_generation_zero(
    object_server: Callable[[str], ObjectServer],
) -> None:
    server = object_server("gcs")
    bucket = new_bucket(server, "gcs")
    with forwarding() as proxy:
        client = gcs.open_client(server.settings("gcs", bucket, proxy=proxy.address))
        assert client.abilities.conditional_create
        client.put("small", b"content", NEW)
        client.copy("small", "copy", only_if_absent=True)
        upload = client.begin_upload("big")
        client.complete_upload(upload, [client.put_part(upload, 1, b"content")], NEW)
        client.close()
    assert proxy.count("POST", "/upload/", "ifGenerationMatch=0") == 1
    assert proxy.count("POST", "/rewriteTo/", "ifGenerationMatch=0") == 1
    assert proxy.count("POST", "/compose", "ifGenerationMatch=0") == 1


def test_a_generation_that_is_there_is_an_object_that_exists(
    object_server: Callable[[str], ObjectServer],
) -> None:
    server = object_server("gcs")
    settings = server.settings("gcs", new_bucket(server, "gcs"))
    with Proxy(settings["endpoint"]) as proxy:
        client = gcs.open_client({**settings, "endpoint": proxy.endpoint})
        proxy.disturb(Disturbance(answer=NOT_MET))
        with pytest.raises(StorageError) as caught:
            client.put("small", b"content", NEW)
        assert caught.value.kind is ErrorKind.EXISTS
        client.close()


def test_listings_in_pages_are_followed_to_their_end(
    object_server: Callable[[str], ObjectServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gcs, "PAGE_KEYS", 10)
    server = object_server("gcs")
    with forwarding() as proxy:
        proxy.change = pages = GooglePages()
        settings = server.settings("gcs", new_bucket(server, "gcs"), proxy=proxy.address)
        client = gcs.open_client(settings)
        keys = [f"folder{number % 3}/{number:04}" for number in range(45)]
        for key in keys:
            client.put(key, b"")
        for after in ("", "folder0/0012", "folder2/0041"):
            wanted = [key for key in sorted(keys) if key > after]
            found = [stat.key for page in client.pages(after=after) for stat in page.objects]
            assert found == wanted
        inside = client.pages("folder1/", delimiter="/")
        assert [len(page.objects) for page in inside] == [10, 5]
        folded = [prefix for page in client.pages(delimiter="/") for prefix in page.prefixes]
        assert folded == ["folder0/", "folder1/", "folder2/"]
        client.close()
    assert pages.pages >= 5


def test_parts_that_could_not_be_removed_at_once_are_removed_all_the_same(
    object_server: Callable[[str], ObjectServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = object_server("gcs")
    bucket = new_bucket(server, "gcs")
    inner = gcs.open_client(server.settings("gcs", bucket, conditional_create="0"))
    client = RetryingClient(inner, sleep=lambda _: None, chance=Random(1))
    upload = client.begin_upload("big")
    parts = [client.put_part(upload, number, b"content") for number in (1, 2, 3)]
    failing = [parts[1].reference]
    delete = inner.delete

    def delete_later(key: str) -> None:
        if key in failing:
            failing.remove(key)
            raise StorageError(ErrorKind.INPUT_OUTPUT, RetryClass.NOW, "remove", key.encode(), "")
        delete(key)

    monkeypatch.setattr(inner, "delete", delete_later)
    client.complete_upload(upload, parts)
    client.close()
    assert not failing
    assert contents_of("gcs", server.apis["gcs"], bucket).uploads() == []
