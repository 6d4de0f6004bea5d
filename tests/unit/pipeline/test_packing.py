"""Batches: bounded in files and bytes, in the order that the task asks for, and taken apart."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from longshore.domain.entry import Entry, EntryKind
from longshore.domain.errors import ErrorKind, FileFailure, Side, Stage
from longshore.domain.outcome import Outcome
from longshore.domain.task import ProcessingOrder
from longshore.pipeline import splitting
from longshore.pipeline.messages.plan import ExecutionPlan
from longshore.pipeline.messages.work import CopyMode, CopyWork, PackedWork, ScanFolder
from longshore.pipeline.packing import (
    SCAN_FOLDERS_PER_WORK,
    SCAN_ITEMS_WANTED,
    Packer,
    pack_groups,
    pack_scan,
)
from tests.pipelines import Bench


@pytest.fixture
def plan(tmp_path: Path) -> ExecutionPlan:
    return Bench(tmp_path, batch_files=10, batch_bytes=1000).plan()


def entry(name: str, size: int = 1, mtime_ns: int = 0) -> Entry:
    return Entry(name.encode(), EntryKind.FILE, size, 0o100644, 0, 0, mtime_ns, 0, 0)


def pack(plan: ExecutionPlan, files: list[tuple[str, Entry]]) -> Packer:
    packer = Packer(plan)
    for folder, each in files:
        path = folder.encode()
        packer.add(0, path, path, each, each.name, CopyMode.NEW)
    packer.flush()
    return packer


def content(packed: PackedWork) -> list[tuple[bytes, bytes, int]]:
    """(folder, name, place) of every file of a batch."""
    groups = msgspec.msgpack.decode(packed.payload, type=CopyWork).groups
    return [(group.folder, f.entry.name, f.place) for group in groups for f in group.files]


def test_a_batch_is_full_after_so_many_files(plan: ExecutionPlan) -> None:
    packer = pack(plan, [("a", entry(f"{n:02}")) for n in range(25)])
    assert [each.files for each in packer.packed] == [10, 10, 5]
    assert (packer.files, packer.bytes) == (25, 25)


def test_a_batch_is_full_after_so_many_bytes(plan: ExecutionPlan) -> None:
    packer = pack(plan, [("a", entry(f"{n}", size=400)) for n in range(7)])
    assert [(each.files, each.size) for each in packer.packed] == [(3, 1200), (3, 1200), (1, 400)]


def test_places_are_unique_within_a_batch_and_files_of_a_folder_stay_together(
    plan: ExecutionPlan,
) -> None:
    files = [("a", entry("1")), ("a", entry("2")), ("b", entry("1")), ("a", entry("3"))]
    (packed,) = pack(plan, files).packed
    assert content(packed) == [(b"a", b"1", 0), (b"a", b"2", 1), (b"b", b"1", 2), (b"a", b"3", 3)]
    groups = msgspec.msgpack.decode(packed.payload, type=CopyWork).groups
    assert [group.folder for group in groups] == [b"a", b"b", b"a"]


def test_a_file_of_more_than_a_segment_is_alone(plan: ExecutionPlan) -> None:
    big = plan.segment_bytes + 1
    packer = pack(plan, [("a", entry("1")), ("a", entry("big", size=big)), ("a", entry("2"))])
    assert sorted((each.files, each.size) for each in packer.packed) == [(1, big), (2, 2)]


def test_nothing_packs_to_nothing(plan: ExecutionPlan) -> None:
    assert pack(plan, []).packed == []
    assert pack_groups([]) is None


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (ProcessingOrder.NONE, "bca"),
        (ProcessingOrder.NAME, "abc"),
        (ProcessingOrder.SIZE, "cba"),
        (ProcessingOrder.DATE, "bac"),
    ],
)
def test_files_of_a_slice_come_in_the_order_of_the_task(
    plan: ExecutionPlan, order: ProcessingOrder, expected: str
) -> None:
    files = [
        ("b", entry("b", size=2, mtime_ns=-5)),
        ("c", entry("c", size=1, mtime_ns=7)),
        ("a", entry("a", size=3, mtime_ns=6)),
    ]
    (packed,) = pack(msgspec.structs.replace(plan, order=order), files).packed
    assert "".join(name.decode() for _, name, _ in content(packed)) == expected
    assert bool(packed.sort_key) == (order is not ProcessingOrder.NONE)


def test_keys_of_batches_compare_like_their_first_files(plan: ExecutionPlan) -> None:
    by_size = msgspec.structs.replace(plan, order=ProcessingOrder.SIZE)
    keys = [
        pack(by_size, [("a", entry("x", size=size))]).packed[0].sort_key
        for size in (0, 1, 255, 256, 70_000, 1 << 40)
    ]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


def test_folders_to_scan_are_spread_over_several_items() -> None:
    folders = [ScanFolder(0, b"%d" % n, b"") for n in range(10)]
    assert len(pack_scan(folders)) == SCAN_ITEMS_WANTED
    many = [ScanFolder(0, b"%d" % n, b"") for n in range(SCAN_FOLDERS_PER_WORK * 10)]
    assert len(pack_scan(many)) == 10
    assert pack_scan([]) == []


# --------------------------------------------------------------------------- taking apart


def test_halves_hold_every_file_once_with_places_of_their_own(plan: ExecutionPlan) -> None:
    (packed,) = pack(plan, [(f"d{n // 3}", entry(f"{n}")) for n in range(7)]).packed
    halves = splitting.split(packed.payload)
    assert [half.files for half in halves] == [3, 4]
    for half in halves:
        assert [place for _, _, place in content(half)] == list(range(half.files))
    together = [(folder, name) for half in halves for folder, name, _ in content(half)]
    assert together == [(folder, name) for folder, name, _ in content(packed)]


def test_a_single_file_cannot_be_split_and_fails_by_its_name(plan: ExecutionPlan) -> None:
    (packed,) = pack(plan, [("a", entry("guilty", size=9))]).packed
    assert splitting.split(packed.payload) == []
    failure = FileFailure(ErrorKind.MOVER_DIED, Stage.TRANSFER, Side.NONE, "it died")
    record = splitting.failed(packed.payload, failure, 5, 3)
    assert (record.folder, record.entry.name, record.outcome) == (b"a", b"guilty", Outcome.FAILED)
    assert (record.failure, record.attempts, record.finished_ns) == (failure, 3, 5)


def test_splitting_again_and_again_ends_with_every_file_alone(plan: ExecutionPlan) -> None:
    (packed,) = pack(plan, [("a", entry(f"{n}")) for n in range(9)]).packed
    pending, alone = [packed], []
    while pending:
        each = pending.pop()
        halves = splitting.split(each.payload)
        pending += halves
        alone += [] if halves else [content(each)]
    assert sorted(name for ((_, name, _),) in alone) == [b"%d" % n for n in range(9)]
