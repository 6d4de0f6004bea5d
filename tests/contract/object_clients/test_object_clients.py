"""What every client of an object store promises, tried on real servers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.storage.backends.object_store import azure, gcs, swift
from longshore.storage.backends.object_store.client import (
    Get,
    ObjectClient,
    ObjectStat,
    Put,
    PutOptions,
    Upload,
)
from tests.contract.object_clients.conftest import OpenClient
from tests.object_servers.processes import free_port

METADATA = {
    "mode": "100644",
    "mtime": "1234567890.123456789",
    "custom-note": "a value,   with: signs =",
    "custom64-0123456789abcdef": "dXNlci5h." + "YWJj" * 50,
}
ODD_KEYS = [
    "a b",
    "a+b",
    "a%2Fb",
    "a&b=c?d#e",
    "caf\u00e9",
    "cafe\u0301",
    "\u4e2d/\u6587",
    "quote'\"",
    "(a)[b]{c}",
    "~tilde",
    "semi;colon",
    "dollar$@!*,",
    "<xml>&amp;",
    "\U0001f40b",
]


@contextlib.contextmanager
def refused(kind: ErrorKind) -> Iterator[None]:
    with pytest.raises(StorageError) as caught:
        yield
    assert caught.value.kind is kind, caught.value


def refusal_of(deed: Callable[[], object]) -> StorageError | None:
    """The error that the deed raises; None if it succeeds."""
    try:
        deed()
    except StorageError as error:
        return error
    return None


def names(client: ObjectClient, prefix: str = "", **how: str) -> list[str]:
    """Keys and prefixes of a listing in the order of their bytes."""
    pages = list(client.pages(prefix, **how))  # type: ignore[arg-type]
    found = [key for page in pages for key in [*(s.key for s in page.objects), *page.prefixes]]
    return sorted(found, key=str.encode)


def upload_in_parts(client: ObjectClient, key: str, contents: list[bytes]) -> Upload:
    upload = client.begin_upload(key, PutOptions(metadata=METADATA))
    parts = [client.put_part(upload, n, data) for n, data in enumerate(contents, start=1)]
    client.complete_upload(upload, parts, PutOptions(metadata=METADATA))
    return upload


def big_parts(client: ObjectClient) -> list[bytes]:
    size = client.abilities.part_bytes_minimum
    return [os.urandom(size), os.urandom(size), os.urandom(1000)]


# --------------------------------------------------------------------------------- whole objects


def test_many_objects_are_written_and_read_at_once(client: ObjectClient) -> None:
    contents = {f"many/{number}": os.urandom(number * 997) for number in range(1, 40)}
    options = PutOptions(metadata=METADATA)
    puts = (Put(key, data, options, len(data)) for key, data in contents.items())
    written = list(client.put_many(puts, 4))
    assert {put.key for put, _ in written} == contents.keys()
    for put, stat in written:
        assert isinstance(stat, ObjectStat), stat
        assert (stat.size, stat.etag) == (put.tag, client.head(put.key).etag)
    wanted = [Get(key, key) for key in (*contents, "many/none")]
    read = {get.tag: found for get, found in client.get_many(wanted, 4)}
    missing = read.pop("many/none")
    assert isinstance(missing, StorageError)
    assert missing.kind is ErrorKind.NOT_FOUND
    for key, content in contents.items():
        found = read.pop(key)
        assert not isinstance(found, StorageError), found
        stat, data = found
        assert bytes(data) == content
        assert (stat.size, stat.metadata) == (len(content), METADATA)
        assert stat.etag == client.head(key).etag
    assert not read


def test_many_new_objects_replace_nothing(client: ObjectClient) -> None:
    if not client.abilities.conditional_create:
        pytest.skip("it cannot refuse to replace")
    client.put("many/1", b"theirs")
    options = PutOptions(only_if_absent=True)
    puts = (Put(f"many/{number}", b"ours", options, number) for number in range(3))
    written = {put.tag: result for put, result in client.put_many(puts, 2)}
    refused_one = written.pop(1)
    assert isinstance(refused_one, StorageError)
    assert (refused_one.kind, refused_one.retry) == (ErrorKind.EXISTS, RetryClass.NEVER)
    assert all(isinstance(result, ObjectStat) for result in written.values())
    assert client.get_range("many/1", 0, 6) == b"theirs"


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_an_object_is_what_was_put(client: ObjectClient, size: int) -> None:
    content = os.urandom(size)
    put = client.put("folder/key", memoryview(content), PutOptions(metadata=METADATA))
    assert put.size == size
    found = client.head("folder/key")
    assert (found.key, found.size, found.metadata) == ("folder/key", size, METADATA)
    assert found.modified_ns > 0
    assert found.etag == put.etag
    if size:
        assert bytes(client.get_range("folder/key", 0, size, etag=found.etag)) == content
    stat, first = client.get_first("folder/key", 1000)
    assert bytes(first) == content[:1000]
    assert (stat.size, stat.metadata, stat.etag) == (size, METADATA, found.etag)


def test_ranges_are_those_asked_for(client: ObjectClient) -> None:
    content = bytes(range(256)) * 10
    client.put("key", content)
    for start, end in ((0, 1), (5, 300), (2559, 2560), (0, 2560)):
        assert bytes(client.get_range("key", start, end)) == content[start:end]


def test_a_range_may_be_read_as_it_comes(client: ObjectClient) -> None:
    content = os.urandom(1024 * 1024)
    etag = client.put("key", content).etag
    buffer = memoryview(bytearray(len(content)))
    for start, end in ((0, len(content)), (1, len(content) - 1), (7, 8)):
        body = client.open_range("key", start, end, etag=etag)
        if body is None:
            pytest.skip("this client has only whole ranges")
        count = body.read_into(buffer[:3])
        count += body.read_into(buffer[count:])
        assert body.read_into(buffer[count:]) == 0
        body.close()
        assert buffer[:count] == content[start:end]
    left = client.open_range("key", 0, len(content))
    assert left is not None
    left.read_into(buffer[:1])
    left.close()
    assert bytes(client.get_range("key", 0, 9)) == content[:9]


def test_an_object_is_replaced_and_its_etag_with_it(client: ObjectClient) -> None:
    before = client.put("key", b"one", PutOptions(metadata={"mode": "1"}))
    after = client.put("key", b"three", PutOptions(metadata={"mtime": "2"}))
    assert after.etag != before.etag
    found = client.head("key")
    assert (found.size, found.metadata) == (5, {"mtime": "2"})


def test_a_replaced_object_is_not_read_on(
    client: ObjectClient, request: pytest.FixtureRequest
) -> None:
    if "[gcs]" in request.node.name:
        pytest.skip("the emulator ignores conditions")
    before = client.put("key", b"before")
    client.put("key", b"after!")
    with refused(ErrorKind.STALE):
        client.get_range("key", 0, 6, etag=before.etag)
    body = client.open_range("key", 0, 6)
    if body is None:
        return
    body.close()
    with refused(ErrorKind.STALE):
        client.open_range("key", 0, 6, etag=before.etag)


def test_what_is_not_there_is_not_found(client: ObjectClient) -> None:
    with refused(ErrorKind.NOT_FOUND):
        client.head("nothing")
    with refused(ErrorKind.NOT_FOUND):
        client.get_range("nothing", 0, 1)
    with refused(ErrorKind.NOT_FOUND):
        client.get_first("nothing", 10)
    with refused(ErrorKind.NOT_FOUND):
        client.copy("nothing", "copy")


def test_a_removed_object_is_gone(client: ObjectClient) -> None:
    client.put("key", b"content")
    client.delete("key")
    with refused(ErrorKind.NOT_FOUND):
        client.head("key")
    with contextlib.suppress(StorageError):
        client.delete("key")
    assert names(client) == []


def test_nothing_is_replaced_where_a_new_object_is_wanted(client: ObjectClient) -> None:
    if not client.abilities.conditional_create:
        pytest.skip("this store does not refuse to replace")
    new = PutOptions(only_if_absent=True)
    client.put("key", b"first", new)
    with refused(ErrorKind.EXISTS):
        client.put("key", b"second", new)
    assert bytes(client.get_range("key", 0, 5)) == b"first"


def test_no_upload_replaces_where_a_new_object_is_wanted(
    client: ObjectClient, request: pytest.FixtureRequest
) -> None:
    if not client.abilities.conditional_create:
        pytest.skip("this store does not refuse to replace")
    if "[s3-ceph]" in request.node.name:
        pytest.skip("this server looks at the condition of plain writing only")
    client.put("key", b"first")
    upload = client.begin_upload("key")
    part = client.put_part(upload, 1, b"third")
    with refused(ErrorKind.EXISTS):
        client.complete_upload(upload, [part], PutOptions(only_if_absent=True))
    client.abort_upload(upload)
    assert bytes(client.get_range("key", 0, 5)) == b"first"


def test_no_copy_replaces_where_a_new_object_is_wanted(
    client: ObjectClient, request: pytest.FixtureRequest
) -> None:
    if "[azure]" not in request.node.name:
        pytest.skip("this server looks at no condition of copies")
    client.put("key", b"first")
    client.put("source", b"source")
    with refused(ErrorKind.EXISTS):
        client.copy("source", "key", only_if_absent=True)
    assert bytes(client.get_range("key", 0, 5)) == b"first"


@pytest.mark.parametrize("key", ODD_KEYS)
def test_any_key_is_kept(client: ObjectClient, key: str) -> None:
    client.put(key, key.encode(), PutOptions(metadata=METADATA))
    assert client.head(key).metadata == METADATA
    assert bytes(client.get_first(key, 100)[1]) == key.encode()
    assert names(client) == [key]
    client.copy(key, key + "2")
    assert bytes(client.get_first(key + "2", 100)[1]) == key.encode()
    client.delete(key)
    assert names(client) == [key + "2"]


# --------------------------------------------------------------------------------- metadata, copies


def test_metadata_is_replaced_as_a_whole(client: ObjectClient) -> None:
    client.put("key", b"content", PutOptions(metadata=METADATA))
    client.set_metadata("key", {"mode": "100600", "uid": "5"})
    assert client.head("key").metadata == {"mode": "100600", "uid": "5"}
    client.set_metadata("key", {})
    assert client.head("key").metadata == {}
    assert bytes(client.get_range("key", 0, 7)) == b"content"


def test_a_lot_of_metadata_is_kept(client: ObjectClient) -> None:
    wanted: dict[str, str] = {}
    while sum(len(k) + len(v) for k, v in wanted.items()) < client.abilities.metadata_bytes_maximum:
        wanted[f"custom-{len(wanted)}-name"] = "v" * min(
            600, client.abilities.metadata_value_bytes_maximum
        )
    wanted.popitem()
    client.put("key", b"", PutOptions(metadata=wanted))
    assert client.head("key").metadata == wanted
    client.set_metadata("key", {"mode": "1"})
    assert client.head("key").metadata == {"mode": "1"}


def test_a_copy_keeps_or_replaces_metadata(client: ObjectClient) -> None:
    client.put("key", b"content", PutOptions(metadata=METADATA))
    client.copy("key", "same")
    client.copy("key", "other", metadata={"mode": "1"})
    assert client.head("same").metadata == METADATA
    assert client.head("other").metadata == {"mode": "1"}
    assert bytes(client.get_range("other", 0, 7)) == b"content"


def test_listed_metadata_is_that_of_the_object(client: ObjectClient) -> None:
    client.put("key", b"content", PutOptions(metadata=METADATA))
    [found] = [stat for page in client.pages() for stat in page.objects]
    assert found.metadata == (METADATA if client.abilities.lists_metadata else None)
    head = client.head("key")
    assert (found.size, found.modified_ns, found.etag) == (7, head.modified_ns, head.etag)


# --------------------------------------------------------------------------------- listings


def test_listings_fold_begin_and_end_where_asked(client: ObjectClient) -> None:
    keys = ["a", "a/1", "a/2", "b/", "b/x/y", "c", "c-d", "d/e"]
    for key in keys:
        client.put(key, b"")
    assert names(client) == keys
    assert names(client, delimiter="/") == ["a", "a/", "b/", "c", "c-d", "d/"]
    assert names(client, "a") == ["a", "a/1", "a/2"]
    assert names(client, "a/", delimiter="/") == ["a/1", "a/2"]
    assert names(client, "b/", delimiter="/") == ["b/", "b/x/"]
    assert names(client, after="a/2") == ["b/", "b/x/y", "c", "c-d", "d/e"]
    inside = names(client, after="a/1", delimiter="/")
    assert [name for name in inside if name != "a/"] == ["b/", "c", "c-d", "d/"]
    assert names(client, after="a0", delimiter="/") == ["b/", "c", "c-d", "d/"]
    assert names(client, "nothing") == []


def test_a_listing_ends_at_its_limit(client: ObjectClient) -> None:
    for number in range(5):
        client.put(f"key{number}", b"")
    assert [s.key for page in client.pages(limit=2) for s in page.objects] == ["key0", "key1"]
    more = client.pages(after="key1", limit=2)
    assert [s.key for page in more for s in page.objects] == ["key2", "key3"]


def test_a_bucket_of_several_pages_is_listed_whole_and_in_order(
    client: ObjectClient, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if not client.abilities.lists_metadata and client.abilities.parts_maximum > 1000:
        count, page = 2500, 1000  # S3, which lists no more at once
    else:
        count, page = 250, 100  # the others are asked for less: they make objects slowly
    for module in (azure, gcs, swift):
        monkeypatch.setattr(module, "PAGE_KEYS", page)
    keys = [f"folder/{number:04}" for number in range(count)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: client.put(key, b""), keys))
    middle = keys[page + 7]
    for delimiter in ("", "/"):
        assert names(client, "folder/", delimiter=delimiter) == keys
        assert names(client, "folder/", delimiter=delimiter, after=middle) == keys[page + 8 :]
    sizes = [len(each.objects) for each in client.pages("folder/")]
    if "[gcs]" not in request.node.name:  # the emulator gives all at once; see its own test
        assert max(sizes) <= page
        assert len(sizes) >= count // page


# --------------------------------------------------------------------------------- uploads


def test_an_upload_becomes_an_object_when_it_is_complete(client: ObjectClient) -> None:
    contents = big_parts(client)
    upload = client.begin_upload("big", PutOptions(metadata=METADATA))
    # In another order than theirs, and one of them twice.
    second = client.put_part(upload, 2, contents[1])
    client.put_part(upload, 1, b"x" * len(contents[0]))
    first = client.put_part(upload, 1, memoryview(contents[0]))
    third = client.put_part(upload, 3, contents[2])
    assert names(client) == []
    with refused(ErrorKind.NOT_FOUND):
        client.head("big")
    listed = client.list_parts(upload)
    assert [(part.number, part.size) for part in listed] == [
        (number, len(data)) for number, data in enumerate(contents, start=1)
    ]
    assert [part.reference for part in listed] == [
        part.reference for part in (first, second, third)
    ]
    client.complete_upload(upload, listed, PutOptions(metadata=METADATA))
    whole = b"".join(contents)
    found = client.head("big")
    assert (found.size, found.metadata) == (len(whole), METADATA)
    assert bytes(client.get_range("big", 0, len(whole), etag=found.etag)) == whole
    assert names(client) == ["big"]
    [listed_stat] = [stat for page in client.pages() for stat in page.objects]
    assert listed_stat.size == len(whole)


def test_an_upload_that_has_begun_has_no_parts_yet(client: ObjectClient) -> None:
    upload = client.begin_upload("big")
    assert client.list_parts(upload) == []
    client.abort_upload(upload)


def test_another_client_goes_on_with_an_upload(open_client: OpenClient) -> None:
    one, other = open_client(), open_client()
    contents = big_parts(one)
    begun = one.begin_upload("big")
    one.put_part(begun, 1, contents[0])
    upload = Upload("big", begun.id)
    other.put_part(upload, 2, contents[2])
    other.complete_upload(upload, other.list_parts(upload))
    size = len(contents[0]) + len(contents[2])
    assert bytes(one.get_range("big", 0, size)) == contents[0] + contents[2]


def test_an_aborted_upload_leaves_nothing(client: ObjectClient) -> None:
    upload = client.begin_upload("folder/big")
    client.put_part(upload, 1, b"content")
    if client.abilities.lists_uploads:
        assert [(u.key, u.id) for u in client.list_uploads("folder/")] == [
            ("folder/big", upload.id)
        ]
        assert list(client.list_uploads("other/")) == []
    client.abort_upload(upload)
    client.abort_upload(upload)
    assert list(client.list_uploads()) == []
    assert names(client) == []


def test_a_completed_upload_is_not_listed_as_one(client: ObjectClient) -> None:
    upload_in_parts(client, "big", big_parts(client))
    assert list(client.list_uploads()) == []


def test_an_upload_replaces_what_stood_there(client: ObjectClient) -> None:
    client.put("big", b"before", PutOptions(metadata={"uid": "1"}))
    for _ in range(2):
        contents = big_parts(client)
        upload_in_parts(client, "big", contents)
        whole = b"".join(contents)
        assert bytes(client.get_range("big", 0, len(whole))) == whole
    client.put("big", b"after")
    assert bytes(client.get_first("big", 100)[1]) == b"after"
    assert client.head("big").metadata == {}


def test_a_big_object_is_copied_and_removed_as_any_other(client: ObjectClient) -> None:
    contents = big_parts(client)
    upload_in_parts(client, "big", contents)
    client.copy("big", "copy", metadata={"mode": "1"})
    client.set_metadata("big", {"mode": "2"})
    client.delete("big")
    whole = b"".join(contents)
    assert bytes(client.get_range("copy", 0, len(whole))) == whole
    assert client.head("copy").metadata == {"mode": "1"}
    assert names(client) == ["copy"]


def test_a_big_object_may_get_other_metadata(client: ObjectClient) -> None:
    contents = big_parts(client)
    upload_in_parts(client, "big", contents)
    client.set_metadata("big", {"mode": "2"})
    assert client.head("big").metadata == {"mode": "2"}
    whole = b"".join(contents)
    assert bytes(client.get_range("big", 0, len(whole))) == whole


def test_completing_a_second_time_changes_nothing(client: ObjectClient) -> None:
    contents = big_parts(client)
    upload = client.begin_upload("big")
    parts = [client.put_part(upload, 1, contents[0])]
    client.complete_upload(upload, parts)
    refusal = refusal_of(lambda: client.complete_upload(upload, parts))
    # Or the answer that makes others look at the object.
    assert refusal is None or refusal.kind is ErrorKind.NOT_FOUND
    assert bytes(client.get_range("big", 0, len(contents[0]))) == contents[0]


# --------------------------------------------------------------------------------- refusals


def test_the_bucket_is_there(client: ObjectClient) -> None:
    client.check(writable=True)


def test_a_missing_bucket_ends_the_run(open_client: OpenClient) -> None:
    client = open_client(bucket="no-such-bucket")
    with pytest.raises(StorageUnavailable) as caught:
        client.check(writable=False)
    assert (caught.value.kind, caught.value.retry) == (ErrorKind.NOT_FOUND, RetryClass.LATER)


def test_wrong_keys_end_the_run_and_are_not_shown(open_client: OpenClient) -> None:
    try:
        client = open_client(secret_key="d3JvbmctYW5kLXNlY3JldA==")
    except ValueError:
        pytest.skip("keys of this store have another form")
    refusal = refusal_of(lambda: client.check(writable=False))
    if refusal is None:
        pytest.skip("this server does not ask who it is")
    assert isinstance(refusal, StorageUnavailable)
    assert refusal.kind is ErrorKind.PERMISSION
    assert "d3JvbmctYW5kLXNlY3JldA" not in str(refusal)


def test_a_server_that_is_not_there_is_unavailable(open_client: OpenClient) -> None:
    client = open_client(endpoint=f"http://127.0.0.1:{free_port()}/auth/v1.0")
    for refusal in (
        refusal_of(lambda: client.head("key")),
        refusal_of(lambda: client.put("key", b"content")),
    ):
        assert isinstance(refusal, StorageUnavailable)
        assert refusal.retry is RetryClass.LATER
