"""Reading whole files and writing them from memory in the native loops."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import xxhash

from longshore.native import loops
from tests import fidelity
from tests.native.conftest import SIZE_MAXIMUM, USUAL, Pair, open_descriptors, staged_name

SIZES = (0, 1, 4096, 128 * 1024 - 1, 128 * 1024 + 1)
OWNED = (os.geteuid(), os.getegid())
BELOW = 1 << 20


def read(pair: Pair, *names: bytes, size_maximum: int = SIZE_MAXIMUM) -> list[bytes]:
    """The contents of the first of the files."""
    found = loops.read(pair.source_descriptor, names, size_maximum)
    assert [entry.name for entry, _, _ in found] == list(names[: len(found)])
    return [content for _, content, _ in found]


def write(
    pair: Pair, contents: list[bytes], *, flags: int = USUAL, below: int = 0, mode: int = 0o100640
) -> tuple[list[tuple[bytes, int]], list[int]]:
    """Write the contents under the staged names of `0`, `1` and so on."""
    names = [staged_name(b"%d" % number) for number in range(len(contents))]
    details = [(mode, *OWNED, fidelity.MTIME_NS, fidelity.ATIME_NS)] * len(contents)
    return loops.write(pair.target_descriptor, contents, names, details, flags, below)


def staged(pair: Pair, number: int = 0) -> Path:
    return pair.target / os.fsdecode(staged_name(b"%d" % number))


@pytest.mark.parametrize("size", SIZES)
def test_a_file_is_read_with_its_entry_and_hash(pair: Pair, size: int) -> None:
    content = os.urandom(size)
    path = pair.source / "file"
    path.write_bytes(content)
    path.chmod(0o640)
    os.utime(path, ns=(fidelity.ATIME_NS, fidelity.MTIME_NS))
    ((entry, found, xxh3_128),) = loops.read(pair.source_descriptor, [b"file"], SIZE_MAXIMUM)
    assert found == content
    assert xxh3_128 == xxhash.xxh3_128(content).digest()
    assert (entry.name, entry.size, entry.mode & 0o7777) == (b"file", size, 0o640)
    assert (entry.mtime_ns, entry.atime_ns) == (fidelity.MTIME_NS, fidelity.ATIME_NS)
    assert path.stat().st_atime_ns == fidelity.ATIME_NS


def test_reading_ends_before_what_is_not_usual(pair: Pair) -> None:
    for name in ("a", "b", "c"):
        (pair.source / name).write_bytes(name.encode())
    (pair.source / "link").symlink_to("a")
    (pair.source / "big").write_bytes(bytes(5))
    (pair.source / "linked").hardlink_to(pair.source / "c")
    os.setxattr(pair.source / "b", "user.note", b"value")
    os.mkfifo(pair.source / "pipe")
    with (pair.source / "holes").open("wb") as file:
        file.truncate(1 << 20)
    for unusual in (b"b", b"link", b"big", b"linked", b"c", b"none", b"pipe", b"holes"):
        assert read(
            pair, b"a", unusual, b"a", size_maximum=4 if unusual == b"big" else 1 << 21
        ) == [b"a"]
        assert read(pair, unusual, b"a", size_maximum=4 if unusual == b"big" else 1 << 21) == []


def test_one_call_reads_a_limited_number_of_bytes_and_one_file_at_least(pair: Pair) -> None:
    names = [b"%d" % number for number in range(8)]
    for name in names:
        (pair.source / os.fsdecode(name)).write_bytes(bytes(1 << 21))
    assert len(read(pair, *names)) == 2
    (pair.source / "bigger").write_bytes(bytes(5 << 20))
    assert len(read(pair, b"bigger", *names)) == 1


@pytest.mark.parametrize("below", [0, BELOW])
@pytest.mark.parametrize("flags", range(8))
@pytest.mark.parametrize("size", SIZES)
def test_a_file_is_written_with_all_that_it_is_to_have(
    pair: Pair, size: int, flags: int, below: int
) -> None:
    content = os.urandom(size)
    ((xxh3_128, lost),), (descriptor,) = write(pair, [content], flags=flags, below=below)
    assert xxh3_128 == xxhash.xxh3_128(content).digest()
    assert lost == 0
    if below:
        assert pair.left() == []
        assert loops.publish(
            pair.target_descriptor, [staged_name(b"0")], [staged_name(b"0")], b"\0", [descriptor]
        )
    state = staged(pair).stat()
    assert staged(pair).read_bytes() == content
    assert stat.S_IMODE(state.st_mode) == 0o640
    assert (state.st_uid, state.st_gid) == OWNED
    kept = (state.st_atime_ns, state.st_mtime_ns) == (fidelity.ATIME_NS, fidelity.MTIME_NS)
    assert kept is bool(flags & loops.KEEP_TIMES)


@pytest.mark.parametrize("time_ns", [-1, -(10**9), -(10**18) - 1, 0, 10**18 + 1])
def test_times_before_1970_are_kept(pair: Pair, time_ns: int) -> None:
    details = [(0o100600, *OWNED, time_ns, 1)]
    loops.write(pair.target_descriptor, [b"x"], [staged_name(b"0")], details, USUAL, 0)
    assert staged(pair).stat().st_mtime_ns == time_ns


def test_writing_ends_before_a_name_that_is_taken(pair: Pair) -> None:
    staged(pair, 1).write_bytes(b"left over")
    written, descriptors = write(pair, [b"zero", b"one", b"two"])
    assert (len(written), descriptors) == (1, [-1])
    assert staged(pair, 1).read_bytes() == b"left over"
    assert not staged(pair, 2).exists()


def test_no_call_leaves_a_descriptor_open(pair: Pair) -> None:
    (pair.source / "file").write_bytes(b"x")
    before = open_descriptors()
    for _ in range(3):
        read(pair, b"file", b"none")
        write(pair, [b"x"], below=0)
        staged(pair).unlink()
    assert open_descriptors() == before


@pytest.mark.parametrize(
    "details",
    [
        [],
        [()],
        [(0, 0, 0, 0)],
        [(-1, 0, 0, 0, 0)],
        [(1 << 17, 0, 0, 0, 0)],
        [(0o644, (1 << 32) - 1, 0, 0, 0)],
        [(0o644, 0, -1, 0, 0)],
        [(0o644, 0, 0, 1 << 63, 0)],
        [[0o644, 0, 0, 0, 0]],
        ["text"],
    ],
)
def test_details_that_mean_nothing_are_refused(pair: Pair, details: list[tuple[int, ...]]) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        loops.write(pair.target_descriptor, [b"x"], [staged_name(b"0")], details, 0, 0)  # type: ignore[arg-type]
    assert pair.left() == []


@pytest.mark.parametrize("contents", [[], ["text"], [bytearray(b"x")], [b"x", b"y"], None])
def test_contents_that_are_none_are_refused(pair: Pair, contents: list[bytes]) -> None:
    with pytest.raises((ValueError, TypeError)):
        loops.write(
            pair.target_descriptor, contents, [staged_name(b"0")], [(0o644, 0, 0, 0, 0)], 0, 0
        )


@pytest.mark.parametrize("name", [b"", b"a/b", b"..", b"a\0b", b"x" * 256, "text"])
def test_names_that_lead_elsewhere_are_refused(pair: Pair, name: bytes) -> None:
    with pytest.raises(ValueError, match="names"):
        read(pair, name)
    with pytest.raises(ValueError, match="names"):
        loops.write(pair.target_descriptor, [b"x"], [name], [(0o644, 0, 0, 0, 0)], 0, 0)
