"""Contents of files: read ahead, held in memory, sent in parts."""

from __future__ import annotations

import random
from typing import Any, NoReturn

import pytest

from longshore.domain.entry import EntryKind
from longshore.domain.errors import ErrorKind, RetryClass, StorageError
from longshore.storage.backends.object_store import azure, gcs, reading, stage, store, swift
from longshore.storage.backends.object_store.client import (
    PLAIN,
    Abilities,
    ObjectStat,
    Part,
    PutOptions,
    Upload,
)
from longshore.storage.backends.object_store.multipart import PART_BYTES, part_bytes
from longshore.storage.handler import Folder, Intent, Metadata, StagedFile
from tests.unit.storage.backends.object_store.memory import MemoryClient, open_memory

MEBIBYTE = 1 << 20
NAME = b".longshore-1"
CONTENT = random.Random(3).randbytes(3 * PART_BYTES + 5)


def staged(folder: Folder, name: bytes = b"big", *, resume: bool = False) -> StagedFile:
    intent = Intent(name, Metadata(mode=0o640))
    return folder.stage(NAME, size=len(CONTENT), intent=intent, resume=resume)


def read_whole(folder: Folder, name: bytes, step: int) -> bytes:
    content = bytearray()
    buffer = memoryview(bytearray(step))
    with folder.open(name) as reader:
        while count := reader.read_into(buffer, len(content)):
            content += buffer[:count]
    return bytes(content)


def ranges(client: MemoryClient) -> list[str]:
    return [request for request in client.requests if request.startswith("get")]


def test_a_small_file_is_read_with_one_request() -> None:
    client = MemoryClient()
    client.put("file", b"x" * reading.FIRST_BYTES)
    client.requests.clear()
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        client.requests.clear()
        assert len(read_whole(folder, b"file", 4096)) == reading.FIRST_BYTES
    assert client.requests == ["first file"]


def test_a_big_file_is_read_in_long_ranges_each_once() -> None:
    client = MemoryClient()
    content = CONTENT * 2
    client.put("file", content)
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        assert read_whole(folder, b"file", 4 * MEBIBYTE) == content
    assert len(set(ranges(client))) == len(ranges(client)) == -(-len(content) // 8 // MEBIBYTE)


def test_a_reader_may_jump() -> None:
    client = MemoryClient()
    client.put("file", CONTENT)
    chance = random.Random(5)
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        with folder.open(b"file") as reader:
            for _ in range(60):
                start = chance.randrange(len(CONTENT))
                buffer = bytearray(chance.choice([1, 1000, 9 * MEBIBYTE]))
                count = reader.read_into(memoryview(buffer), start)
                assert 0 < count <= len(buffer)
                assert buffer[:count] == CONTENT[start : start + count]


def test_what_is_replaced_while_it_is_read_is_not_mixed() -> None:
    client = MemoryClient()
    client.put("file", CONTENT)
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        with folder.open(b"file") as reader:
            client.put("file", CONTENT[::-1])
            with pytest.raises(StorageError) as caught:
                reader.read_into(memoryview(bytearray(9)), len(CONTENT) - 9)
    assert (caught.value.kind, caught.value.retry) == (ErrorKind.STALE, RetryClass.NOW)


@pytest.mark.parametrize(
    ("size", "parts"), [(1, 1), (80_000 * MEBIBYTE, 10_000), (5 * 1024**4, 5_120)]
)
def test_parts_are_as_long_as_the_number_of_them_wants(size: int, parts: int) -> None:
    length = part_bytes(size, Abilities())
    assert -(-size // length) == parts
    assert length % PART_BYTES == 0


@pytest.mark.parametrize(
    "abilities", [Abilities(), azure._ABILITIES, gcs._ABILITIES, swift._ABILITIES]
)
def test_the_biggest_file_has_parts_that_the_store_takes(abilities: Abilities) -> None:
    length = part_bytes(abilities.object_bytes_maximum, abilities)
    assert abilities.part_bytes_minimum <= length <= abilities.part_bytes_maximum


def test_parts_grow_to_what_the_store_takes() -> None:
    assert part_bytes(1, Abilities(part_bytes_minimum=20 * MEBIBYTE)) == 32 * MEBIBYTE


def test_pieces_in_any_order_become_the_file() -> None:
    client = MemoryClient()
    pieces = list(range(0, len(CONTENT), MEBIBYTE))
    random.Random(2).shuffle(pieces)
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        with staged(folder) as file:
            for start in pieces:
                file.write(memoryview(CONTENT)[start : start + MEBIBYTE], start)
            assert file.size() == len(CONTENT)
            file.commit(b"big", replace=False)
    assert client.kept["big"].data == CONTENT
    assert client.requests.count("complete") == 1
    assert set(client.kept) == {"big"}


def test_a_file_with_a_missing_part_is_not_published() -> None:
    client = MemoryClient()
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        with staged(folder) as file:
            file.write(memoryview(CONTENT)[PART_BYTES:], PART_BYTES)
            with pytest.raises(StorageError, match="part 1 of 4 is missing") as caught:
                file.commit(b"big", replace=False)
            assert caught.value.retry is RetryClass.NOW
            file.abort()
    assert client.kept == {}
    assert client.uploads == {}


def test_an_upload_that_somebody_aborted_is_begun_anew_not_published() -> None:
    client = MemoryClient()
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        with staged(folder) as file:
            token = file.token()
            file.write(memoryview(CONTENT)[:PART_BYTES], 0)
        client.uploads.clear()
        with pytest.raises(StorageError) as caught:
            folder.stage(NAME, size=len(CONTENT), resume=True, token=token)
        assert (caught.value.kind, caught.value.retry) == (ErrorKind.STALE, RetryClass.NOW)
        with staged(folder, resume=True) as file:
            assert file.size() == 0
            file.abort()


def test_a_name_that_is_taken_while_a_big_file_is_written_is_not_replaced() -> None:
    client = MemoryClient()
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        with staged(folder) as file:
            file.write(memoryview(CONTENT), 0)
            client.put("big", b"others")
            with pytest.raises(StorageError) as caught:
                file.commit(b"big", replace=False)
            assert caught.value.kind is ErrorKind.EXISTS
            with pytest.raises(StorageError) as caught:
                file.commit(b"big (1)", replace=False)
            assert (caught.value.kind, caught.value.retry) == (ErrorKind.STALE, RetryClass.NOW)
            file.abort()
        # The next attempt knows, and goes another way.
        with staged(folder) as file:
            file.write(memoryview(CONTENT), 0)
            file.commit(b"big (1)", replace=False)
    assert client.kept["big"].data == b"others"
    assert client.kept["big (1)"].data == CONTENT
    assert set(client.kept) == {"big", "big (1)"}


def test_what_stands_there_is_replaced_without_a_copy_where_that_is_intended() -> None:
    client = MemoryClient()
    client.put("big", b"old")
    intent = Intent(b"big", Metadata(mode=0o640), True)
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        with folder.stage(NAME, size=len(CONTENT), intent=intent) as file:
            file.write(memoryview(CONTENT), 0)
            assert client.kept["big"].data == b"old"
            assert file.set_metadata(intent.metadata) == ()
            file.commit(b"big", replace=True)
    assert client.kept["big"].data == CONTENT
    assert not [request for request in client.requests if request.startswith("copy")]


def test_a_big_file_that_could_not_go_to_another_name_leaves_nothing() -> None:
    class WithoutCopies(MemoryClient):
        def copy(self, *_: object, **__: object) -> NoReturn:
            raise StorageError(ErrorKind.UNSUPPORTED, RetryClass.NEVER, "copy", b"big", "no")

    client = WithoutCopies()
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        with staged(folder) as file:
            file.write(memoryview(CONTENT), 0)
            with pytest.raises(StorageError):
                file.commit(b"another", replace=False)
            file.abort()
    assert client.kept == {}
    assert client.uploads == {}


def test_metadata_of_a_bucket_itself_are_named_as_lost() -> None:
    client = MemoryClient()
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        wanted = Metadata(mode=0o700, mtime_ns=5, attributes={b"user.a": b"1"})
        assert folder.set_metadata(b"", wanted) == ("mode", "mtime_ns", "attribute user.a")
    assert client.kept == {}


def test_small_files_beyond_the_room_in_memory_go_to_the_store() -> None:
    client = MemoryClient()
    size = stage.SMALL_BYTES
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        files = [
            folder.stage(
                NAME + b"%d" % number, size=size, intent=Intent(b"%d" % number, Metadata())
            )
            for number in range(store.HELD_BYTES_MAXIMUM // size + 1)
        ]
        assert len(client.uploads) == 1
        for number, file in enumerate(files):
            file.write(memoryview(bytes(size)), 0)
            file.commit(b"%d" % number, replace=False)
        assert {len(kept.data) for kept in client.kept.values()} == {size}
        # Room is given back with each file.
        folder.stage(NAME, size=size).abort()
        assert not client.uploads


def test_a_name_that_is_taken_while_parts_are_put_together_is_not_replaced() -> None:
    class Busy(MemoryClient):
        def complete_upload(
            self, upload: Upload, parts: list[Part], options: PutOptions = PLAIN
        ) -> ObjectStat:
            stat = super().complete_upload(upload, parts, options)
            self.put("big (1)", b"others")
            return stat

        def copy(self, source_key: str, key: str, **how: Any) -> ObjectStat:
            self.kept.setdefault("big (2)", self.kept["big"])  # others have found that one
            return super().copy(source_key, key, **how)

    client = Busy()
    client.put("big", b"first")
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        with staged(folder) as file:
            file.write(memoryview(CONTENT), 0)
            for name in (b"big (1)", b"big (2)"):
                with pytest.raises(StorageError) as caught:
                    file.commit(name, replace=False)
                assert caught.value.kind is ErrorKind.EXISTS
            file.commit(b"big (3)", replace=False)
    assert client.kept["big (3)"].data == CONTENT
    assert client.kept["big (1)"].data == b"others"
    assert client.kept["big (2)"].data == client.kept["big"].data == b"first"
    assert not [key for key in client.kept if key.startswith(".longshore-")]


def test_a_store_that_knows_no_condition_of_copies_copies_all_the_same() -> None:
    class Plain(MemoryClient):
        def copy(self, source_key: str, key: str, **how: Any) -> ObjectStat:
            if how.get("only_if_absent"):
                raise StorageError(ErrorKind.UNSUPPORTED, RetryClass.NEVER, "copy", b"big", "no")
            return super().copy(source_key, key, **how)

    client = Plain()
    client.put("big", b"first")
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        with staged(folder) as file:
            file.write(memoryview(CONTENT), 0)
            file.commit(b"big (1)", replace=False)
    assert client.kept["big (1)"].data == CONTENT


def test_nothing_is_copied_for_the_time_of_the_last_access() -> None:
    client = MemoryClient()
    intent = Intent(b"big", Metadata(mode=0o640, mtime_ns=1, atime_ns=2, ctime_ns=1))
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        with folder.stage(NAME, size=len(CONTENT), intent=intent) as file:
            file.write(memoryview(CONTENT), 0)
            assert file.set_metadata(Metadata(mode=0o640, mtime_ns=1, atime_ns=3, ctime_ns=1)) == ()
            file.commit(b"big", replace=False)
    assert not [request for request in client.requests if request.startswith("copy")]


@pytest.mark.parametrize("other", [False, True])
def test_the_note_of_an_upload_goes_with_it_and_with_no_other_one(other: bool) -> None:
    client = MemoryClient()
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        with staged(folder) as file:
            token = file.token()
        client.uploads.clear()
        if other:
            staged(folder).close()
        with pytest.raises(StorageError, match="the upload is gone"):
            folder.stage(NAME, size=len(CONTENT), resume=True, token=token)
        assert folder.staged_names() == [NAME] * other
        assert len(client.uploads) == other


def test_metadata_that_cannot_be_read_hide_no_other_file() -> None:
    class Guarded(MemoryClient):
        def head(self, key: str) -> ObjectStat:
            if "secret" in key:
                raise StorageError(ErrorKind.PERMISSION, RetryClass.NEVER, "look at", b"", "no")
            return super().head(key)

    client = Guarded()
    for key in ("a", "b secret", "c secret/", "c secret/file", "d"):
        client.put(key, b"content" if not key.endswith("/") else b"")
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        kinds = {entry.name: entry.kind for entry in folder.entries()}
        completed = folder.completed([o for o in folder.outlines() if o.name == b"b secret"])
    assert kinds == {
        b"a": EntryKind.FILE,
        b"b secret": EntryKind.SPECIAL,
        b"c secret": EntryKind.FOLDER,
        b"d": EntryKind.FILE,
    }
    assert [entry and entry.kind for entry in completed] == [EntryKind.SPECIAL]


@pytest.mark.parametrize("size", [0, 4096, 4097])
def test_what_is_no_target_is_no_link(size: int) -> None:
    client = MemoryClient()
    client.put("link", b"x" * size, PutOptions(metadata={"mode": "120777"}))
    with open_memory(client) as storage, storage.open_folder(b"") as folder:
        [entry] = folder.entries()
        is_link = 0 < size <= 4096
        assert entry.kind is (EntryKind.SYMLINK if is_link else EntryKind.FILE)
        assert entry.link_target == b"x" * size * is_link
        if not is_link:
            assert read_whole(folder, b"link", 4096) == b"x" * size


def test_a_name_that_just_fits_is_staged_in_parts_too() -> None:
    client = MemoryClient()
    path = b"/".join([b"f" * 200] * 5)
    name = b"n" * (1023 - len(path) - 1)
    intent = Intent(name, Metadata(mode=0o640))
    with open_memory(client) as storage, storage.open_folder(path, create=True) as folder:
        for _ in range(2):
            with folder.stage(NAME, size=len(CONTENT), intent=intent) as file:
                file.write(memoryview(CONTENT)[:PART_BYTES], 0)
            with folder.stage(NAME, size=len(CONTENT), intent=intent, resume=True) as file:
                assert file.size() == PART_BYTES
                file.write(memoryview(CONTENT), 0)
            folder.remove(NAME)
            assert not client.uploads
        with folder.stage(NAME, size=len(CONTENT), intent=intent) as file:
            file.write(memoryview(CONTENT), 0)
            file.commit(name, replace=False)
        assert [entry.name for entry in folder.entries()] == [name]
    assert not [key for key in client.kept if ".longshore" in key]


def test_what_others_have_made_is_read_however_long_its_key_is() -> None:
    client = MemoryClient(abilities=Abilities(conditional_create=True, key_bytes_maximum=965))
    path = b"/".join([b"f" * 200] * 4)
    deep, name = path + b"/" + b"d" * 170, b"n" * 49
    key = (deep + b"/" + name).decode()
    client.put(key, b"content")
    assert len(key) == 1024
    with open_memory(client) as storage:
        with storage.open_folder(deep) as folder:
            assert [entry.name for entry in folder.entries()] == [name]
            assert read_whole(folder, name, 4096) == b"content"
            for deed in (
                lambda: folder.stage(NAME, size=0).commit(name, replace=True),
                lambda: folder.make_folder(name + b"2"),
                lambda: storage.open_folder(deep + b"/new", create=True),
            ):
                with pytest.raises(StorageError) as caught:
                    deed()
                assert caught.value.kind is ErrorKind.NAME_INVALID
            folder.remove(name)
    assert client.kept == {}
