"""Two folders listed side by side in the native loops, beside the way in Python."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.domain.entry import Entry, EntryKind
from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.domain.outcome import Outcome
from longshore.native import loops
from longshore.pipeline.comparing import PlainComparer, digest_of
from longshore.pipeline.planning import Standing, verdict
from longshore.storage.backends.posix import PosixStorage
from longshore.storage.bulk import Compared, FolderComparer
from longshore.storage.handler import TEMPORARY_PREFIX
from tests.contract.storage.conftest import REFERENCE
from tests.fidelity import grow_all
from tests.native.conftest import Pair, listing_of, open_descriptors, read_names
from tests.unit.pipeline.driving import plan_for
from tests.unit.storage.backends.conftest import ordinary_user

SECOND = 1_000_000_000
FOLDER, PIPE, LINK, FILE = "folder", "pipe", "link", "file"


class Thing(NamedTuple):
    """What one name is on one side."""

    kind: str
    size: int
    mtime_ns: int
    target: bytes
    mode: int


NAMES = st.sampled_from([b"a", b"ab", b"b", b"b.txt", b"\xff", b"n" * 255, b"c", b"d", b"e", b"f"])
THINGS = st.builds(
    Thing,
    st.sampled_from([FILE, FILE, FILE, LINK, FOLDER, PIPE]),
    st.sampled_from([0, 1, 127, 128, 255, 256, 65_536, 1 << 32]),
    st.sampled_from([0, 1, -1, -40_000, 999_999_999, SECOND, SECOND + 1, -(1 << 40), 1 << 60]),
    st.sampled_from([b"x", b"y", b"z" * 300]),
    st.sampled_from([0o644, 0o600, 0o4755]),
)


def grow(folder: Path, tree: dict[bytes, Thing]) -> None:
    """Make the things, files without content of their own."""
    for name, thing in tree.items():
        path = os.path.join(os.fsencode(folder), name)
        if thing.kind == FOLDER:
            os.mkdir(path)
        elif thing.kind == PIPE:
            os.mkfifo(path)
        elif thing.kind == LINK:
            os.symlink(thing.target, path)
            # Read later than changed, so that reading it leaves the access time alone.
            later = time.time_ns() + 3600 * SECOND
            os.utime(path, ns=(later, thing.mtime_ns), follow_symlinks=False)
        else:
            with open(path, "wb") as file:
                file.truncate(thing.size)
            os.chmod(path, thing.mode)
            os.utime(path, ns=(thing.mtime_ns, thing.mtime_ns))


@contextmanager
def opened(
    source: Path, target: Path, *, native: bool, after: bytes = b"", resolution: int = 1
) -> Iterator[FolderComparer]:
    with (
        PosixStorage(REFERENCE, os.fsencode(source), native=native) as ours,
        PosixStorage(REFERENCE, os.fsencode(target), native=native) as theirs,
        ours.open_folder(b"") as folder,
        theirs.open_folder(b"") as other,
    ):
        comparer = folder.comparer(other, after=after, resolution=resolution)
        if comparer is None:
            standing = Standing(theirs, b"", after=after)
            yield PlainComparer(folder, folder.entries(after=after), standing, resolution)
            standing.close()
        else:
            yield comparer


def pieces(comparer: FolderComparer, count: int) -> list[Compared]:
    """All that it gives; an empty piece at the end says nothing."""
    found = [comparer.take(count)]
    while found[-1].more:
        found.append(comparer.take(count))
    return [each._replace(more=False) for each in found if each.last]


@given(
    source=st.dictionaries(NAMES, THINGS),
    changes=st.dictionaries(NAMES, THINGS | st.none()),
    count=st.integers(1, 12),
    after=st.one_of(st.just(b""), NAMES),
    resolution=st.sampled_from([1, 2, SECOND]),
)
def test_any_two_folders_are_compared_as_planning_does_file_by_file(
    source: dict[bytes, Thing],
    changes: dict[bytes, Thing | None],
    count: int,
    after: bytes,
    resolution: int,
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="longshore-test-"))
    try:
        ours, theirs = folder / "ours", folder / "theirs"
        both = {**source, **changes}
        for each in (ours, theirs):
            each.mkdir()
        grow(ours, source)
        grow(theirs, {name: thing for name, thing in both.items() if thing is not None})
        with opened(ours, theirs, native=False, after=after, resolution=resolution) as plain:
            expected = pieces(plain, count)
        with opened(ours, theirs, native=True, after=after, resolution=resolution) as native:
            assert pieces(native, count) == expected
        _check_verdicts(ours, theirs, expected, after, resolution)
    finally:
        shutil.rmtree(folder)


def _check_verdicts(
    ours: Path, theirs: Path, found: list[Compared], after: bytes, resolution: int
) -> None:
    """Exactly those are passed over that planning calls identical."""
    plan = plan_for(ours, theirs)
    same = [entry for each in found for entry in decoded(each)]
    others = [entry for each in found for entry, _ in each.others]
    with (
        PosixStorage(REFERENCE, os.fsencode(ours), native=False) as storage,
        PosixStorage(REFERENCE, os.fsencode(theirs), native=False) as other,
        storage.open_folder(b"") as folder,
    ):
        standing = Standing(other, b"", after=b"")
        expected: dict[bool, list[Entry]] = {True: [], False: []}
        for entry in folder.entries(after=after):
            decided = verdict(entry, standing.at(entry.name), plan, resolution)
            movable = entry.kind in {EntryKind.FILE, EntryKind.SYMLINK}
            expected[movable and decided is Outcome.IDENTICAL].append(entry)
        standing.close()
    assert (same, others) == (expected[True], expected[False])


def decoded(compared: Compared) -> list[Entry]:
    return msgspec.msgpack.decode(compared.entries, type=list[Entry])


def test_every_feature_of_a_file_is_told_as_in_python(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    grow_all(ours)
    for path in sorted(ours.iterdir()):
        if path.is_file() and not path.is_symlink():
            (theirs / path.name).touch()
            os.truncate(theirs / path.name, path.stat().st_size)
            times = path.stat().st_mtime_ns
            os.utime(theirs / path.name, ns=(times, times))
    later = time.time_ns() + 3600 * SECOND
    for folder in (ours, theirs):
        (folder / "long link").symlink_to("x" * 4000)
        for path in filter(Path.is_symlink, folder.iterdir()):
            os.utime(path, ns=(later, 1), follow_symlinks=False)
    with opened(ours, theirs, native=True) as native:
        found = pieces(native, 4000)
    with opened(ours, theirs, native=False) as plain:
        assert found == pieces(plain, 4000)
    assert sum(each.files for each in found) >= 3
    assert {type(entry.kind) for each in found for entry in decoded(each)} == {EntryKind}


CHANGES: dict[str, Callable[[Path], object]] = {
    "mode": lambda path: path.chmod(0o604),
    "access time": lambda path: os.utime(path, ns=(5, path.stat().st_mtime_ns)),
    "name": lambda path: path.rename(path.with_name("file2")),
    "change time": lambda path: path.chmod(0o644),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_a_catalogue_keeps_is_in_the_digest(pair: Pair, what: str) -> None:
    for folder in (pair.source, pair.target):
        (folder / "file").write_bytes(b"1234")
        (folder / "file").chmod(0o644)
        os.utime(folder / "file", ns=(1, 1))
        shutil.copy2(folder / "file", folder / "file2")
        (folder / "file2").unlink()
    with opened(pair.source, pair.target, native=True) as comparer:
        (before,) = pieces(comparer, 10)
    CHANGES[what](pair.source / "file")
    if what == "name":
        (pair.target / "file").rename(pair.target / "file2")
    with opened(pair.source, pair.target, native=True) as comparer:
        (after,) = pieces(comparer, 10)
    assert before.files == after.files == 1
    assert before.digest != after.digest
    assert after.digest == digest_of(decoded(after))


def test_where_a_file_lies_on_its_device_is_not_in_the_digest(pair: Pair) -> None:
    entry = Entry(b"a", EntryKind.FILE, 1, 0o100644, 0, 0, 1, 1, 1, 5, 1, b"", 7, 4096)
    moved = msgspec.structs.replace(entry, identity=6, device=8, allocated_bytes=0, links=2)
    assert digest_of([entry]) == digest_of([moved])


@pytest.mark.parametrize("closed", ["source", "target"])
def test_a_name_that_cannot_be_looked_at_is_for_the_caller(pair: Pair, closed: str) -> None:
    for folder in (pair.source, pair.target):
        for name in "ab":
            (folder / name).touch()
            os.utime(folder / name, ns=(1, 1))
    if os.geteuid() != 0:
        pytest.skip("owners may look at everything")
    folder = getattr(pair, closed)
    folder.chmod(0o744)  # its names may be read, what they lead to may not
    listings = [listing_of(pair.source_descriptor), listing_of(pair.target_descriptor)]
    arguments = (listings[0], pair.source_descriptor, listings[1], pair.target_descriptor, 10, 1)
    with ordinary_user():
        files, _, _, _, _, others, last, trouble = loops.compare(*arguments)
    assert (files, others, last, trouble) == (0, [], b"a", (b"a", True))
    files, _, _, _, _, others, last, trouble = loops.compare(*arguments)
    assert (files, others, last, trouble) == (1, [], b"b", None)


def test_the_ordinary_way_says_what_is_wrong_with_a_name(pair: Pair) -> None:
    for folder in (pair.source, pair.target):
        (folder / "a").touch()
    if os.geteuid() != 0:
        pytest.skip("owners may look at everything")
    pair.source.chmod(0o744)
    for native in (True, False):
        with opened(pair.source, pair.target, native=native) as comparer, ordinary_user():
            # The folders above are root's own, so the whole storage is out of reach.
            with pytest.raises(StorageUnavailable, match="Permission denied"):
                comparer.take(10)


def test_a_name_that_vanishes_on_either_side_is_no_trouble(pair: Pair) -> None:
    for folder in (pair.source, pair.target):
        for name in "0abc":
            (folder / name).touch()
            os.utime(folder / name, ns=(1, 1))
    with opened(pair.source, pair.target, native=True) as comparer:
        assert [entry.name for entry in decoded(comparer.take(1))] == [b"0"]
        (pair.source / "a").unlink()
        (pair.target / "b").unlink()
        (found,) = pieces(comparer, 10)
    assert [entry.name for entry in decoded(found)] == [b"c"]
    assert [(entry.name, stands) for entry, stands in found.others] == [(b"b", None)]


def test_a_folder_with_nothing_to_compare_is_listed_alone(pair: Pair) -> None:
    (pair.source / "a").touch()
    (pair.target / (TEMPORARY_PREFIX.decode() + "staged")).touch()
    with (
        PosixStorage(REFERENCE, os.fsencode(pair.source)) as ours,
        PosixStorage(REFERENCE, os.fsencode(pair.target)) as theirs,
        ours.open_folder(b"") as folder,
        theirs.open_folder(b"") as other,
    ):
        assert folder.comparer(other, after=b"", resolution=1) is None


def test_names_in_many_blocks_are_compared_like_those_in_one(pair: Pair) -> None:
    common, ours, theirs = ([b"%03d" % n for n in range(100) if n % 3 == k] for k in range(3))
    for folder, inside in ((pair.source, common + ours), (pair.target, common + theirs)):
        for name in inside:
            (folder / name.decode()).touch()
            os.utime(folder / name.decode(), ns=(1, 1))
    names = [read_names(each) for each in (pair.source_descriptor, pair.target_descriptor)]
    listings = [
        loops.Listing([each[start : start + 4] for start in range(0, len(each), 4)])
        for each in names
    ]
    found: list[bytes] = []
    others: list[bytes] = []
    while listings[0]:
        compared = loops.compare(
            listings[0], pair.source_descriptor, listings[1], pair.target_descriptor, 7, 1
        )
        found += [entry.name for entry in msgspec.msgpack.decode(compared[3], type=list[Entry])]
        others += [entry.name for entry, stands in compared[5] if stands is None]
    assert (found, others) == (common, ours)


@pytest.mark.parametrize("side", [0, 1])
def test_an_error_of_the_names_on_either_side_is_told(pair: Pair, side: int) -> None:
    for name in "ab":
        (pair.source / name).touch()

    def failing() -> Iterator[bytes]:
        yield b"a\0"
        raise StorageError(ErrorKind.INPUT_OUTPUT, RetryClass.LATER, "list", b"folder", "gone")

    listings = [loops.Listing(failing() if side == k else [b"a\0", b"b\0"]) for k in range(2)]
    with pytest.raises(StorageError, match="list folder: gone"):
        loops.compare(
            listings[0], pair.source_descriptor, listings[1], pair.target_descriptor, 10, 1
        )


def test_a_listing_is_not_compared_with_itself(pair: Pair) -> None:
    listing = listing_of(pair.source_descriptor)
    with pytest.raises(ValueError, match="two listings"):
        loops.compare(listing, pair.source_descriptor, listing, pair.source_descriptor, 1, 1)


@pytest.mark.parametrize(("count", "resolution"), [(0, 1), (4001, 1), (-1, 1), (1, -1)])
def test_senseless_numbers_are_refused(pair: Pair, count: int, resolution: int) -> None:
    ours, theirs = listing_of(pair.source_descriptor), listing_of(pair.target_descriptor)
    with pytest.raises(ValueError, match="names"):
        loops.compare(
            ours, pair.source_descriptor, theirs, pair.target_descriptor, count, resolution
        )


def test_comparing_leaves_no_descriptor_open(pair: Pair) -> None:
    grow_all(pair.source)
    grow_all(pair.target)
    before = open_descriptors()
    for _ in range(20):
        with opened(pair.source, pair.target, native=True) as comparer:
            comparer.take(3)
    assert open_descriptors() == before
