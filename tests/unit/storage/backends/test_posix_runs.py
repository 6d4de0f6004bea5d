"""Names of folders too big for memory, in order."""

from __future__ import annotations

import os
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from longshore.domain.errors import ErrorKind, RetryClass, StorageError
from longshore.storage.backends.posix import PosixStorage
from longshore.storage.backends.posix_runs import RUN_BYTES, block_of, in_order, names_of
from tests.contract.storage.conftest import REFERENCE

LONG = b"n" * 200  # so that few names fill a run


def names_in_order(runs: list[list[bytes]], folder: Path) -> list[bytes]:
    blocks = in_order((block_of(sorted(run)) for run in runs), str(folder))
    return [name for block in blocks for name in names_of(block)]


def full_run(random_: random.Random) -> list[bytes]:
    count = RUN_BYTES // len(LONG) + 1
    return [b"%012x-" % random_.randrange(1 << 48) + LONG for _ in range(count)]


def test_several_runs_come_as_one_list_in_order(tmp_path: Path) -> None:
    random_ = random.Random(1)
    runs = [*(full_run(random_) for _ in range(4)), [b"a", b"z", b"\xff"]]
    assert names_in_order(runs, tmp_path) == sorted(name for run in runs for name in run)


def test_runs_that_follow_each_other_come_in_order_whichever_was_read_first(tmp_path: Path) -> None:
    names = sorted(full_run(random.Random(2)) + full_run(random.Random(3)))
    half = len(names) // 2
    assert names_in_order([names[half:], names[:half], []], tmp_path) == names


def test_one_run_needs_no_file(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert names_in_order([[b"b", b"a"]], missing) == [b"a", b"b"]
    assert names_in_order([[]], missing) == []


def test_the_file_is_gone_with_the_listing(tmp_path: Path) -> None:
    random_ = random.Random(4)
    before = len(os.listdir("/proc/self/fd"))
    blocks = in_order((block_of(sorted(full_run(random_))) for _ in range(3)), str(tmp_path))
    assert next(blocks)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    assert list(tmp_path.iterdir()) == []
    assert isinstance(blocks, Iterator)
    del blocks
    assert len(os.listdir("/proc/self/fd")) == before


def test_memory_does_not_grow_with_the_number_of_runs(tmp_path: Path) -> None:
    random_ = random.Random(6)
    count, size = 12, len(block_of(full_run(random_)))
    tracemalloc.start()
    blocks = in_order((block_of(sorted(full_run(random_))) for _ in range(count)), str(tmp_path))
    found = sum(len(block) for block in blocks)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == count * size
    assert peak < found / 2


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes]]:
    """A folder whose names are more than a run, and these."""
    folder = tmp_path_factory.mktemp("wide")
    names = [*full_run(random.Random(5)), b".longshore-staged"]
    descriptor = os.open(folder, os.O_RDONLY)
    for name in names:
        os.mknod(name, 0o600, dir_fd=descriptor)
    os.close(descriptor)
    return folder, sorted(names[:-1])


@pytest.mark.parametrize("native", [True, False])
def test_a_folder_that_is_more_than_a_run_is_listed_like_any_other(
    wide: tuple[Path, list[bytes]], native: bool
) -> None:
    folder, names = wide
    with PosixStorage(REFERENCE, os.fsencode(folder), native=native) as storage:
        with storage.open_folder(b"") as opened:
            found = [entry.name for entry in opened.entries()]
            rest = [entry.name for entry in opened.entries(after=names[100])]
            assert opened.staged_names() == [b".longshore-staged"]
    assert (found, rest) == (names, names[101:])


@pytest.mark.parametrize("native", [True, False])
def test_without_room_for_the_names_the_folder_is_for_later(
    wide: tuple[Path, list[bytes]], tmp_path: Path, native: bool
) -> None:
    storage = PosixStorage(
        REFERENCE,
        os.fsencode(wide[0]),
        native=native,
        temporary_folder=str(tmp_path / "missing"),
    )
    with storage, storage.open_folder(b"") as opened:
        with pytest.raises(StorageError, match="the temporary file for its names") as refused:
            list(opened.entries())
    assert refused.value.kind is ErrorKind.INPUT_OUTPUT
    assert refused.value.retry is RetryClass.LATER
