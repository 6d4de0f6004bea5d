"""Listings in the order of names, over keys that anybody may have made."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.domain import paths
from longshore.domain.entry import EntryKind
from longshore.domain.errors import ErrorKind, StorageError
from longshore.storage.backends.object_store.client import Abilities
from longshore.storage.handler import StorageHandler
from tests.unit.storage.backends.object_store.memory import MemoryClient, open_memory

PIECES = st.sampled_from(
    [
        *("", ".", "..", "a", "a-b", "a b", "a.b", "ab", "a!", "a!b", "b", "é", "!key!"),
        *("a!folder!", "!bytes!!FF", "!bytes!a!FF", "!bytes!x", "\n", "a\nb", "~"),
    ]
)
KEYS = st.lists(PIECES, min_size=1, max_size=4).map("/".join)
NAMES = st.sampled_from(
    [b"a", b"a-b", b"a b", b"a.b", b"ab", b"a!b", b"\xff", b"a\xff", b"a\n", b"b", b"~", b"!key!x"]
)


def bucket_with(keys: list[str], page_keys: int) -> MemoryClient:
    client = MemoryClient(page_keys=page_keys)
    for key in keys:
        client.put(key, key.encode())
    return client


def everything(storage: StorageHandler, path: bytes = b"") -> dict[bytes, bytes]:
    """Path and content of each file below; the order of each listing is looked at."""
    found: dict[bytes, bytes] = {}
    with storage.open_folder(path) as folder:
        entries = list(folder.entries())
        names = [entry.name for entry in entries]
        assert names == sorted(set(names))
        for entry in entries:
            assert folder.stat(entry.name) == entry
            if entry.kind is EntryKind.FOLDER:
                found |= everything(storage, paths.join(path, entry.name))
                continue
            with folder.open(entry.name) as reader:
                buffer = bytearray(100)
                found[paths.join(path, entry.name)] = bytes(
                    buffer[: reader.read_into(memoryview(buffer), 0)]
                )
    return found


@given(st.lists(KEYS, max_size=12, unique=True), st.integers(1, 4))
def test_every_key_of_a_foreign_bucket_is_one_file(keys: list[str], page_keys: int) -> None:
    with open_memory(bucket_with(keys, page_keys)) as storage:
        found = everything(storage)
    assert sorted(found.values()) == sorted(key.encode() for key in keys if key)


@given(st.lists(KEYS, max_size=12, unique=True), st.integers(1, 4))
def test_a_listing_goes_on_after_any_of_its_names(keys: list[str], page_keys: int) -> None:
    with open_memory(bucket_with(keys, page_keys)) as storage, storage.open_folder(b"") as folder:
        whole = [entry.name for entry in folder.entries()]
        for place, name in enumerate(whole):
            assert [entry.name for entry in folder.entries(after=name)] == whole[place + 1 :]


@given(st.lists(st.lists(NAMES, min_size=1, max_size=3), max_size=10), st.integers(1, 4))
def test_every_path_is_stored_under_one_key(names: list[list[bytes]], page_keys: int) -> None:
    client = MemoryClient(page_keys=page_keys)
    stored: dict[bytes, bytes] = {}
    with open_memory(client) as storage:
        for path in map(b"/".join, names):
            parent, name = paths.split(path)
            try:
                with (
                    storage.open_folder(parent, create=True) as folder,
                    folder.stage(b".longshore-1", size=len(path)) as staged,
                ):
                    staged.write(memoryview(path), 0)
                    staged.commit(name, replace=False)
            except StorageError as error:
                # A file and a folder of one name, or the same name twice.
                if error.kind not in {ErrorKind.NOT_A_FOLDER, ErrorKind.EXISTS}:
                    raise
            else:
                stored[path] = path
        assert everything(storage) == stored
    keys = [key for key in client.kept if not key.endswith("/")]
    assert len(keys) == len(stored)


def test_a_listing_of_many_pages_asks_for_little_more_than_its_pages() -> None:
    keys = [f"IMG-{number:05}.jpg" for number in range(5_000)] + ["IMG/below", "IMG-00300/below"]
    client = bucket_with(keys, page_keys=100)
    client.requests.clear()
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        entries = list(folder.entries())
    names = [entry.name for entry in entries]
    assert names == sorted(names)
    assert [entry.name for entry in entries if entry.kind is EntryKind.FOLDER] == [
        b"IMG",
        b"IMG-00300",
    ]
    listings = [request for request in client.requests if request.startswith("list")]
    assert len(listings) < 2 * len(keys) / 100


def test_a_listing_holds_no_more_than_a_few_pages() -> None:
    client = bucket_with([f"{number:06}" for number in range(20_000)], page_keys=500)
    client.requests.clear()
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        next(iter(folder.entries()))
    assert len([request for request in client.requests if request.startswith("list")]) < 8


def test_names_in_the_bytes_form_sort_by_their_bytes() -> None:
    names = [b"\x01", b"a\xff", b"\xff", b"b", b"~", b"a", b"zebra", "é".encode()]
    random.Random(1).shuffle(names)
    with open_memory(MemoryClient(page_keys=2)) as storage:
        with storage.open_folder(b"") as folder:
            for name in names:
                with folder.stage(b".longshore-1", size=0) as staged:
                    staged.commit(name, replace=False)
            assert [entry.name for entry in folder.entries()] == sorted(names)


def test_the_object_of_a_folder_with_content_is_shown_as_a_file_in_it() -> None:
    client = MemoryClient()
    client.put("folder/", b"content")
    client.put("empty/", b"")
    with open_memory(client) as storage:
        assert everything(storage) == {b"folder/!key!": b"content"}
        with storage.open_folder(b"empty") as folder:
            assert list(folder.entries()) == []


@pytest.mark.parametrize("conditional", [True, False])
def test_a_listing_that_lags_behind_makes_no_file_be_replaced(conditional: bool) -> None:
    client = MemoryClient(abilities=Abilities(conditional_create=conditional))
    client.put("file", b"old")
    client.unlisted.add("file")
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        assert list(folder.entries()) == []
        with folder.stage(b".longshore-1", size=3) as staged:
            staged.write(memoryview(b"new"), 0)
            with pytest.raises(StorageError) as caught:
                staged.commit(b"file", replace=False)
            staged.abort()
        assert caught.value.kind is ErrorKind.EXISTS
        assert folder.stat(b"file").size == 3
    assert client.kept["file"].data == b"old"


def test_a_file_that_no_listing_has_survives_the_removal_of_its_folder() -> None:
    client = MemoryClient()
    client.put("folder/", b"")
    client.put("folder/file", b"content")
    client.unlisted.add("folder/file")
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        folder.remove_folder(b"folder")
        client.unlisted.clear()
        assert everything(storage) == {b"folder/file": b"content"}


def test_what_was_just_written_is_found_though_no_listing_has_it() -> None:
    client = MemoryClient()
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        with folder.stage(b".longshore-1", size=3) as staged:
            staged.write(memoryview(b"new"), 0)
            staged.commit(b"file", replace=False)
        client.unlisted.add("file")
        assert folder.stat(b"file").size == 3
        with folder.open(b"file") as reader:
            assert reader.stat().size == 3
