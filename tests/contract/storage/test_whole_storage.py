"""The storage as a whole: there or not, its room, its durability, its capabilities."""

from __future__ import annotations

import pytest

from longshore.domain.errors import ErrorKind, RetryClass, StorageUnavailable
from longshore.storage.handler import Metadata, StorageHandler
from tests.contract.storage.conftest import REFERENCE, Ground
from tests.contract.storage.deeds import TEMPORARY, listed, put, read


def test_a_storage_that_is_there_passes_its_check(storage: StorageHandler) -> None:
    storage.check(writable=False)
    storage.check(writable=True)


def test_a_handler_bears_its_reference(storage: StorageHandler) -> None:
    assert storage.reference == REFERENCE


def test_the_room_is_told_in_bytes(storage: StorageHandler) -> None:
    space = storage.space()
    assert 0 < space.free_bytes <= space.total_bytes


def test_opening_a_handler_does_nothing_yet(ground: Ground) -> None:
    ground.vanish()
    ground.open().close()


def test_a_storage_that_never_was_there_is_unavailable(ground: Ground) -> None:
    ground.vanish()
    storage = ground.open()
    for deed in (
        lambda: storage.check(writable=False),
        storage.space,
        storage.make_durable,
        lambda: storage.open_folder(b""),
        lambda: storage.open_folder(b"a/b", create=True),
    ):
        with pytest.raises(StorageUnavailable) as caught:
            deed()
        assert caught.value.retry is RetryClass.LATER


def test_a_storage_that_goes_away_is_unavailable_not_empty(ground: Ground) -> None:
    storage = ground.open()
    put(storage, b"folder/file", b"")
    with storage.open_folder(b"folder") as folder:
        ground.vanish()
        for deed in (
            lambda: folder.stage(TEMPORARY, size=storage.capabilities.staged_in_memory_bytes + 1),
            lambda: folder.make_folder(b"x"),
            lambda: folder.stat(b"file"),
            lambda: folder.open(b"file"),
            lambda: storage.open_folder(b"folder"),
            lambda: storage.check(writable=True),
        ):
            with pytest.raises(StorageUnavailable):
                deed()


def test_make_durable_may_be_repeated_and_changes_nothing(storage: StorageHandler) -> None:
    storage.make_durable()
    put(storage, b"file", b"abc")
    storage.make_durable()
    storage.make_durable()
    assert read(storage, b"file") == b"abc"


def test_a_closed_handler_leaves_its_open_folders_alone(ground: Ground) -> None:
    storage = ground.open()
    with storage.open_folder(b"", create=True) as folder:
        storage.close()
        storage.close()
        with folder.stage(TEMPORARY, size=3) as staged:
            staged.write(memoryview(b"abc"), 0)
            staged.commit(b"file", replace=False)
    assert read(ground.open(), b"file") == b"abc"


def test_another_handler_sees_all_that_was_published(ground: Ground) -> None:
    one, other = ground.open(), ground.open()
    for name in (b"a", b"b"):
        put(one, name, name)
    assert listed(other) == [b"a", b"b"]


def test_the_same_work_done_twice_ends_the_same(storage: StorageHandler) -> None:
    for _ in range(2):
        with storage.open_folder(b"a/b", create=True) as folder:
            folder.make_folder(b"c")
            with folder.stage(TEMPORARY, size=3) as staged:
                staged.write(memoryview(b"abc"), 0)
                staged.set_metadata(Metadata(mode=0o640, mtime_ns=10**18))
                staged.commit(b"file", replace=True)
            folder.set_metadata(b"", Metadata(mode=0o700))
            assert folder.staged_names() == []
    assert listed(storage, b"a/b") == [b"c", b"file"]


def test_errors_name_the_deed_the_path_and_the_cause(storage: StorageHandler) -> None:
    with storage.open_folder(b"a\nb", create=True) as folder:
        with pytest.raises(Exception, match="nothing") as caught:
            folder.open(b"nothing\xff")
    text = str(caught.value)
    assert "open" in text
    assert "a\\nb/nothing\\xff" in text
    assert "\n" not in text
    assert caught.value.kind is ErrorKind.NOT_FOUND  # type: ignore[attr-defined]
