"""Staging and publishing in the native loops: what they do, and what they leave to others."""

from __future__ import annotations

import os
import stat
import threading
from itertools import count
from pathlib import Path

import pytest
import xxhash

from longshore.native import loops
from tests import fidelity
from tests.native.conftest import USUAL, Pair, open_descriptors, staged_name
from tests.unit.storage.backends.conftest import ordinary_user

NAMED = [-1, -1, -1]  # descriptors of three files that have their temporary names
CHUNK_BYTES = 128 * 1024  # of the loops
SIZES = (0, 1, 4096, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7)


def staged_path(pair: Pair, name: str) -> Path:
    return pair.target / os.fsdecode(staged_name(os.fsencode(name)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("flags", range(8))
def test_content_hash_mode_and_times_are_those_of_the_source(
    pair: Pair, size: int, flags: int
) -> None:
    content = os.urandom(size)
    path = pair.source / "file"
    path.write_bytes(content)
    path.chmod(0o640)
    os.utime(path, ns=(fidelity.ATIME_NS, fidelity.MTIME_NS))
    ((entry, xxh3_128, lost),) = pair.stage([b"file"], flags=flags)
    assert (entry.name, entry.size, entry.mode & 0o7777) == (b"file", size, 0o640)
    assert (entry.mtime_ns, entry.atime_ns) == (fidelity.MTIME_NS, fidelity.ATIME_NS)
    assert xxh3_128 == xxhash.xxh3_128(content).digest()
    assert lost == 0
    staged = staged_path(pair, "file")
    state = staged.stat()
    assert stat.S_IMODE(state.st_mode) == 0o640
    kept = state.st_mtime_ns == fidelity.MTIME_NS and state.st_atime_ns == fidelity.ATIME_NS
    assert kept is bool(flags & loops.KEEP_TIMES)
    assert staged.read_bytes() == content


def test_reading_leaves_the_access_time_alone(pair: Pair) -> None:
    path = pair.source / "file"
    path.write_bytes(b"content")
    os.utime(path, ns=(1, 2 * 10**9))
    pair.stage([b"file"])
    assert path.stat().st_atime_ns == 1


def test_attributes_travel_and_access_lists_are_left_to_others(pair: Pair) -> None:
    for name in ("one", "listed"):
        (pair.source / name).write_bytes(b"content")
        os.setxattr(pair.source / name, "user.note", b"\x00value\xff")
        os.setxattr(pair.source / name, "user.empty", b"")
    os.setxattr(pair.source / "listed", fidelity.ACCESS, fidelity.access_list(6))
    assert len(pair.stage([b"one", b"listed"])) == 1
    expected = {"user.note": b"\x00value\xff", "user.empty": b""}
    assert fidelity.attributes(staged_path(pair, "one")) == expected
    assert pair.left() == [".longshore-one"]


UNUSUAL = ("symlink", "pipe", "linked", "sparse", "hole", "folder", "missing", "acl")


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_unusual_ends_the_call_and_leaves_nothing(pair: Pair, name: str) -> None:
    fidelity.grow_all(pair.source)
    before = open_descriptors()
    done = pair.stage([b"plain", os.fsencode(name), b"empty file"])
    assert [entry.name for entry, _, _ in done] == [b"plain"]
    assert pair.left() == [".longshore-plain"]
    assert open_descriptors() == before


def test_a_file_that_is_too_large_is_left_to_others(pair: Pair) -> None:
    (pair.source / "file").write_bytes(b"12345")
    assert pair.stage([b"file"], size_maximum=4) == []
    assert pair.left() == []
    assert len(pair.stage([b"file"], size_maximum=5)) == 1


def test_a_staged_name_that_is_taken_is_left_alone(pair: Pair) -> None:
    (pair.source / "file").write_bytes(b"new")
    staged_path(pair, "file").write_bytes(b"left over")
    assert pair.stage([b"file"]) == []
    assert staged_path(pair, "file").read_bytes() == b"left over"


def test_a_staged_name_that_is_a_symlink_is_not_followed(pair: Pair, tmp_path: Path) -> None:
    (pair.source / "file").write_bytes(b"new")
    staged_path(pair, "file").symlink_to(tmp_path / "elsewhere")
    assert pair.stage([b"file"]) == []
    assert not (tmp_path / "elsewhere").exists()


def test_no_further_file_is_begun_when_the_time_is_up(pair: Pair) -> None:
    for name in "abc":
        (pair.source / name).touch()
    assert len(pair.stage([b"a", b"b", b"c"], seconds=0.0)) == 1
    assert len(pair.stage([b"b", b"c"], seconds=-5.0)) == 1


def test_an_ordinary_user_loses_owners_and_never_setuid(pair: Pair) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away for the test")
    for name, mode in (("plain", 0o644), ("setuid", 0o4755)):
        (pair.source / name).write_bytes(b"content")
        os.chown(pair.source / name, 54_321, 54_322)
        (pair.source / name).chmod(mode)
    pair.target.chmod(0o777)
    pair.source.parent.chmod(0o755)
    with ordinary_user():
        ((_, _, lost),) = pair.stage([b"plain", b"setuid"])
    assert lost == loops.LOST_UID | loops.LOST_GID
    assert pair.left() == [".longshore-plain"]


def test_a_file_that_others_write_to_is_whole_or_left_to_others(pair: Pair) -> None:
    path = pair.source / "file"
    path.write_bytes(b"")
    over = threading.Event()

    def write() -> None:
        with path.open("r+b", buffering=0) as file:
            for number in count():
                file.seek(0)
                file.truncate(0)
                file.write(b"%d" % number * (number % 3000))
                if over.is_set():
                    return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(500):
            temporary = b".longshore-%d" % number
            for entry, xxh3_128, _ in pair.stage([b"file"], [temporary]):
                content = (pair.target / os.fsdecode(temporary)).read_bytes()
                assert len(content) == entry.size
                assert xxhash.xxh3_128(content).digest() == xxh3_128
    finally:
        over.set()
        writer.join()


def test_a_file_swapped_for_a_symlink_is_never_followed(pair: Pair, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    path, link, file = pair.source / "file", pair.source / "link", pair.source / "plain"
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            file.write_bytes(b"plain")
            file.rename(path)
            link.symlink_to(secret)
            link.rename(path)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for number in range(500):
            pair.stage([b"file"], [b".longshore-%d" % number])
    finally:
        over.set()
        swapper.join()
    assert {(pair.target / name).read_bytes() for name in pair.left()} <= {b"plain", b""}


BAD_NAMES = (b"", b".", b"..", b"a/b", b"/a", b"a\0b", b"n" * 256)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_of_no_file_in_the_folder_are_refused(pair: Pair, name: bytes) -> None:
    with pytest.raises(ValueError, match="names"):
        pair.stage([name], [b".longshore-a"])
    with pytest.raises(ValueError, match="names"):
        pair.stage([b"a"], [name])
    with pytest.raises(ValueError, match="names"):
        loops.publish(pair.target_descriptor, [b".longshore-a"], [name], b"\0", [-1])


def test_lists_of_different_length_are_refused(pair: Pair) -> None:
    with pytest.raises(ValueError, match="as many"):
        pair.stage([b"a", b"b"], [b".longshore-a"])
    with pytest.raises(ValueError, match="as many"):
        loops.publish(pair.target_descriptor, [b"a"], [b"b"], b"", [-1])
    with pytest.raises(ValueError, match="as many descriptors"):
        loops.publish(pair.target_descriptor, [b"a"], [b"b"], b"\0", [])
    with pytest.raises(ValueError, match="at most"):
        pair.stage([b"a"] * 4001, [b"b"] * 4001)
    with pytest.raises(ValueError, match="names"):
        pair.stage(["text"], [b"b"])  # type: ignore[list-item]


def test_no_files_are_none(pair: Pair) -> None:
    assert pair.stage([], []) == []
    assert loops.publish(pair.target_descriptor, [], [], b"", []) == 0


def test_closed_folders_stage_and_publish_nothing(pair: Pair) -> None:
    (pair.source / "a").touch()
    arguments = ([b"a"], [b".longshore-a"], USUAL, 10, 1.0, 0)
    assert loops.stage(-1, pair.target_descriptor, *arguments) == ([], [])
    assert loops.stage(pair.source_descriptor, -1, *arguments) == ([], [])
    assert loops.publish(-1, [b".longshore-a"], [b"a"], b"\0", [-1]) == 0


# ------------------------------------------------------------------------------- publishing


def test_publishing_ends_at_a_name_that_is_taken(pair: Pair) -> None:
    for name in "abc":
        (pair.target / f".longshore-{name}").write_bytes(name.encode())
    (pair.target / "b").write_bytes(b"in the way")
    names = [b"a", b"b", b"c"]
    temporaries = [staged_name(name) for name in names]
    assert loops.publish(pair.target_descriptor, temporaries, names, b"\0\0\0", NAMED) == 1
    assert pair.left() == [".longshore-b", ".longshore-c", "a", "b"]
    assert (pair.target / "b").read_bytes() == b"in the way"
    rest = (temporaries[1:], names[1:], b"\1\0", NAMED[1:])
    assert loops.publish(pair.target_descriptor, *rest) == 2
    assert (pair.target / "b").read_bytes() == b"b"


# ------------------------------------------------------------------------------- without a name


def test_a_file_without_a_name_is_there_once_it_is_published(pair: Pair) -> None:
    (pair.source / "a").write_bytes(b"content")
    (pair.source / "a").chmod(0o640)
    os.utime(pair.source / "a", ns=(1, 2))
    before = open_descriptors()
    staged, descriptors = pair.stage_unnamed([b"a"])
    assert [entry.size for entry, _, _ in staged] == [7]
    assert pair.left() == []
    assert open_descriptors() == before + 1
    published = (pair.target_descriptor, [staged_name(b"a")], [b"a"], b"\0", descriptors)
    assert loops.publish(*published) == 1
    assert pair.left() == ["a"]
    assert (pair.target / "a").read_bytes() == b"content"
    found = (pair.target / "a").stat()
    assert (found.st_mode & 0o7777, found.st_mtime_ns, found.st_nlink) == (0o640, 2, 1)
    assert open_descriptors() == before


def test_files_get_names_beyond_the_descriptors_to_spare(pair: Pair) -> None:
    names = [b"a", b"b", b"c"]
    for name in names:
        (pair.source / os.fsdecode(name)).write_bytes(name)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    gaps = []  # numbers that others have freed below it
    while (first := os.open(pair.source, os.O_RDONLY)) < highest:
        gaps.append(first)
    os.close(first)  # the lowest number that is free, and none behind it is taken
    # Each source is open while its file is staged.
    _, descriptors = pair.stage_unnamed(names, below=first + 2)
    for gap in gaps:
        os.close(gap)
    assert descriptors == [first + 1, -1, -1]
    assert pair.left() == [".longshore-b", ".longshore-c"]
    temporaries = [staged_name(name) for name in names]
    assert loops.publish(pair.target_descriptor, temporaries, names, b"\0" * 3, descriptors) == 3
    assert [(pair.target / name).read_text() for name in pair.left()] == ["a", "b", "c"]


@pytest.mark.parametrize("replace", [b"\0", b"\1"])
def test_a_file_without_a_name_never_takes_the_place_of_another(pair: Pair, replace: bytes) -> None:
    (pair.source / "a").write_bytes(b"new")
    (pair.target / "a").write_bytes(b"in the way")
    _, descriptors = pair.stage_unnamed([b"a"])
    published = (pair.target_descriptor, [staged_name(b"a")], [b"a"], replace, descriptors)
    assert loops.publish(*published) == 0
    assert (pair.target / "a").read_bytes() == b"in the way"
    os.close(descriptors[0])
    assert pair.left() == ["a"]


def test_a_file_that_cannot_be_staged_without_a_name_leaves_nothing(pair: Pair) -> None:
    (pair.source / "a").write_bytes(b"content")
    before = open_descriptors()
    assert pair.stage_unnamed([b"missing"]) == ([], [])
    assert pair.stage_unnamed([b"a"], size_maximum=3) == ([], [])
    assert (pair.left(), open_descriptors()) == ([], before)


def test_an_ordinary_user_publishes_files_without_a_name(pair: Pair) -> None:
    for folder in (pair.source, pair.target):
        folder.chmod(0o777)
    (pair.source / "a").write_bytes(b"content")
    with ordinary_user():
        _, descriptors = pair.stage_unnamed([b"a"])
        published = (pair.target_descriptor, [staged_name(b"a")], [b"a"], b"\0", descriptors)
        assert loops.publish(*published) == 1
    assert (pair.target / "a").read_bytes() == b"content"
