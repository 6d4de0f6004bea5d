"""What a listing shows, and in which order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from longshore.domain.entry import EntryKind
from longshore.domain.errors import ErrorKind
from longshore.storage.handler import TEMPORARY_PREFIX, StorageHandler
from tests.contract.storage.deeds import (
    TEMPORARY,
    entries,
    listed,
    put,
    put_symlink,
    read,
    refused,
    without_atime,
)

ODD_NAMES = [
    b"-rf",
    b" leading and trailing ",
    b"new\nline",
    b"tab\tand\rreturn",
    b"\xff\xfe not UTF-8 \x80",
    "Ünïcödé 日本語 🐋".encode(),
    "e\u0301 decomposed".encode(),
    b"\xc3\xa9 composed",
    b"back\\slash",
    b"*?[glob]",
    b"$(command) `quoted` \"double\" 'single'",
    b".hidden",
    b"...",
    b"\x01\x7f",
    b"x" * 255,
]


def test_an_empty_storage_lists_nothing(storage: StorageHandler) -> None:
    assert entries(storage) == []


def test_outlines_have_names_and_sizes_and_can_be_completed(storage: StorageHandler) -> None:
    put(storage, b"file", b"abc")
    put(storage, b"other file", b"")
    put(storage, b"gone", b"x")
    put_symlink(storage, b"link", b"some/where")
    with storage.open_folder(b"") as folder:
        folder.make_folder(b"sub")
        outlines = list(folder.outlines())
        later = [each.name for each in folder.outlines(after=b"gone")]
        folder.remove(b"gone")
        completed = folder.completed(outlines)
        whole = list(folder.entries())
    assert [each.name for each in outlines] == [b"file", b"gone", b"link", b"other file", b"sub"]
    assert later == [b"link", b"other file", b"sub"]
    assert [each.size for each in outlines if each.name.endswith(b"file")] == [3, 0]
    kinds = [each.kind for each in outlines if not each.is_outline]
    assert EntryKind.FOLDER in kinds
    found = [each for each in completed if each is not None and each.name != b"gone"]
    assert list(map(without_atime, found)) == list(map(without_atime, whole))
    if outlines[1].is_outline:
        assert completed[1] is None


def test_names_come_sorted_by_their_bytes(storage: StorageHandler) -> None:
    # U+FF5E sorts before U+1F40B as bytes, and after it as UTF-16; \xff sorts behind both.
    names = [b"b", b"a", b"B", b"a.b", b"a-b", b"ab", b"\xff", "～".encode(), "🐋".encode(), b"a b"]
    for name in names:
        put(storage, name, b"")
    assert listed(storage) == sorted(names)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_survives_the_round_trip(storage: StorageHandler, name: bytes) -> None:
    put(storage, b"folder/" + name, name)
    assert listed(storage, b"folder") == [name]
    assert read(storage, b"folder/" + name) == name
    with storage.open_folder(b"folder") as folder:
        assert folder.stat(name).name == name
        folder.remove(name)
    assert listed(storage, b"folder") == []


def test_any_name_may_be_a_folder(storage: StorageHandler) -> None:
    for name in ODD_NAMES:
        put(storage, name + b"/" + name, name)
    assert listed(storage) == sorted(ODD_NAMES)
    assert all(read(storage, name + b"/" + name) == name for name in ODD_NAMES)


def test_after_leaves_out_all_names_up_to_that_one(storage: StorageHandler) -> None:
    for name in (b"a", b"b", b"b1", b"c"):
        put(storage, name, b"")
    assert listed(storage, after=b"b") == [b"b1", b"c"]
    assert listed(storage, after=b"b0") == [b"b1", b"c"]
    assert listed(storage, after=b"c") == []


def test_a_listing_can_be_continued_after_each_name(storage: StorageHandler) -> None:
    for name in ODD_NAMES:
        put(storage, name, b"")
    whole = listed(storage)
    assert [listed(storage, after=name) for name in whole] == [
        whole[place + 1 :] for place in range(len(whole))
    ]


def test_one_held_folder_can_be_listed_again_and_interleaved(storage: StorageHandler) -> None:
    for number in range(50):
        put(storage, b"%02d" % number, b"")
    with storage.open_folder(b"") as folder:
        first, second = folder.entries(), folder.entries()
        pairs = list(zip(first, second, strict=True))
        assert len(pairs) == 50
        assert all(one == other for one, other in pairs)
        assert len(list(folder.entries())) == 50


def test_staged_files_are_hidden_and_counted_apart(storage: StorageHandler) -> None:
    put(storage, b"file", b"")
    put(storage, TEMPORARY_PREFIX[:-1], b"the prefix without its end is an ordinary name")
    with storage.open_folder(b"") as folder:
        folder.stage(TEMPORARY_PREFIX + b"2", size=0).close()
        folder.stage(TEMPORARY_PREFIX + b"1", size=0).close()
        folder.stage_symlink(TEMPORARY_PREFIX + b"3", b"target").close()
        assert folder.staged_names() == [TEMPORARY_PREFIX + end for end in (b"1", b"2", b"3")]
    assert listed(storage) == [TEMPORARY_PREFIX[:-1], b"file"]


def test_entries_tell_kind_size_and_link_target(storage: StorageHandler) -> None:
    put(storage, b"file", b"12345")
    put(storage, b"folder/inside", b"")
    put_symlink(storage, b"link", b"no/such\xfftarget")
    file, folder, link = entries(storage)
    assert (file.kind, file.size, file.link_target) == (EntryKind.FILE, 5, b"")
    assert folder.kind is EntryKind.FOLDER
    assert (link.kind, link.size, link.link_target) == (
        EntryKind.SYMLINK,
        len(b"no/such\xfftarget"),
        b"no/such\xfftarget",
    )


def test_a_listed_entry_equals_the_stat_of_its_name(storage: StorageHandler) -> None:
    put(storage, b"file", b"12345")
    put_symlink(storage, b"link", b"file")
    storage.open_folder(b"folder", create=True).close()
    with storage.open_folder(b"") as folder:
        shown = [without_atime(entry) for entry in folder.entries()]
        names = (b"file", b"folder", b"link")
        assert shown == [without_atime(folder.stat(name)) for name in names]


def test_identity_stays_while_the_file_does_and_changes_when_it_is_replaced(
    storage: StorageHandler,
) -> None:
    put(storage, b"file", b"1")
    with storage.open_folder(b"") as folder, folder.open(b"file") as held:
        old = folder.stat(b"file").identity
        assert held.stat().identity == old
        put(storage, b"file", b"2", replace=True)
        assert folder.stat(b"file").identity != old or old == 0
        assert held.stat().identity == old


def test_names_that_vanish_during_the_listing_are_left_out(storage: StorageHandler) -> None:
    for name in (b"a", b"b", b"c"):
        put(storage, name, b"")
    with storage.open_folder(b"") as folder:
        listing = folder.entries()
        assert next(listing).name == b"a"
        folder.remove(b"b")
        rest = [entry.name for entry in listing]
    assert rest in ([b"c"], [b"b", b"c"])  # what was read ahead may still be shown


def test_a_name_that_is_not_there_is_not_found(storage: StorageHandler) -> None:
    with storage.open_folder(b"") as folder:
        with refused(ErrorKind.NOT_FOUND):
            folder.stat(b"nothing")
        with refused(ErrorKind.NOT_FOUND):
            folder.open(b"nothing")
        with refused(ErrorKind.NOT_FOUND):
            folder.stat(TEMPORARY)


def test_a_folder_with_many_names_is_listed_whole(storage: StorageHandler) -> None:
    # More than a page of any store; where each is a request, not more than that.
    count = 3_000 if storage.capabilities.holds_names else 1_050
    with storage.open_folder(b"", create=True) as folder:

        def publish(number: int) -> None:
            with folder.stage(TEMPORARY + b"%d" % number, size=0) as staged:
                staged.commit(b"%d" % number, replace=False)

        with ThreadPoolExecutor(storage.capabilities.parallel_operations) as threads:
            list(threads.map(publish, range(count)))
    names = listed(storage)
    assert names == sorted(b"%d" % number for number in range(count))
