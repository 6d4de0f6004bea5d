"""Objects as other programs make them, which ours would not."""

from __future__ import annotations

from collections.abc import Callable
from http.server import ThreadingHTTPServer
from xml.etree import ElementTree as ET

import httpx
import pytest

from longshore.domain.errors import StorageUnavailable
from longshore.storage.backends.object_store import gcs, swift
from longshore.storage.backends.object_store.azure_answers import page_of
from longshore.storage.backends.object_store.client import PutOptions
from longshore.storage.backends.object_store.s3 import open_client
from tests.answering import QuietHandler, answering
from tests.object_servers.buckets import new_bucket, swift_login
from tests.object_servers.forwarding import forwarding
from tests.object_servers.processes import ObjectServer


def test_a_dynamic_large_object_is_read_and_stays_one(
    object_server: Callable[[str], ObjectServer],
) -> None:
    server = object_server("swift")
    bucket = new_bucket(server, "swift")
    account, token = swift_login(server.apis["swift"])
    with httpx.Client(base_url=f"{account}/{bucket}/", headers=token, trust_env=False) as others:
        for number, content in enumerate((b"one ", b"two")):
            others.put(f"parts/{number}", content=content).raise_for_status()
        others.put("big", headers={"X-Object-Manifest": f"{bucket}/parts/"}).raise_for_status()
    client = swift.open_client(server.settings("swift", bucket))
    for _ in range(2):
        stat, data = client.get_first("big", 100)
        assert (stat.size, bytes(data), stat.md5) == (7, b"one two", b"")
        client.set_metadata("big", {"mode": "100600"})
        assert client.head("big").metadata == {"mode": "100600"}
    client.close()


def test_keys_that_no_xml_holds_come_encoded() -> None:
    listed = """<EnumerationResults><Blobs>
        <Blob><Name Encoded="true">a%EF%BF%BFb</Name></Blob><Blob><Name>b%41</Name></Blob>
        <BlobPrefix><Name Encoded="true">c%EF%BF%BE/</Name></BlobPrefix>
    </Blobs></EnumerationResults>"""
    page = page_of(ET.fromstring(listed))
    assert [stat.key for stat in page.objects] == ["a\uffffb", "b%41"]
    assert page.prefixes == ["c\ufffe/"]


def test_a_bucket_is_looked_at_below_its_prefix(
    object_server: Callable[[str], ObjectServer],
) -> None:
    server = object_server("moto")
    with forwarding() as proxy:
        settings = server.settings("s3", "no-such-bucket", proxy=proxy.address, prefix="/mine/")
        client = open_client(settings)
        with pytest.raises(StorageUnavailable, match="NoSuchBucket"):
            client.check(writable=False)
        client.close()
    assert proxy.count("GET", "prefix=mine%2F") == 1


def test_metadata_beyond_ascii_are_signed_as_they_are_sent(
    object_server: Callable[[str], ObjectServer],
) -> None:
    server = object_server("rclone")
    client = open_client(server.settings("s3", new_bucket(server, "s3")))
    foreign = "caf\u00e9".encode().decode("latin-1")  # as headers are read
    client.put("key", b"content", PutOptions(metadata={"note": foreign}))
    client.set_metadata("key", {**(client.head("key").metadata or {}), "mode": "100600"})
    assert client.head("key").metadata == {"note": foreign, "mode": "100600"}
    client.close()


class _Unpacking(QuietHandler):
    """Sends an object as it is stored only to who takes it compressed."""

    def do_GET(self) -> None:
        packed = "gzip" in self.headers.get("accept-encoding", "")
        body = b"packed" if packed else b"unpacked content"
        self.send_response(206 if packed else 200)
        self.send_header("content-length", str(len(body)))
        self.send_header("content-range", f"bytes 0-{len(body) - 1}/{len(body)}")
        self.end_headers()
        self.wfile.write(body)


def test_google_sends_objects_as_they_are_stored() -> None:
    with answering(ThreadingHTTPServer(("127.0.0.1", 0), _Unpacking)) as server:
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        client = gcs.open_client({"endpoint": endpoint, "bucket": "bucket"})
        assert bytes(client.get_range("key", 0, 6)) == b"packed"
        client.close()
