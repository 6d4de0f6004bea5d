"""Reading archived files again: slice by slice, also inside one huge file."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import xxhash

from longshore.domain.checksum import ChecksumKind
from longshore.domain.errors import ErrorKind
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record
from longshore.domain.task import WorkflowAction
from longshore.pipeline.messages.orders import WorkOrder
from longshore.pipeline.messages.plan import ExecutionPlan, WorkKind
from longshore.pipeline.messages.replies import FileReply, ScanReply
from longshore.pipeline.messages.work import PackedWork, encode, first_scan
from tests.pipelines import Bench

BUFFER = 1000
HUGE = 10 * BUFFER + 17
WORK = 5


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, checksum=ChecksumKind.MD5)
    hours = itertools.count(0.0, 3600.0)
    bench.monotonic = hours.__next__  # every look at the clock finds the slice over
    bench.restart()
    (bench.source / "a").write_bytes(b"small")
    (bench.source / "huge").write_bytes(random.Random(1).randbytes(HUGE))
    (bench.source / "z").write_bytes(b"small, too")
    shrink(bench)
    yield bench
    bench.close()


def shrink(bench: Bench) -> None:
    """Let the mover read in small steps, so that a small file is a huge one."""
    bench.mover._buffer = bytearray(BUFFER)


def plan(bench: Bench) -> ExecutionPlan:
    return msgspec.structs.replace(bench.plan(), action=WorkflowAction.SCAN, destinations=[])


def batch(bench: Bench) -> PackedWork:
    order = WorkOrder(
        work_id=1, kind=WorkKind.SCAN, plan=encode(plan(bench)), payload=b"", fresh=True
    )
    pending = [encode(first_scan(plan(bench)))]
    found: list[PackedWork] = []
    while pending:
        reply = bench.mover(msgspec.structs.replace(order, payload=pending.pop()))
        assert isinstance(reply, ScanReply)
        pending += [each.payload for each in reply.remaining]
        found += reply.batches
    (packed,) = found
    return packed


def check(bench: Bench, payload: bytes) -> FileReply:
    order = WorkOrder(
        work_id=WORK, kind=WorkKind.CHECK, plan=encode(plan(bench)), payload=payload, fresh=True
    )
    reply = bench.mover(order)
    assert isinstance(reply, FileReply)
    return reply


def check_all(bench: Bench, payload: bytes) -> tuple[list[Record], int]:
    """All records, and the number of slices they took."""
    records: list[Record] = []
    for slices in range(1, 100):
        reply = check(bench, payload)
        records += reply.records
        if reply.remaining is None:
            return records, slices
        payload = reply.remaining.payload
    raise AssertionError("it does not end")


def digest(path: Path) -> bytes:
    return xxhash.xxh3_128_digest(path.read_bytes())


def test_a_huge_file_is_checked_in_many_slices(bench: Bench) -> None:
    records, slices = check_all(bench, batch(bench).payload)
    assert slices > HUGE // BUFFER
    assert [record.outcome for record in records] == [Outcome.VERIFIED] * 3
    for record in records:
        assert record.xxh3_128 == digest(bench.source / os.fsdecode(record.entry.name))


def test_a_slice_inside_a_file_says_that_its_mover_remembers_it(bench: Bench) -> None:
    packed = batch(bench)
    inside = []
    rest: PackedWork | None = packed
    while rest is not None:
        reply = check(bench, rest.payload)
        inside.append(reply.inside)
        rest = reply.remaining
    assert inside == [False, *[True] * (HUGE // BUFFER), False, False]


def test_another_mover_begins_the_file_anew_and_finds_the_same(bench: Bench) -> None:
    packed = batch(bench)
    reply = check(bench, packed.payload)
    for _ in range(5):
        assert reply.remaining is not None
        reply = check(bench, reply.remaining.payload)
    assert reply.remaining is not None
    bench.mover.close()
    bench.restart()
    shrink(bench)
    records, slices = check_all(bench, reply.remaining.payload)
    assert slices > HUGE // BUFFER
    assert records[0].xxh3_128 == digest(bench.source / "huge")


def test_a_file_that_is_changed_between_two_slices_fails(bench: Bench) -> None:
    packed = batch(bench)
    reply = check(bench, packed.payload)
    for _ in range(3):
        assert reply.remaining is not None
        reply = check(bench, reply.remaining.payload)
    os.utime(bench.source / "huge", (1, 1))
    assert reply.remaining is not None
    records, _ = check_all(bench, reply.remaining.payload)
    failed = records[0]
    assert failed.failure is not None
    assert (failed.entry.name, failed.failure.kind) == (b"huge", ErrorKind.CHANGED_WHILE_READ)
    assert [record.outcome for record in records[1:]] == [Outcome.VERIFIED]
