"""Staged files: invisible until the commit, whole after it, and safe to begin again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from longshore.domain.entry import EntryKind
from longshore.domain.errors import ErrorKind, StorageError
from longshore.storage.handler import TEMPORARY_PREFIX, Intent, Metadata, StorageHandler
from tests.contract.storage.conftest import Ground
from tests.contract.storage.deeds import (
    BIG_BUFFER,
    TEMPORARY,
    content_of,
    entries,
    lasting_piece,
    listed,
    put,
    put_symlink,
    read,
    refused,
    without_atime,
)

RACES = 10  # of two writers each
RACE_SECONDS = 60.0  # for both to be ready


def test_nothing_appears_before_the_commit(storage: StorageHandler) -> None:
    with storage.open_folder(b"") as folder, folder.stage(TEMPORARY, size=3) as staged:
        staged.write(memoryview(b"abc"), 0)
        assert listed(storage) == []
        staged.commit(b"final", replace=False)
        assert folder.staged_names() == []
    assert read(storage, b"final") == b"abc"


def test_an_empty_file_can_be_published(storage: StorageHandler) -> None:
    put(storage, b"empty", b"")
    assert entries(storage)[0].size == 0
    assert read(storage, b"empty") == b""


def test_parts_may_be_written_in_any_order(storage: StorageHandler) -> None:
    if not storage.capabilities.ranged_write:
        pytest.skip("this storage writes in order only")
    with storage.open_folder(b"") as folder, folder.stage(TEMPORARY, size=9) as staged:
        staged.write(memoryview(b"ghi"), 6)
        assert staged.size() == 9
        staged.write(memoryview(b"abc"), 0)
        staged.write(memoryview(b"def"), 3)
        staged.commit(b"final", replace=False)
    assert read(storage, b"final") == b"abcdefghi"


def test_two_handlers_write_parts_of_one_staged_file(ground: Ground) -> None:
    one, other = ground.open(), ground.open()
    if not one.capabilities.ranged_write:
        pytest.skip("this storage writes in order only")
    first, second = lasting_piece(one, b"a"), lasting_piece(one, b"b")
    size = len(first + second)
    with one.open_folder(b"") as folder, folder.stage(TEMPORARY, size=size) as staged:
        token = staged.token()
        with (
            other.open_folder(b"") as same,
            same.stage(TEMPORARY, size=size, resume=True, token=token) as part,
        ):
            part.write(memoryview(second), len(first))
        staged.write(memoryview(first), 0)
        staged.commit(b"final", replace=False)
    assert read(other, b"final", buffer_bytes=BIG_BUFFER) == first + second


def test_what_was_written_can_be_read_back_before_the_commit(storage: StorageHandler) -> None:
    content = bytes(range(256)) * 3
    with storage.open_folder(b"") as folder, folder.stage(TEMPORARY, size=768) as staged:
        staged.write(memoryview(content), 0)
        assert content_of(staged) == content
        assert staged.read_into(memoryview(bytearray(9)), 768) == 0
        staged.abort()


def test_a_closed_staged_file_is_kept_and_resumed(ground: Ground) -> None:
    storage = ground.open()
    first, second = lasting_piece(storage, b"a"), lasting_piece(storage, b"b")
    size = len(first + second)
    with storage.open_folder(b"") as folder, folder.stage(TEMPORARY, size=size) as staged:
        staged.write(memoryview(first), 0)
    storage = ground.open()
    with storage.open_folder(b"") as folder:
        assert folder.staged_names() == [TEMPORARY]
        with folder.stage(TEMPORARY, size=size, resume=True) as staged:
            assert staged.size() == len(first)
            if not storage.capabilities.confirms_content:
                assert content_of(staged) == first
            staged.write(memoryview(second), len(first))
            staged.commit(b"final", replace=False)
        assert folder.staged_names() == []
    assert read(storage, b"final", buffer_bytes=BIG_BUFFER) == first + second


def test_a_left_over_of_many_pieces_is_removed_by_its_name(ground: Ground) -> None:
    storage = ground.open()
    first = lasting_piece(storage, b"a")
    with storage.open_folder(b"") as folder, folder.stage(TEMPORARY, size=2 * len(first)) as staged:
        staged.write(memoryview(first), 0)
    with ground.open().open_folder(b"") as folder:
        folder.remove(TEMPORARY)
        assert folder.staged_names() == []
        with refused(ErrorKind.NOT_FOUND):
            folder.remove(TEMPORARY)
        with folder.stage(TEMPORARY, size=2 * len(first), resume=True) as staged:
            assert staged.size() == 0
            staged.abort()
        assert folder.staged_names() == []


@pytest.mark.parametrize("name", [b"intended", b"another"])
@pytest.mark.parametrize("standing", [b"intended", b"elsewhere"])
def test_what_was_intended_of_a_big_file_may_change_at_its_end(
    storage: StorageHandler, name: bytes, standing: bytes
) -> None:
    content = lasting_piece(storage, b"a") + b"end"
    put(storage, standing, b"old")
    intent = Intent(b"intended", Metadata(mode=0o600, mtime_ns=10**18))
    with storage.open_folder(b"") as folder:
        with folder.stage(TEMPORARY, size=len(content), intent=intent) as staged:
            staged.write(memoryview(content), 0)
            assert staged.set_metadata(Metadata(mode=0o640, mtime_ns=5 * 10**17)) == ()
            if name == standing:
                with refused(ErrorKind.EXISTS):
                    staged.commit(name, replace=False)
            staged.commit(name, replace=name == standing)
        found = folder.stat(name)
        assert (found.size, found.mtime_ns) == (len(content), 5 * 10**17)
        assert folder.staged_names() == []
    assert read(storage, name, buffer_bytes=BIG_BUFFER) == content
    assert listed(storage) == sorted({name, standing})


def test_resume_of_nothing_begins_anew(storage: StorageHandler) -> None:
    with storage.open_folder(b"") as folder:
        with folder.stage(TEMPORARY, size=6, resume=True) as staged:
            assert staged.size() == 0
            staged.abort()


def test_staging_again_without_resume_starts_over(storage: StorageHandler) -> None:
    with storage.open_folder(b"") as folder:
        with folder.stage(TEMPORARY, size=6) as staged:
            staged.write(memoryview(b"longer than the second"), 0)
        with folder.stage(TEMPORARY, size=3) as staged:
            assert staged.size() == 0
            staged.write(memoryview(b"new"), 0)
            staged.commit(b"final", replace=False)
    assert read(storage, b"final") == b"new"


def test_starting_over_leaves_an_abandoned_writer_without_effect(ground: Ground) -> None:
    with ground.open().open_folder(b"") as before, before.stage(TEMPORARY, size=3) as abandoned:
        storage = ground.open()
        put(storage, b"final", b"new")
        abandoned.write(memoryview(b"old"), 0)
        assert read(storage, b"final") == b"new"


@pytest.mark.parametrize("resume", [False, True])
def test_a_left_over_staged_symlink_gives_way_to_a_file(
    storage: StorageHandler, resume: bool
) -> None:
    put(storage, b"published", b"untouched")
    with storage.open_folder(b"") as folder:
        folder.stage_symlink(TEMPORARY, b"published").close()
        with folder.stage(TEMPORARY, size=3, resume=resume) as staged:
            assert staged.size() == 0
            staged.write(memoryview(b"new"), 0)
            staged.commit(b"final", replace=False)
    assert read(storage, b"published") == b"untouched"
    assert read(storage, b"final") == b"new"


def test_abort_removes_and_may_be_repeated(storage: StorageHandler) -> None:
    with storage.open_folder(b"") as folder:
        staged = folder.stage(TEMPORARY, size=3)
        staged.write(memoryview(b"abc"), 0)
        staged.abort()
        assert folder.staged_names() == []
        staged.abort()
        staged.close()


def test_abort_after_close_removes(storage: StorageHandler) -> None:
    with storage.open_folder(b"") as folder:
        staged = folder.stage(TEMPORARY, size=3)
        staged.close()
        staged.close()
        staged.abort()
        assert folder.staged_names() == []


def test_abort_after_the_commit_touches_nothing(storage: StorageHandler) -> None:
    with storage.open_folder(b"") as folder:
        staged = folder.stage(TEMPORARY, size=0)
        staged.commit(b"final", replace=False)
        folder.stage(TEMPORARY, size=0).close()  # the name in use again
        staged.abort()
        assert folder.staged_names() == [TEMPORARY]
    assert listed(storage) == [b"final"]


def test_commit_with_replace_shows_the_new_content(storage: StorageHandler) -> None:
    put(storage, b"final", b"the old content")
    put(storage, b"final", b"new", replace=True)
    assert read(storage, b"final") == b"new"


def test_commit_with_replace_leaves_open_readers_the_old_content(storage: StorageHandler) -> None:
    if not storage.capabilities.atomic_replace:
        pytest.skip("this storage does not replace atomically")
    put(storage, b"final", b"the old content")
    with storage.open_folder(b"") as folder, folder.open(b"final") as reader:
        put(storage, b"final", b"new", replace=True)
        assert content_of(reader) == b"the old content"


def test_commit_with_replace_takes_the_place_of_a_symlink_not_of_its_target(
    storage: StorageHandler,
) -> None:
    put(storage, b"target", b"untouched")
    put_symlink(storage, b"final", b"target")
    put(storage, b"final", b"new", replace=True)
    assert read(storage, b"target") == b"untouched"
    assert read(storage, b"final") == b"new"


@pytest.mark.parametrize("standing", ["file", "folder", "symlink", "dangling"])
def test_commit_without_replace_leaves_what_stands_there(
    storage: StorageHandler, standing: str
) -> None:
    put(storage, b"target", b"untouched")
    if standing == "file":
        put(storage, b"final", b"untouched")
    elif standing == "folder":
        put(storage, b"final/inside", b"untouched")
    else:
        put_symlink(storage, b"final", b"target" if standing == "symlink" else b"nowhere")
    before = [without_atime(entry) for entry in entries(storage)]
    with storage.open_folder(b"") as folder, folder.stage(TEMPORARY, size=3) as staged:
        staged.write(memoryview(b"new"), 0)
        with refused(ErrorKind.EXISTS):
            staged.commit(b"final", replace=False)
        assert folder.staged_names() == [TEMPORARY]
        assert [without_atime(entry) for entry in entries(storage)] == before
        staged.write(memoryview(b"er"), 3)  # still open
        staged.commit(b"another", replace=False)
    assert read(storage, b"another") == b"newer"
    assert read(storage, b"target") == b"untouched"


def test_of_two_writers_of_one_name_one_gets_it(ground: Ground) -> None:
    one, other = ground.open(), ground.open()
    if not one.capabilities.exclusive_create:
        pytest.skip("this storage cannot refuse to replace by one step")
    start = Barrier(2)

    def write(storage: StorageHandler, name: bytes, content: bytes) -> bool:
        """Whether it got the name."""
        with (
            storage.open_folder(b"") as folder,
            folder.stage(TEMPORARY + content, size=3) as staged,
        ):
            staged.write(memoryview(content), 0)
            start.wait(RACE_SECONDS)
            try:
                staged.commit(name, replace=False)
            except StorageError as error:
                staged.abort()
                if error.kind is not ErrorKind.EXISTS:
                    raise
                return False
        return True

    with ThreadPoolExecutor(2) as writers:
        for number in range(RACES):
            name = b"final-%d" % number
            first = writers.submit(write, one, name, b"one")
            second = writers.submit(write, other, name, b"two")
            assert first.result() + second.result() == 1
            assert read(one, name) == (b"one" if first.result() else b"two")


def test_commit_never_replaces_a_folder(storage: StorageHandler) -> None:
    storage.open_folder(b"final", create=True).close()
    with storage.open_folder(b"") as folder, folder.stage(TEMPORARY, size=0) as staged:
        with refused(ErrorKind.IS_A_FOLDER):
            staged.commit(b"final", replace=True)
        staged.commit(b"another", replace=True)
    assert [(entry.name, entry.kind) for entry in entries(storage)] == [
        (b"another", EntryKind.FILE),
        (b"final", EntryKind.FOLDER),
    ]


def test_commit_of_a_staged_file_that_somebody_removed_publishes_nothing(
    storage: StorageHandler,
) -> None:
    put(storage, b"final", b"untouched")
    with storage.open_folder(b"") as folder, folder.stage(TEMPORARY, size=0) as staged:
        folder.remove(TEMPORARY)
        for replace in (False, True):
            with refused(ErrorKind.NOT_FOUND, ErrorKind.EXISTS):
                staged.commit(b"final", replace=replace)
        staged.abort()
    assert read(storage, b"final") == b"untouched"


def test_a_symlink_is_staged_published_and_replaced(storage: StorageHandler) -> None:
    if not storage.capabilities.symlinks:
        pytest.skip("this storage keeps no symbolic links")
    put(storage, b"final", b"a file first")
    with storage.open_folder(b"") as folder:
        folder.stage(TEMPORARY, size=0).close()  # left over, of another kind
        with folder.stage_symlink(TEMPORARY, b"/absolute/\xff") as staged:
            assert staged.size() == len(b"/absolute/\xff")
            with refused(ErrorKind.EXISTS):
                staged.commit(b"final", replace=False)
            staged.commit(b"final", replace=True)
        assert folder.stat(b"final").link_target == b"/absolute/\xff"
        with folder.stage_symlink(TEMPORARY, b"x") as staged:
            staged.abort()
        assert folder.staged_names() == []


@pytest.mark.parametrize("target", [b"", b"nul\0byte"])
def test_impossible_symlink_targets_are_refused(storage: StorageHandler, target: bytes) -> None:
    with storage.open_folder(b"") as folder, refused(ErrorKind.NAME_INVALID):
        folder.stage_symlink(TEMPORARY, target)


def test_a_staged_symlink_has_no_content(storage: StorageHandler) -> None:
    with storage.open_folder(b"") as folder, folder.stage_symlink(TEMPORARY, b"x") as staged:
        with refused(ErrorKind.UNSUPPORTED):
            staged.write(memoryview(b"x"), 0)
        with refused(ErrorKind.UNSUPPORTED):
            staged.read_into(memoryview(bytearray(1)), 0)
        staged.abort()


def test_only_names_with_the_prefix_are_staged(storage: StorageHandler) -> None:
    with storage.open_folder(b"") as folder:
        for name in (b"plain", b"", b"..", TEMPORARY_PREFIX + b"/x", TEMPORARY_PREFIX + b"\0"):
            with refused(ErrorKind.NAME_INVALID):
                folder.stage(name, size=0)
            with refused(ErrorKind.NAME_INVALID):
                folder.stage_symlink(name, b"target")
        assert folder.staged_names() == []
    assert listed(storage) == []


def test_a_final_name_must_be_one_name(storage: StorageHandler) -> None:
    storage.open_folder(b"folder", create=True).close()
    with storage.open_folder(b"") as folder, folder.stage(TEMPORARY, size=0) as staged:
        for name in (b"", b".", b"..", b"folder/x", b"../x", b"/x", b"nul\0", b"x" * 256):
            for replace in (False, True):
                with refused(ErrorKind.NAME_INVALID):
                    staged.commit(name, replace=replace)
        staged.abort()
    assert listed(storage) == [b"folder"]


def test_a_file_larger_than_the_storage_is_refused_as_no_space(storage: StorageHandler) -> None:
    with storage.open_folder(b"") as folder:
        with refused(ErrorKind.NO_SPACE):
            folder.stage(TEMPORARY, size=1 << 62)
