"""Several movers on one big file: what the controller does with it, in any order, in this process.

Slices end after one segment, replies get lost, movers die: whoever drives this decides.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from longshore.domain.record import Record
from longshore.pipeline.messages.orders import WorkOrder
from longshore.pipeline.messages.plan import ExecutionPlan, WorkKind
from longshore.pipeline.messages.replies import CopyReply, PartReply, ScanReply
from longshore.pipeline.messages.work import encode, first_scan
from longshore.pipeline.mover import Mover
from longshore.pipeline.sharing import SharedFile
from tests.unit.pipeline.driving import Driver, Wrap, as_it_is

STEPS_MAXIMUM = 2_000  # orders for one file; more means that it never ends
FILE = 1  # the work id of the file's own item


@dataclass(slots=True)
class Several:
    """One execution over a source folder with a single big file."""

    plan: ExecutionPlan
    random: Random
    count: int = 2
    wrap_destination: Wrap = as_it_is
    wrap_source: Wrap = as_it_is
    record: Record | None = None
    payload: bytes = b""
    parts: dict[int, bytes] = field(default_factory=dict)
    followed: int = 0
    bound: int = 0  # the mover that has the pass over the file
    shared: bool = False
    inside: bool = False
    orders: int = 0  # for the file's own item
    bytes_copied: int = 0
    workers: Counter[int] = field(default_factory=Counter)  # orders for parts, by mover
    parts_returned: list[bytes] = field(default_factory=list)
    movers: list[Mover] = field(default_factory=list)
    _hours: itertools.count[float] = field(default_factory=lambda: itertools.count(0.0, 3600.0))
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(FILE + 1))

    def __post_init__(self) -> None:
        self.movers = [self._mover() for _ in range(self.count)]
        reply = self._order(0, WorkKind.SCAN, 0, encode(first_scan(self.plan)))
        assert isinstance(reply, ScanReply)
        (batch,) = reply.batches
        self.payload = batch.payload

    def run(self, loses: Callable[[], bool] = lambda: False) -> Record:
        """Do whatever may be done next, at random, until the file is on record."""
        for _ in range(STEPS_MAXIMUM):
            if self.record is not None:
                return self.close()
            self.step(lost=loses())
        raise AssertionError("the file never ends")

    def close(self) -> Record:
        for mover in self.movers:
            mover.close()
        assert self.record is not None
        return self.record

    def step(self, *, lost: bool = False) -> None:
        """One order. When it is `lost` the mover dies after it, before anybody has its reply."""
        chosen = self.random.choice([FILE, *self.parts] if self._is_file_ready() else [*self.parts])
        # What a mover remembers of a file is worth waiting for it.
        number = self.bound if chosen == FILE else self.random.randrange(self.count)
        kind = WorkKind.PART if chosen != FILE else WorkKind.COPY
        reply = self._order(number, kind, chosen, self.parts.get(chosen, self.payload))
        if lost:
            self.kill(number)
        elif isinstance(reply, PartReply):
            self.workers[number] += 1
            self._take_part(chosen, reply, number)
        else:
            assert isinstance(reply, CopyReply)
            self._take_file(reply)

    def kill(self, number: int) -> None:
        """The mover is replaced by a new one, which remembers nothing."""
        self.movers[number].close()
        self.movers[number] = self._mover()

    # ------------------------------------------------------------------ as the controller

    def _is_file_ready(self) -> bool:
        if not self.shared:
            return True
        file = SharedFile.decode(self.payload)
        return file.is_ready(len(self.parts), self.followed, self.plan)

    def _take_file(self, reply: CopyReply) -> None:
        assert reply.lost is None
        self.bytes_copied += reply.bytes_copied
        if reply.remaining is not None:
            self.payload = reply.remaining.payload
        self.shared, self.inside = reply.shared is not None, reply.inside
        self.orders += 1
        if reply.shared is not None:
            file = SharedFile.decode(self.payload)
            if reply.shared.failure is not None:
                file.fail(reply.shared.failure, again=reply.shared.again)
            self.followed = reply.shared.followed
            self._update(file)
        for record in reply.records:
            assert not self.parts, "it was recorded while others may have been writing"
            self.record = record

    def _take_part(self, work_id: int, reply: PartReply, mover: int) -> None:
        assert reply.lost is None
        self.bytes_copied += reply.bytes_copied
        file = SharedFile.decode(self.payload)
        if reply.remaining is not None and not file.has_failed:
            self.parts[work_id] = reply.remaining.payload
            return
        part = self.parts.pop(work_id)
        self.parts_returned.append(part)
        if reply.failure is not None:
            file.fail(reply.failure, again=reply.again, attempts=reply.attempts)
        elif reply.remaining is None:
            file.take_in(part, reply.digests)
        if reply.followed > self.followed:
            self.followed, self.bound = reply.followed, mover
        self._update(file)

    def _update(self, file: SharedFile) -> None:
        if file.has_failed:
            self.parts.clear()  # nobody works on them: orders are carried out one by one here
        else:
            for each in file.give_out(self.plan.workers - len(self.parts)):
                self.parts[next(self._ids)] = each.payload
        self.payload = file.encode()

    # ------------------------------------------------------------------ movers

    def _order(self, mover: int, kind: WorkKind, work_id: int, payload: bytes) -> object:
        order = WorkOrder(work_id, kind, encode(self.plan), payload, False)
        return self.movers[mover](order)

    def _mover(self) -> Mover:
        driver = Driver(
            self.plan, wrap_source=self.wrap_source, wrap_destination=self.wrap_destination
        )
        mover = driver.mover()
        mover.monotonic = self._now
        return mover

    def _now(self) -> float:
        """After the scan an hour between two looks: each slice ends after one segment."""
        return next(self._hours) if self.payload else 0.0
