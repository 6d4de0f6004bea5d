"""Orders with rates, carried out by a real mover on a clock that only moves by sleeping."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec
import pytest

from longshore.domain.errors import ErrorKind, RetryClass
from longshore.domain.segments import SEGMENT_BYTES
from longshore.domain.storage import StorageAddress, StorageReference
from longshore.pipeline.copying import RETRY_JITTER, RETRY_SECONDS
from longshore.pipeline.messages.orders import Rates, StorageRate, WorkOrder
from longshore.pipeline.messages.plan import ExecutionPlan, WorkKind
from longshore.pipeline.messages.replies import CopyReply, Owed, ScanReply
from longshore.pipeline.messages.work import encode, first_scan
from longshore.pipeline.mover import Mover
from longshore.storage.backends.posix import PosixStorage
from longshore.storage.handler import StorageHandler
from longshore.storage.wrappers.faults import Deed, Fault, FaultPlan, Refuse
from longshore.storage.wrappers.faulty import FaultyStorage
from tests.unit.pipeline.driving import plan_for

KIBI = 1024
SLICE = 2.0


@dataclass(slots=True)
class Clock:
    now: float = 1_000.0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@dataclass(slots=True)
class Slices:
    """One batch, carried out slice by slice; what each slice took and moved."""

    plan: ExecutionPlan
    rates: Rates | None
    faults: FaultPlan = field(default_factory=lambda: FaultPlan([]))
    clock: Clock = field(default_factory=Clock)
    replies: list[CopyReply] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def run(self, count: int) -> Slices:
        """So many slices, or fewer if nothing is left. Debts are waited for in between."""
        mover = Mover(
            self._open,
            lambda _: None,
            self.clock.time,
            lambda: 0,
            sleep=self.clock.sleep,
            random=Random(1),
        )
        scan = WorkOrder(1, WorkKind.SCAN, encode(self.plan), encode(first_scan(self.plan)), True)
        payload: bytes | None = _batch(mover, scan)
        while payload is not None and len(self.replies) < count:
            begun = self.clock.now
            order = WorkOrder(2, WorkKind.COPY, encode(self.plan), payload, True, self.rates)
            reply = mover(order)
            assert isinstance(reply, CopyReply)
            self.replies.append(reply)
            self.seconds.append(self.clock.now - begun)
            self.clock.now += self.debt_seconds(reply)
            payload = reply.remaining.payload if reply.remaining else None
        mover.close()
        return self

    def debt_seconds(self, reply: CopyReply) -> float:
        """How long the rates have to rest for what was moved beyond them."""
        assert reply.owed is not None
        rates = self.rates or Rates([])
        pairs = zip(reply.owed.storages, rates.storages, strict=True)
        debts = [owed.bytes / rate.bytes_per_second for owed, rate in pairs]
        return max([*debts, reply.owed.read / rates.read if rates.read else 0.0])

    def records(self) -> int:
        return sum(len(reply.records) for reply in self.replies)

    def _open(self, address: StorageAddress) -> StorageHandler:
        inner = PosixStorage(address.reference, os.fsencode(address.settings["root"]))
        return FaultyStorage(inner, self.faults)


def _batch(mover: Mover, order: WorkOrder) -> bytes:
    """The payload of the one batch that the tree gives."""
    while True:
        reply = mover(order)
        assert isinstance(reply, ScanReply)
        if reply.batches:
            return reply.batches[0].payload
        order = WorkOrder(1, WorkKind.SCAN, order.plan, reply.remaining[0].payload, True)


@pytest.fixture
def plan(tmp_path: Path) -> ExecutionPlan:
    for name in ("source", "destination"):
        (tmp_path / name).mkdir()
    return plan_for(tmp_path / "source", tmp_path / "destination", slice_seconds=SLICE)


def grow(plan: ExecutionPlan, files: int, size: int) -> None:
    folder = Path(plan.sources[0].storage.settings["root"])
    for number in range(files):
        (folder / f"f{number:03}").write_bytes(os.urandom(size))


def source(plan: ExecutionPlan) -> StorageReference:
    return plan.sources[0].storage.reference


def destination(plan: ExecutionPlan) -> StorageReference:
    return plan.destinations[0].storage.reference


def test_the_rate_of_a_task_counts_what_is_read_from_its_sources(plan: ExecutionPlan) -> None:
    grow(plan, files=20, size=100 * KIBI)
    slices = Slices(plan, Rates([], read=100 * KIBI)).run(100)
    assert slices.records() == 20
    assert slices.clock.now - 1_000 == pytest.approx(20, rel=0.01)
    assert max(slices.seconds) <= SLICE + 0.001


def test_the_rate_of_a_source_counts_the_same(plan: ExecutionPlan) -> None:
    grow(plan, files=20, size=100 * KIBI)
    slices = Slices(plan, Rates([StorageRate(source(plan), 100 * KIBI)])).run(100)
    assert slices.clock.now - 1_000 == pytest.approx(20, rel=0.01)


def test_the_rate_of_a_destination_counts_reading_back_too(plan: ExecutionPlan) -> None:
    grow(plan, files=20, size=100 * KIBI)
    slices = Slices(plan, Rates([StorageRate(destination(plan), 100 * KIBI)])).run(100)
    assert slices.records() == 20
    assert slices.clock.now - 1_000 == pytest.approx(40, rel=0.01)


def test_equal_rates_of_both_ends_do_not_add_up(plan: ExecutionPlan) -> None:
    grow(plan, files=20, size=100 * KIBI)
    plan = msgspec.structs.replace(plan, verify=False)
    ends = (source(plan), destination(plan))
    slices = Slices(plan, Rates([StorageRate(end, 100 * KIBI) for end in ends])).run(100)
    assert slices.clock.now - 1_000 == pytest.approx(20, rel=0.05)


def test_the_lowest_of_several_rates_holds(plan: ExecutionPlan) -> None:
    grow(plan, files=10, size=100 * KIBI)
    rates = Rates(
        [StorageRate(source(plan), 50 * KIBI), StorageRate(destination(plan), 10_000 * KIBI)],
        read=100 * KIBI,
    )
    assert Slices(plan, rates).run(100).clock.now - 1_000 == pytest.approx(20, rel=0.02)


def test_a_rate_far_below_a_file_ends_slices_in_time_and_still_moves_a_file_in_each(
    plan: ExecutionPlan,
) -> None:
    grow(plan, files=3, size=1_000 * KIBI)
    slices = Slices(plan, Rates([], read=KIBI)).run(100)
    assert [len(reply.records) for reply in slices.replies] == [1, 1, 1]
    assert max(slices.seconds) <= SLICE + 0.001
    assert slices.clock.now - 1_000 == pytest.approx(3_000, rel=0.01)


def test_a_big_file_moves_a_segment_in_each_slice_and_pays_for_it_afterwards(
    plan: ExecutionPlan,
) -> None:
    size = 2 * SEGMENT_BYTES + 1
    folder = Path(plan.sources[0].storage.settings["root"])
    with (folder / "big").open("wb") as file:
        file.truncate(size)
        file.write(b"x" * 10)
    slices = Slices(plan, Rates([StorageRate(destination(plan), 4_000 * KIBI)])).run(100)
    assert slices.records() == 1
    assert max(slices.seconds) <= SLICE + 0.001
    assert (Path(plan.destinations[0].storage.settings["root"]) / "big").stat().st_size == size


def test_without_rates_nothing_sleeps_and_nothing_is_owed(plan: ExecutionPlan) -> None:
    grow(plan, files=20, size=100 * KIBI)
    slices = Slices(plan, None).run(100)
    assert slices.clock.now == 1_000
    assert [reply.owed for reply in slices.replies] == [Owed([], read=0.0)]


def test_pauses_before_further_attempts_double_and_are_spread(plan: ExecutionPlan) -> None:
    grow(plan, files=1, size=10)
    broken = Refuse(ErrorKind.INPUT_OUTPUT, RetryClass.LATER)
    fault = Fault(Deed.READ, broken, times=1_000)
    slices = Slices(plan, None, faults=FaultPlan([fault])).run(100)
    pauses = [reply.retry_after_seconds for reply in slices.replies if reply.remaining]
    assert len(pauses) == 3
    for attempt, pause in enumerate(pauses):
        middle = RETRY_SECONDS * 2**attempt
        assert middle * (1 - RETRY_JITTER) <= pause <= middle * (1 + RETRY_JITTER)
        assert pause != middle
