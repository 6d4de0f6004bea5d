"""Folders: opening, making, removing, and staying inside the storage."""

from __future__ import annotations

import os

import pytest

from longshore.domain.entry import EntryKind
from longshore.domain.errors import ErrorKind
from longshore.storage.handler import StorageHandler
from tests.contract.storage.conftest import Ground
from tests.contract.storage.deeds import (
    TEMPORARY,
    entries,
    listed,
    open_descriptors,
    put,
    put_symlink,
    read,
    refused,
)


def test_a_folder_knows_its_path(storage: StorageHandler) -> None:
    for path in (b"", b"a", b"a/b/c"):
        with storage.open_folder(path, create=True) as folder:
            assert folder.path == path


def test_a_missing_folder_is_not_found_unless_it_is_made(storage: StorageHandler) -> None:
    with refused(ErrorKind.NOT_FOUND) as caught:
        storage.open_folder(b"a/b/c")
    assert caught.value.path in {b"a", b"a/b/c"}
    storage.open_folder(b"a/b/c", create=True).close()
    storage.open_folder(b"a/b/c", create=True).close()
    assert listed(storage, b"a/b") == [b"c"]


def test_a_file_on_the_way_is_no_folder(storage: StorageHandler) -> None:
    put(storage, b"file", b"")
    for path in (b"file", b"file/below", b"file/below/deeper"):
        for create in (False, True):
            with refused(ErrorKind.NOT_A_FOLDER):
                storage.open_folder(path, create=create)


def test_make_folder_tells_whether_it_did(storage: StorageHandler) -> None:
    put(storage, b"file", b"")
    put_symlink(storage, b"link", b"folder")
    with storage.open_folder(b"") as folder:
        assert folder.make_folder(b"folder") is True
        assert folder.make_folder(b"folder") is False
        for name in (b"file", b"link"):
            with refused(ErrorKind.NOT_A_FOLDER):
                folder.make_folder(name)


def test_files_and_symlinks_are_removed_and_then_not_found(storage: StorageHandler) -> None:
    put(storage, b"file", b"")
    put_symlink(storage, b"link", b"file")
    with storage.open_folder(b"") as folder:
        folder.remove(b"link")
        assert folder.stat(b"file").kind is EntryKind.FILE
        folder.remove(b"file")
        for name in (b"file", b"link"):
            with refused(ErrorKind.NOT_FOUND):
                folder.remove(name)


def test_remove_takes_no_folder_and_remove_folder_no_file(storage: StorageHandler) -> None:
    put(storage, b"file", b"")
    put_symlink(storage, b"link", b"folder")
    storage.open_folder(b"folder", create=True).close()
    with storage.open_folder(b"") as folder:
        with refused(ErrorKind.IS_A_FOLDER):
            folder.remove(b"folder")
        for name in (b"file", b"link"):
            with refused(ErrorKind.NOT_A_FOLDER):
                folder.remove_folder(name)
    assert listed(storage) == [b"file", b"folder", b"link"]


def test_only_empty_folders_are_removed(storage: StorageHandler) -> None:
    put(storage, b"full/file", b"")
    with storage.open_folder(b"staged", create=True) as folder:
        folder.stage(TEMPORARY, size=0).close()
    storage.open_folder(b"empty", create=True).close()
    with storage.open_folder(b"") as folder:
        for name in (b"full", b"staged"):
            with refused(ErrorKind.NOT_EMPTY):
                folder.remove_folder(name)
        folder.remove_folder(b"empty")
        with refused(ErrorKind.NOT_FOUND):
            folder.remove_folder(b"empty")
    assert listed(storage) == [b"full", b"staged"]


@pytest.mark.parametrize(
    "path", [b"..", b"a/..", b"../outside", b".", b"a/./b", b"/a", b"a//b", b"a/", b"a\0b"]
)
def test_paths_that_are_not_plain_names_are_refused(storage: StorageHandler, path: bytes) -> None:
    storage.open_folder(b"a/b", create=True).close()
    for create in (False, True):
        with refused(ErrorKind.NAME_INVALID):
            storage.open_folder(path, create=create)


def test_names_that_are_not_plain_are_refused_by_every_deed(storage: StorageHandler) -> None:
    with storage.open_folder(b"a", create=True) as folder:
        for name in (b"..", b".", b"", b"b/c", b"/b", b"b\0"):
            for deed in (folder.make_folder, folder.remove, folder.remove_folder):
                with refused(ErrorKind.NAME_INVALID):
                    deed(name)
    assert listed(storage) == [b"a"]


def test_names_longer_than_the_storage_takes_are_invalid(storage: StorageHandler) -> None:
    name = b"x" * (storage.capabilities.name_bytes_maximum + 1)
    with storage.open_folder(b"") as folder:
        with refused(ErrorKind.NAME_INVALID):
            folder.make_folder(name)
    with refused(ErrorKind.NAME_INVALID):
        storage.open_folder(name, create=True)


def test_deep_paths_are_reached(storage: StorageHandler) -> None:
    # Twice as long as one path of the system may be, where the storage takes it.
    length = min(storage.capabilities.path_bytes_maximum - len(b"/file"), 8_039)
    path = b"/".join([b"d" * 200] * 40)[:length].rstrip(b"/")
    put(storage, path + b"/file", b"deep")
    assert read(storage, path + b"/file") == b"deep"
    assert [entry.name for entry in entries(storage, path)] == [b"file"]


def test_no_symlink_is_taken_for_a_folder(ground: Ground) -> None:
    storage = ground.open()
    put(storage, b"inside/file", b"")
    put_symlink(storage, b"absolute", ground.outside)
    put_symlink(storage, b"relative", b"../outside")
    put_symlink(storage, b"within", b"inside")
    put_symlink(storage, b"inside/self", b".")
    for path in (b"absolute", b"relative", b"within", b"inside/self", b"absolute/x", b"within/x"):
        for create in (False, True):
            with refused(ErrorKind.NOT_A_FOLDER):
                storage.open_folder(path, create=create)
    assert os.listdir(ground.outside) == []


def test_a_held_folder_stays_itself_when_its_name_is_taken_by_a_symlink(ground: Ground) -> None:
    storage = ground.open()
    if not storage.capabilities.holds_names:
        pytest.skip("this storage finds a folder again by its name")
    with storage.open_folder(b"folder", create=True) as held:
        with storage.open_folder(b"") as root:
            root.remove_folder(b"folder")
        put_symlink(storage, b"folder", ground.outside)
        with refused(ErrorKind.NOT_FOUND):
            held.stage(TEMPORARY, size=0)
        with refused(ErrorKind.NOT_FOUND):
            held.make_folder(b"sub")
        assert list(held.entries()) == []
    assert os.listdir(ground.outside) == []


def test_no_descriptor_is_left_open_whatever_is_refused(ground: Ground) -> None:
    before = open_descriptors()
    storage = ground.open()
    put(storage, b"a/b/file", b"")
    put_symlink(storage, b"a/link", b"b")
    for path in (b"a/b/file", b"a/link/x", b"a/b/none", b"none"):
        with refused(ErrorKind.NOT_A_FOLDER, ErrorKind.NOT_FOUND):
            storage.open_folder(path)
    with storage.open_folder(b"a") as folder:
        for name in (b"b", b"link", b"none"):
            with refused(ErrorKind.SPECIAL_FILE, ErrorKind.NOT_FOUND):
                folder.open(name)
        with refused(ErrorKind.NO_SPACE):
            folder.stage(TEMPORARY, size=1 << 62)
        next(folder.entries())
    storage.make_durable()
    storage.close()
    assert open_descriptors() == before
