"""Reading files: ranges, ends, and what may not be opened."""

from __future__ import annotations

import pytest

from longshore.domain.errors import ErrorKind
from longshore.storage.handler import StorageHandler
from tests.contract.storage.deeds import content_of, put, put_symlink, refused

CONTENT = bytes(range(256)) * 40


def test_ranges_are_read_from_any_offset(storage: StorageHandler) -> None:
    put(storage, b"file", CONTENT)
    with storage.open_folder(b"") as folder, folder.open(b"file") as source:
        for offset, length in ((0, 1), (5_000, 300), (255, 2), (len(CONTENT) - 1, 1)):
            buffer = memoryview(bytearray(length))
            got = 0
            while got < length:
                got += source.read_into(buffer[got:], offset + got)
            assert bytes(buffer) == CONTENT[offset : offset + length]


def test_a_read_over_the_end_gets_what_there_is(storage: StorageHandler) -> None:
    put(storage, b"file", CONTENT)
    with storage.open_folder(b"") as folder, folder.open(b"file") as source:
        buffer = bytearray(100)
        assert source.read_into(memoryview(buffer), len(CONTENT) - 3) == 3
        assert bytes(buffer[:3]) == CONTENT[-3:]
        assert bytes(buffer[3:]) == bytes(97)


@pytest.mark.parametrize("beyond", [0, 1, 1 << 40])
def test_nothing_is_read_from_the_end_on(storage: StorageHandler, beyond: int) -> None:
    put(storage, b"file", CONTENT)
    with storage.open_folder(b"") as folder, folder.open(b"file") as source:
        assert source.read_into(memoryview(bytearray(9)), len(CONTENT) + beyond) == 0


def test_an_open_file_tells_its_own_metadata_and_keeps_its_content(storage: StorageHandler) -> None:
    put(storage, b"file", CONTENT)
    with storage.open_folder(b"") as folder, folder.open(b"file") as source:
        entry = folder.stat(b"file")
        assert source.stat() == entry
        folder.remove(b"file")
        assert source.stat().size == len(CONTENT)
        assert content_of(source, buffer_bytes=1_000) == CONTENT


def test_a_source_is_closed_twice_without_harm(storage: StorageHandler) -> None:
    put(storage, b"file", CONTENT)
    with storage.open_folder(b"") as folder:
        source = folder.open(b"file")
        source.close()
        source.close()


def test_folders_and_symlinks_are_no_regular_files(storage: StorageHandler) -> None:
    put(storage, b"folder/file", b"")
    put_symlink(storage, b"link", b"folder/file")
    put_symlink(storage, b"dangling", b"nowhere")
    with storage.open_folder(b"") as folder:
        for name in (b"folder", b"link", b"dangling"):
            with refused(ErrorKind.SPECIAL_FILE):
                folder.open(name)


def test_only_one_name_can_be_opened(storage: StorageHandler) -> None:
    put(storage, b"folder/file", b"")
    with storage.open_folder(b"folder") as folder:
        for name in (b"", b".", b"..", b"../folder/file", b"./file", b"file/", b"file\0"):
            with refused(ErrorKind.NAME_INVALID):
                folder.open(name)
            with refused(ErrorKind.NAME_INVALID):
                folder.stat(name)
