"""The native listing beside the one in Python."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.domain.entry import Entry, EntryKind
from longshore.native import loops
from longshore.storage.backends.posix import PosixStorage
from longshore.storage.handler import TEMPORARY_PREFIX
from tests.contract.storage.conftest import REFERENCE
from tests.fidelity import grow_all
from tests.native.conftest import Pair, listing_of, open_descriptors
from tests.unit.storage.backends.conftest import ordinary_user

NAMES = st.binary(min_size=1, max_size=20).filter(
    lambda name: not set(b"/\0") & set(name) and name not in {b".", b".."}
)
LIKE_NAMES = st.builds(lambda number, end: b"frame-%d%s" % (number, end), st.integers(0), NAMES)


def listed(folder: Path, *, native: bool, after: bytes = b"") -> list[Entry]:
    with PosixStorage(REFERENCE, os.fsencode(folder), native=native) as storage:
        with storage.open_folder(b"") as opened:
            return list(opened.entries(after=after))


def test_every_feature_of_a_file_is_told_as_in_python(tmp_path: Path) -> None:
    grow_all(tmp_path)
    os.symlink("x" * 4000, tmp_path / "long link")
    (tmp_path / os.fsdecode(TEMPORARY_PREFIX + b"staged")).touch()
    listed(tmp_path, native=True)  # reading a link for the first time changes its access time
    found = listed(tmp_path, native=True)
    assert found == listed(tmp_path, native=False)
    assert {type(entry.kind) for entry in found} == {EntryKind}


@given(names=st.sets(st.one_of(NAMES, LIKE_NAMES), max_size=40), after=st.one_of(NAMES, LIKE_NAMES))
def test_any_names_come_in_the_order_of_python(names: set[bytes], after: bytes) -> None:
    folder = Path(tempfile.mkdtemp(prefix="longshore-test-"))
    try:
        for name in names:
            os.close(os.open(os.path.join(os.fsencode(folder), name), os.O_CREAT, 0o600))
        assert listed(folder, native=True) == listed(folder, native=False)
        rest = listed(folder, native=True, after=after)
        assert rest == listed(folder, native=False, after=after)
        assert [entry.name for entry in rest] == sorted(
            name for name in names if name > after and not name.startswith(TEMPORARY_PREFIX)
        )
    finally:
        shutil.rmtree(folder)


def test_more_names_than_are_looked_at_at_once_all_come(tmp_path: Path) -> None:
    for number in range(3000):
        (tmp_path / f"{number * 7919 % 3000:05}").touch()
    names = [entry.name for entry in listed(tmp_path, native=True)]
    assert names == [b"%05d" % number for number in range(3000)]


def test_names_of_full_length_that_differ_in_the_last_byte_are_sorted(tmp_path: Path) -> None:
    for end in "badc":
        (tmp_path / ("n" * 254 + end)).touch()
    names = [entry.name[-1:] for entry in listed(tmp_path, native=True)]
    assert names == [b"a", b"b", b"c", b"d"]


def test_a_long_folder_comes_in_sorted_runs_without_loss(pair: Pair) -> None:
    names = {b"%05d" % (number * 7919 % 30_000) + b"n" * 50 for number in range(30_000)}
    for name in names:
        os.close(os.open(name, os.O_CREAT, 0o600, dir_fd=pair.source_descriptor))
    runs = []
    while run := loops.read_names(pair.source_descriptor, b"", TEMPORARY_PREFIX, 100_000):
        runs.append(run.split(b"\0")[:-1])
    assert len(runs) > 1
    assert all(run == sorted(run) for run in runs)
    assert sorted(name for run in runs for name in run) == sorted(names)


def test_a_name_that_vanishes_during_the_listing_is_left_out(pair: Pair) -> None:
    for name in "abc":
        (pair.source / name).touch()
    listing = listing_of(pair.source_descriptor)
    (pair.source / "b").unlink()
    entries, trouble = listing.take(pair.source_descriptor, 10)
    assert [entry.name for entry in entries] == [b"a", b"c"]
    assert trouble is None
    assert not listing


def test_a_name_that_cannot_be_looked_at_is_for_the_caller(pair: Pair) -> None:
    for name in "abc":
        (pair.source / name).touch()
    pair.source.parent.chmod(0o755)
    pair.source.chmod(0o744)  # its names may be read, what they lead to may not
    listing = listing_of(pair.source_descriptor)
    with ordinary_user():
        entries, trouble = listing.take(pair.source_descriptor, 10)
    pair.source.chmod(0o755)
    if os.geteuid() == 0:
        assert (entries, trouble) == ([], b"a")
        entries, trouble = listing.take(pair.source_descriptor, 10)
        assert [entry.name for entry in entries] == [b"b", b"c"]


def test_a_removed_folder_is_empty(pair: Pair) -> None:
    pair.source.rmdir()
    assert not listing_of(pair.source_descriptor)


def test_a_folder_may_be_listed_in_any_way_again_through_one_descriptor(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / os.fsdecode(TEMPORARY_PREFIX + b"staged")).touch()
    for native in (True, False):
        with PosixStorage(REFERENCE, os.fsencode(tmp_path), native=native) as storage:
            with storage.open_folder(b"") as opened:
                for _ in range(2):
                    assert [entry.name for entry in opened.entries()] == [b"a"]
                    assert opened.staged_names() == [TEMPORARY_PREFIX + b"staged"]


def test_a_descriptor_of_no_folder_is_refused() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        loops.read_names(-1, b"", b"", 1000)
    with open(__file__, "rb") as file, pytest.raises(OSError, match="Not a directory"):
        loops.read_names(file.fileno(), b"", b"", 1000)


def test_a_closed_folder_gives_no_entries() -> None:
    assert loops.Listing([b"a\0"]).take(-1, 10) == ([], b"a")


def test_a_listing_takes_no_more_of_its_blocks_than_it_needs(pair: Pair) -> None:
    for name in "abc":
        (pair.source / name).touch()
    blocks = iter([b"a\0", b"b\0", b"c\0"])
    listing = loops.Listing(blocks)
    entries, _ = listing.take(pair.source_descriptor, 2)
    assert [entry.name for entry in entries] == [b"a", b"b"]
    assert list(blocks) == [b"c\0"]
    assert not listing


@pytest.mark.parametrize("count", [0, -1, 4001, 1 << 62])
def test_as_many_entries_as_no_call_gives_are_refused(pair: Pair, count: int) -> None:
    with pytest.raises(ValueError, match="entries"):
        loops.Listing([b"a\0"]).take(pair.source_descriptor, count)


@pytest.mark.parametrize("size", [0, -1, 1 << 40])
def test_runs_of_no_sensible_size_are_refused(pair: Pair, size: int) -> None:
    with pytest.raises(ValueError, match="bytes"):
        loops.read_names(pair.source_descriptor, b"", b"", size)


@pytest.mark.parametrize("block", [b"a", b"a\0b", b"../a\0", b"a\0/\0"])
def test_what_is_no_block_of_names_is_refused(block: bytes) -> None:
    with pytest.raises(ValueError, match="each name of a block"):
        bool(loops.Listing([block]))
    with pytest.raises(TypeError, match="bytes"):
        bool(loops.Listing(["text"]))  # type: ignore[list-item]


def test_listing_leaves_no_descriptor_open(pair: Pair) -> None:
    grow_all(pair.source)
    before = open_descriptors()
    for _ in range(20):
        listing_of(pair.source_descriptor).take(pair.source_descriptor, 5)
    assert open_descriptors() == before


def test_a_listing_that_holds_itself_goes_when_nobody_needs_it() -> None:
    gone: list[bool] = []

    class Blocks:
        listing: loops.Listing | None = None

        def __iter__(self) -> Blocks:
            return self

        def __next__(self) -> bytes:
            raise StopIteration

        def __del__(self) -> None:
            gone.append(True)

    blocks = Blocks()
    blocks.listing = loops.Listing(blocks)
    del blocks
    gc.collect()
    assert gone == [True]
