"""What the dispatcher gives to movers: real runs over real folders, with movers in this process.

Time stands still except where somebody sleeps, so that rates can be told exactly.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert

from longshore.config import Config, TextsByName
from longshore.database import journal, leases, limits, runs, waits
from longshore.database.connection import Database, open_sqlite, reading, writing
from longshore.database.limits import StorageLimits
from longshore.database.migrate import PARTS
from longshore.database.tables.storages import nas, nas_shares
from longshore.database.tables.tasks import tasks
from longshore.database.tables.users import users
from longshore.domain.checksum import ChecksumKind
from longshore.domain.execution import TaskStatus
from longshore.domain.segments import SEGMENT_BYTES
from longshore.domain.storage import (
    StorageAddress,
    StorageKind,
    StorageReference,
    folder_address,
)
from longshore.domain.task import ConflictResolution, ProcessingOrder
from longshore.domain.waiting import Reason, ReasonCode
from longshore.engine import lifecycle
from longshore.engine.dispatch import Dispatcher
from longshore.engine.executors import Completion, DiedBefore, MoverDied
from longshore.engine.floor import Floor
from longshore.engine.run import QUICK_SECONDS, Run, Wish
from longshore.engine.settling import settle
from longshore.engine.waiting import LOOK_SECONDS, Waiting
from longshore.pipeline.messages.orders import WorkOrder
from longshore.pipeline.messages.plan import Destination, ExecutionPlan, Source, WorkKind
from longshore.pipeline.messages.work import encode
from longshore.pipeline.mover import Mover
from longshore.pipeline.scan import FOUND_FILES_MAXIMUM
from longshore.storage.backends.posix import PosixStorage
from longshore.storage.handler import StorageHandler

SLICE = 2.0
KIBI = 1024
ROUNDS_MAXIMUM = 2_000  # more would mean that a run never ends
MONDAY_MORNING = 1_704_099_600.0  # 2024-01-01 09:00 UTC


@dataclass(slots=True)
class Clock:
    now: float = MONDAY_MORNING

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass(slots=True)
class HoldingExecutor:
    """Movers in this process. An order stays under way until `finish` lets a mover carry it out.

    They take a second order each where `queues` says so.
    """

    clock: Clock
    count: int = 2
    queues: bool = False
    seconds: float = 0.0  # that each order takes, as the controller sees it
    behind: dict[int, tuple[WorkOrder, asyncio.Future[Completion]]] = field(default_factory=dict)
    held: list[tuple[WorkOrder, asyncio.Future[Completion]]] = field(default_factory=list)
    orders: list[WorkOrder] = field(default_factory=list)
    most_at_once: int = 0
    busy: set[int] = field(default_factory=set)

    def free(self) -> int:
        return self.count - len(self.held)

    def is_busy(self, mover: int) -> bool:
        return mover in self.busy

    def submit(self, order: WorkOrder, *, prefer: int | None = None) -> asyncio.Future[Completion]:
        future: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self.held.append((order, future))
        self.orders.append(order)
        self.most_at_once = max(self.most_at_once, len(self.held))
        return future

    def with_one_order(self) -> dict[int, int]:
        if not self.queues:
            return {}
        return {
            number: order.work_id
            for number, (order, _) in enumerate(self.held)
            if number not in self.behind
        }

    def submit_behind(self, order: WorkOrder, mover: int) -> asyncio.Future[Completion]:
        future: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        assert mover in self.with_one_order()
        self.behind[mover] = (order, future)
        self.orders.append(order)
        return future

    async def finish(self) -> None:
        """Carry out everything that movers are at, as if at the same time."""
        begun, ends = self.clock.now, []
        for order, future in self.held:
            self.clock.now = begun
            mover = Mover(
                _open, lambda _: None, self.clock.time, time.time_ns, sleep=self.clock.sleep
            )
            future.set_result(Completion(mover(order), 0, self.seconds))
            mover.close()
            ends.append(self.clock.now)
        self.held, self.behind = list(self.behind.values()), {}
        self.clock.now = max(ends, default=begun)
        await asyncio.sleep(0)  # lets the futures tell the dispatcher

    async def die(self) -> None:
        """All movers die, and are replaced at once."""
        for _, future in self.held:
            future.set_exception(MoverDied("a mover died"))
        for _, future in self.behind.values():
            future.set_exception(DiedBefore("a mover died"))
        self.held, self.behind = [], {}
        await asyncio.sleep(0)

    async def start(self) -> None: ...

    async def stop(self, *, timeout_seconds: float) -> None: ...


class QuickStorage(PosixStorage):
    """A folder without the wait for the disk."""

    def make_durable(self) -> None:
        return


def _open(address: StorageAddress) -> StorageHandler:
    return QuickStorage(address.reference, os.fsencode(address.settings["root"]))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    (tmp_path / "data").mkdir()
    opened = open_sqlite(tmp_path / "data")
    PARTS["state"].create_all(opened.state)
    PARTS["journal"].create_all(opened.journal)
    yield opened
    opened.dispose()


@dataclass(slots=True)
class Shop:
    """A controller's parts without its loop."""

    database: Database
    folder: Path
    config: Config
    movers: int = 2
    clock: Clock = field(default_factory=Clock)
    floor: Floor = field(init=False)
    executor: HoldingExecutor = field(init=False)
    dispatcher: Dispatcher = field(init=False)
    waiting: Waiting = field(init=False)

    def __post_init__(self) -> None:
        with writing(self.database.journal) as connection:
            lease = leases.take(connection, "test", self.clock.now + 3600)
        with writing(self.database.state) as connection:
            user = {
                "id": 1,
                "name": "u",
                "password_hash": "",
                "administrator": True,
                "creation_date": 0,
            }
            connection.execute(insert(users).values(user))
            server = {"id": 1, "name": "n", "host": "h", "type": "nfs_v4"}
            connection.execute(insert(nas).values(server))
        self.floor = Floor(
            config=self.config,
            database=self.database,
            lease=lease,
            callbacks_test=Future(),
            clock=self.clock.time,
            monotonic=self.clock.time,
            time_ns=time.time_ns,
        )
        self.executor = HoldingExecutor(self.clock, self.movers)
        self.dispatcher = Dispatcher(self.floor, self.executor, asyncio.Event())
        self.waiting = Waiting(self.floor, self.dispatcher.limits, self.executor)

    def add_share(self, number: int) -> Path:
        folder = self.folder / f"share-{number}"
        folder.mkdir(exist_ok=True)
        row = {"id": number, "nas_id": 1, "name": f"share-{number}", "path": "/"}
        with writing(self.database.state) as connection:
            connection.execute(insert(nas_shares).prefix_with("OR IGNORE").values(row))
        return folder

    def start(
        self,
        task_id: int,
        source: int,
        destination: int,
        *,
        files: int,
        size: int,
        priority: int = 5,
    ) -> Run:
        """A task from one share to another, in the middle of its first execution."""
        folder = self.add_share(source)
        self.add_share(destination)
        for number in range(files):
            (folder / f"t{task_id}-{number:03}").write_bytes(os.urandom(size))
        execution_id = 1_000 + task_id
        plan = _plan(execution_id, task_id, self.folder, source, destination)
        with writing(self.database.state) as connection:
            connection.execute(insert(tasks).values(_task(task_id, priority)))
            row = runs.task(connection, task_id)
            assert row is not None
            ends = {"source_type": "primary_nas", "destination_type": "secondary_nas"}
            runs.create_execution(
                connection, execution_id, row, encode(plan), now=0, facts="{}", **ends
            )
        lifecycle.start(self.floor, execution_id)
        return self.floor.runs[execution_id]

    def limit_task(self, task_id: int, bandwidth: int | None) -> None:
        with writing(self.database.state) as connection:
            limits.limit_task(connection, task_id, bandwidth)
        self.clock.now += 1  # what is known of limits is that old at most

    def limit_share(self, number: int, **values: Any) -> None:
        with writing(self.database.state) as connection:
            limits.limit_storage(connection, share(number), StorageLimits(**values))
        self.clock.now += 1

    def round(self) -> None:
        """What the controller does between two waits, besides requests and the queue."""
        settle(self.floor, self.dispatcher.returned)
        self.dispatcher.returned = []
        for run in list(self.floor.runs.values()):
            lifecycle.advance(self.floor, run)
        self.dispatcher.dispatch()

    async def turn(self) -> None:
        """One round, and everything under way carried out; time passes when there is nothing."""
        self.round()
        if not self.executor.held:
            self.clock.now += max(0.01, min(self.dispatcher.seconds_to_next(), 1.0))
        await self.executor.finish()

    async def until_done(self, *runs_: Run) -> None:
        for _ in range(ROUNDS_MAXIMUM):
            if all(run.status is TaskStatus.DONE for run in runs_):
                return
            await self.turn()
        raise AssertionError("the runs do not end")

    async def until_copying(self, run: Run) -> None:
        """Until files have been found and the first order to copy some is under way."""
        for _ in range(ROUNDS_MAXIMUM):
            self.round()
            if any(item.kind == WorkKind.COPY for item in run.under_way.values()):
                return
            await self.executor.finish()
        raise AssertionError("nothing is copied")

    async def until_behind(self, run: Run) -> None:
        """Until each mover copies for the run and has a further batch behind that."""
        self.executor.queues = True
        for _ in range(ROUNDS_MAXIMUM):
            await self.until_copying(run)
            under_way = [item.kind for item in run.under_way.values()]
            if under_way == [WorkKind.COPY] * 2 * self.movers:
                return
            await self.executor.finish()
        raise AssertionError("no batch lies behind another")

    def reasons(self, run: Run) -> list[Reason]:
        """What stands in the database of why the run waits."""
        self.clock.now += LOOK_SECONDS
        self.waiting.note()
        with reading(self.database.state) as connection:
            return waits.read(connection, run.execution_id)


def share(number: int) -> StorageReference:
    return StorageReference(StorageKind.NAS_SHARE, number)


def _plan(
    execution_id: int, task_id: int, folder: Path, source: int, destination: int
) -> ExecutionPlan:
    ends = [folder_address(share(n), str(folder / f"share-{n}")) for n in (source, destination)]
    return ExecutionPlan(
        execution_id=execution_id,
        task_id=task_id,
        sources=[Source(ends[0], b"", b"", b"", None, False)],
        destinations=[Destination(ends[1], None)],
        conflict=ConflictResolution.OVERWRITE,
        checksum=ChecksumKind.NONE,
        verify=False,
        callbacks=[],
        workers=64,
        slice_seconds=SLICE,
        batch_files=4,
        batch_bytes=1 << 40,
    )


def _task(task_id: int, priority: int) -> dict[str, Any]:
    return {
        "id": task_id,
        "owner_id": 1,
        "name": f"task {task_id}",
        "priority": priority,
        "action": "noop",
        "activate": 1,
        "creation_date": 0,
        "creation_username": "u",
        "modification_date": 0,
        "modification_username": "u",
        "status": "not_activated",
        "progress": 0,
        "processed_size": 0,
        "to_process_size": 0,
        "delete": 0,
    }


@pytest.fixture
def shop(database: Database, tmp_path: Path) -> Shop:
    return Shop(database, tmp_path, Config(data_dir=tmp_path / "data"))


def copy_orders(shop: Shop) -> list[WorkOrder]:
    return [order for order in shop.executor.orders if order.kind is WorkKind.COPY]


def test_without_limits_orders_have_no_rates_and_all_movers_work(shop: Shop) -> None:
    run = shop.start(1, 1, 2, files=40, size=KIBI)
    asyncio.run(shop.until_done(run))
    assert {order.rates for order in shop.executor.orders} == {None}
    assert shop.executor.most_at_once == 2


@pytest.mark.parametrize("movers", [1, 2, 5])
def test_a_limited_task_takes_its_time_however_many_movers_there_are(
    database: Database, tmp_path: Path, movers: int
) -> None:
    shop = Shop(database, tmp_path, Config(data_dir=tmp_path / "data"), movers)
    run = shop.start(1, 1, 2, files=40, size=100 * KIBI)
    shop.limit_task(1, 200 * KIBI)
    begun = shop.clock.now
    asyncio.run(shop.until_done(run))
    # The limit may be saved up for a piece per order, and movers may end at different times.
    assert shop.clock.now - begun == pytest.approx(20, rel=0.25)
    assert shop.clock.now - begun > 18


def test_the_limit_of_a_storage_is_for_all_tasks_that_use_it(shop: Shop) -> None:
    one = shop.start(1, 1, 3, files=20, size=100 * KIBI)
    other = shop.start(2, 2, 3, files=20, size=100 * KIBI)
    shop.limit_share(3, bandwidth=200 * KIBI)
    begun = shop.clock.now
    asyncio.run(shop.until_done(one, other))
    assert shop.clock.now - begun == pytest.approx(20, rel=0.25)
    assert shop.clock.now - begun > 18


def test_a_limit_on_one_storage_does_not_slow_down_others(shop: Shop) -> None:
    slow = shop.start(1, 1, 2, files=20, size=100 * KIBI)
    fast = shop.start(2, 3, 4, files=20, size=100 * KIBI)
    shop.limit_share(1, bandwidth=50 * KIBI)
    begun = shop.clock.now
    asyncio.run(shop.until_done(fast))
    assert shop.clock.now - begun < 20
    asyncio.run(shop.until_done(slow))
    assert shop.clock.now - begun > 35


def test_a_limit_that_is_set_acts_on_the_next_order(shop: Shop) -> None:
    async def story() -> None:
        run = shop.start(1, 1, 2, files=40, size=100 * KIBI)
        await shop.until_copying(run)
        assert copy_orders(shop)[-1].rates is None
        shop.limit_task(1, 200 * KIBI)
        await shop.executor.finish()
        given = len(copy_orders(shop))
        shop.round()
        rates = [order.rates.read for order in copy_orders(shop)[given:] if order.rates]
        assert rates
        assert sum(rate for rate in rates if rate) == pytest.approx(200 * KIBI)
        await shop.executor.finish()
        shop.limit_task(1, None)
        given = len(copy_orders(shop))
        shop.round()
        assert [order.rates for order in copy_orders(shop)[given:]] == [None, None]
        await shop.executor.finish()

    asyncio.run(story())


def test_the_timetable_of_the_server_holds_at_its_hours(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    config = Config(
        data_dir=tmp_path / "data",
        bandwidth_bytes_per_second=300,
        bandwidth_timetable="Mon 08:00-10:00 1M; Mon off",
    )
    shop = Shop(database, tmp_path, config)
    limits_ = shop.dispatcher.limits
    assert limits_.of_server() == 1024 * KIBI
    shop.clock.now += 3600
    assert limits_.of_server() is None
    shop.clock.now += 86_400
    assert limits_.of_server() == 300
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_utc")
@pytest.mark.parametrize("of", ["task", "storage"])
def test_a_running_task_changes_its_speed_when_the_hour_of_its_timetable_comes(
    database: Database, tmp_path: Path, of: str
) -> None:
    timetable = "Mon 08:00-10:00 100K; Mon 10:00-11:00 1M"
    config = Config(
        data_dir=tmp_path / "data",
        task_bandwidth_timetables=TextsByName((("task 1", timetable),) if of == "task" else ()),
        storage_bandwidth_timetables=TextsByName(
            (("share-1", timetable),) if of == "storage" else ()
        ),
    )
    shop = Shop(database, tmp_path, config)
    ten = shop.clock.now + 3600
    shop.clock.now = ten - 20
    run = shop.start(1, 1, 2, files=60, size=100 * KIBI)
    shop.limit_task(1, 7)  # the hours of the table have nothing to do with it
    if of == "storage":
        shop.limit_task(1, None)
    asyncio.run(shop.until_done(run))
    rates = [_rate(order, of) for order in copy_orders(shop)]
    slow = [rate for rate in rates if rate is not None and rate <= 100 * KIBI]
    fast = [rate for rate in rates if rate is not None and rate > 100 * KIBI]
    assert slow, "before ten"
    assert fast, "after ten"
    assert rates == [*slow, *fast]
    # 20 s pass 20 of the files, the others take 4 s: as slow as before they would take 40.
    assert ten - 2 < shop.clock.now < ten + 12


def _rate(order: WorkOrder, of: str) -> float | None:
    """What the order may read from its source in a second."""
    assert order.rates is not None
    if of == "task":
        return order.rates.read
    (found,) = (each.bytes_per_second for each in order.rates.storages)
    return found


@pytest.mark.usefixtures("in_utc")
def test_where_no_entry_of_its_timetable_fits_the_limit_of_a_task_holds(
    database: Database, tmp_path: Path
) -> None:
    timetables = TextsByName((("task 1", "Tue 5; Mon 08:00-12:00 off"),))
    config = Config(data_dir=tmp_path / "data", task_bandwidth_timetables=timetables)
    shop = Shop(database, tmp_path, config)
    run = shop.start(1, 1, 2, files=1, size=1)
    shop.limit_task(1, 9)
    limits_ = shop.dispatcher.limits
    found = []
    for _ in range(3):
        limits_.refresh()
        found.append(limits_.in_force(run).get(1))
        shop.clock.now += 12 * 3600
    assert found == [None, 9, 5]


# ------------------------------------------------------------------------------- slots


def test_the_slots_of_a_storage_bound_the_orders_of_all_tasks(
    database: Database, tmp_path: Path
) -> None:
    shop = Shop(database, tmp_path, Config(data_dir=tmp_path / "data"), movers=8)
    one = shop.start(1, 1, 3, files=40, size=KIBI)
    other = shop.start(2, 2, 3, files=40, size=KIBI)
    shop.limit_share(3, slots=3)
    asyncio.run(shop.until_done(one, other))
    assert shop.executor.most_at_once == 3


def test_the_configured_slots_hold_where_a_storage_has_none_of_its_own(
    database: Database, tmp_path: Path
) -> None:
    config = Config(data_dir=tmp_path / "data", storage_slots_default=1)
    shop = Shop(database, tmp_path, config, movers=8)
    run = shop.start(1, 1, 2, files=40, size=KIBI)
    asyncio.run(shop.until_done(run))
    assert shop.executor.most_at_once == 1
    again = shop.start(2, 3, 4, files=40, size=KIBI)
    for number in (3, 4):
        shop.limit_share(number, slots=0)
    asyncio.run(shop.until_done(again))
    assert shop.executor.most_at_once == 8


def test_a_free_slot_goes_to_the_higher_priority(shop: Shop) -> None:
    low = shop.start(1, 1, 3, files=20, size=KIBI, priority=1)
    high = shop.start(2, 2, 3, files=20, size=KIBI, priority=9)
    shop.limit_share(3, slots=1)
    asyncio.run(shop.until_done(high))
    # The other one got the slot when nothing was left to do, in the last round.
    plans = [order.plan for order in shop.executor.orders]
    assert plans.count(low.plan_bytes) <= 1
    assert low.plan_bytes not in plans[:-1]


# ----------------------------------------------------------------------------- reasons


def test_a_run_without_a_slot_says_so(shop: Shop) -> None:
    async def story() -> None:
        shop.start(1, 1, 3, files=20, size=KIBI)
        second = shop.start(2, 2, 3, files=20, size=KIBI)
        shop.limit_share(3, slots=1)
        shop.round()
        (reason,) = shop.reasons(second)
        assert reason.code == ReasonCode.SLOTS_TAKEN
        assert reason.text == "the only slot of storage share-3 is taken"
        assert reason.data == {
            "storage": {"kind": "nas_share", "id": 3, "name": "share-3"},
            "slots": 1,
            "task_ids": [1],
            "task_count": 1,
        }
        shop.limit_share(3, slots=2)
        shop.round()
        assert shop.reasons(second) == []
        await shop.executor.finish()

    asyncio.run(story())


def test_a_run_without_a_mover_says_who_has_them(shop: Shop) -> None:
    async def story() -> None:
        first = shop.start(1, 1, 3, files=20, size=KIBI, priority=9)
        second = shop.start(2, 2, 4, files=20, size=KIBI)
        await shop.until_copying(first)
        await shop.executor.finish()
        shop.round()
        (reason,) = shop.reasons(second)
        assert (reason.code, reason.data["task_ids"]) == (ReasonCode.MOVERS_BUSY, [1])
        await shop.executor.finish()

    asyncio.run(story())


def test_the_limits_that_hold_back_a_run_are_reasons(shop: Shop) -> None:
    async def story() -> None:
        run = shop.start(1, 1, 2, files=4, size=KIBI)
        shop.limit_task(1, 1536)
        shop.limit_share(2, bandwidth=2 * KIBI * KIBI)
        shop.round()
        found = {reason.data["limit_of"]: reason for reason in shop.reasons(run)}
        assert found["task"].text == "the bandwidth of the task is limited to 1.5 KiB/s"
        assert found["storage"].text == "the bandwidth of storage share-2 is limited to 2 MiB/s"
        assert found["storage"].data["bytes_per_second"] == 2 * KIBI * KIBI
        await shop.executor.finish()

    asyncio.run(story())


def test_a_lost_storage_is_a_reason_until_it_is_back(shop: Shop) -> None:
    async def story() -> None:
        run = shop.start(1, 1, 2, files=4, size=KIBI)
        (shop.folder / "share-1").rename(shop.folder / "away")
        await shop.turn()
        shop.round()
        (reason,) = shop.reasons(run)
        assert reason.code == ReasonCode.STORAGE_LOST
        assert reason.data["error"] == run.reason
        assert reason.data["since"] < reason.data["retry_at"] < reason.data["ends_at"]
        (shop.folder / "away").rename(shop.folder / "share-1")
        await shop.until_done(run)
        assert shop.reasons(run) == []

    asyncio.run(story())


def test_reasons_are_written_when_they_change_only(shop: Shop) -> None:
    async def story() -> None:
        run = shop.start(1, 1, 2, files=4, size=KIBI)
        shop.limit_task(1, KIBI)
        shop.round()
        assert len(shop.reasons(run)) == 1
        with writing(shop.database.state) as connection:
            waits.forget_all(connection)  # the next write would bring it back
        assert shop.reasons(run) == []
        shop.limit_task(1, 2 * KIBI)
        shop.round()
        assert len(shop.reasons(run)) == 1
        await shop.executor.finish()

    asyncio.run(story())


# ------------------------------------------------------------------------------- big files


def start_big(shop: Shop) -> Run:
    """A run with one file of three parts, all holes, so that it is quickly read."""
    with (shop.add_share(1) / "big").open("wb") as file:
        file.truncate(6 * SEGMENT_BYTES)
    return shop.start(1, 1, 2, files=0, size=0)


def kinds(run: Run) -> list[int]:
    return sorted(item.kind for item in run.under_way.values())


def test_each_part_of_a_file_takes_a_slot(shop: Shop) -> None:
    async def work() -> None:
        shop.limit_share(2, slots=1)
        await shop.until_done(start_big(shop))

    asyncio.run(work())
    assert [order.kind for order in shop.executor.orders].count(WorkKind.PART) == 3
    assert shop.executor.most_at_once == 1


def test_a_file_waits_for_the_mover_that_remembers_what_it_has_verified(shop: Shop) -> None:
    async def work() -> None:
        run = start_big(shop)
        while not run.followed:
            shop.round()
            await shop.executor.finish()
        shop.executor.busy = {0}
        shop.round()
        assert kinds(run) == [WorkKind.PART], "another mover would begin from the start"
        shop.executor.busy = set()
        shop.round()
        assert kinds(run) == [WorkKind.PART, WorkKind.FINISH]
        await shop.until_done(run)

    asyncio.run(work())


# -------------------------------------------------------------------------- a second order


def test_each_mover_has_a_second_order_of_its_run(shop: Shop) -> None:
    async def work() -> None:
        run = shop.start(1, 1, 2, files=80, size=KIBI)
        await shop.until_behind(run)
        assert (len(shop.executor.held), len(shop.executor.behind)) == (2, 2)
        assert (run.at_work, len(run.under_way)) == (2, 4)
        behind = {order.work_id for order, _ in shop.executor.behind.values()}
        assert run.behind.keys() == behind
        await shop.executor.finish()
        assert run.behind == {}
        assert {order.work_id for order, _ in shop.executor.held} == behind
        shop.round()
        assert len(shop.executor.behind) == 2
        await shop.until_done(run)

    asyncio.run(work())
    assert shop.executor.most_at_once == 2
    assert len(files_of(shop, 2)) == 80


def test_an_order_behind_another_takes_no_slot_and_no_worker(
    database: Database, tmp_path: Path
) -> None:
    shop = Shop(database, tmp_path, Config(data_dir=tmp_path / "data"), movers=3)

    async def work() -> None:
        run = shop.start(1, 1, 2, files=80, size=KIBI)
        run.plan = msgspec.structs.replace(run.plan, workers=2)
        shop.executor.queues = True
        await shop.until_copying(run)
        await shop.turn()
        shop.round()
        assert (len(shop.executor.held), len(shop.executor.behind)) == (2, 2)
        shop.limit_share(2, slots=1)
        await shop.executor.finish()
        await shop.turn()
        shop.round()
        assert (len(shop.executor.held), len(shop.executor.behind)) == (1, 1)
        await shop.until_done(run)

    asyncio.run(work())


def test_nothing_lies_behind_an_order_whose_bandwidth_is_limited(shop: Shop) -> None:
    async def work() -> None:
        run = shop.start(1, 1, 2, files=80, size=KIBI)
        await shop.until_behind(run)
        shop.limit_task(1, 200 * KIBI)
        await shop.executor.finish()
        await shop.turn()
        shop.round()
        assert shop.executor.held
        assert shop.executor.behind == {}
        await shop.until_done(run)

    asyncio.run(work())


def test_nothing_lies_behind_orders_that_take_long(shop: Shop) -> None:
    async def work() -> None:
        run = shop.start(1, 1, 2, files=80, size=KIBI)
        await shop.until_behind(run)
        shop.executor.seconds = 2 * QUICK_SECONDS
        await shop.turn()
        await shop.turn()
        shop.round()
        assert (len(shop.executor.held), shop.executor.behind) == (2, {})
        await shop.until_done(run)

    asyncio.run(work())


def test_nothing_lies_behind_another_where_the_task_asks_for_an_order(shop: Shop) -> None:
    shop.executor.queues = True
    run = shop.start(1, 1, 2, files=40, size=KIBI)
    run.plan = msgspec.structs.replace(run.plan, order=ProcessingOrder.NAME)
    run.plan_bytes = encode(run.plan)

    async def work() -> None:
        while run.status is not TaskStatus.DONE:
            shop.round()
            assert shop.executor.behind == {}
            await shop.executor.finish()

    asyncio.run(work())


@pytest.mark.parametrize("priority", [5, 9])
def test_a_run_without_a_mover_gets_the_next_one(shop: Shop, priority: int) -> None:
    async def work() -> None:
        first = shop.start(1, 1, 2, files=80, size=KIBI)
        await shop.until_behind(first)
        second = shop.start(2, 3, 4, files=8, size=KIBI, priority=priority)
        await shop.turn()
        shop.round()
        assert shop.executor.behind == {}, "the second run would wait for it"
        await shop.executor.finish()
        shop.round()
        assert second.at_work
        await shop.until_done(first, second)

    asyncio.run(work())


def test_a_run_of_higher_priority_gets_the_slot_it_waits_for(shop: Shop) -> None:
    async def work() -> None:
        shop.limit_share(3, slots=1)
        first = shop.start(1, 1, 3, files=80, size=KIBI)
        shop.executor.queues = True
        while not first.behind:
            await shop.turn()
            shop.round()
        second = shop.start(2, 2, 3, files=8, size=KIBI, priority=9)
        await shop.turn()
        shop.round()
        assert shop.executor.behind == {}, "the slot would never become free"
        await shop.executor.finish()
        shop.round()
        assert (first.at_work, second.at_work) == (0, 1)
        await shop.until_done(first, second)

    asyncio.run(work())
    assert shop.executor.most_at_once == 1


def test_a_run_that_may_have_no_further_mover_leaves_second_orders_to_others(shop: Shop) -> None:
    async def work() -> None:
        free = shop.start(1, 1, 2, files=80, size=KIBI)
        bound = shop.start(2, 3, 4, files=80, size=KIBI, priority=9)
        shop.limit_share(3, slots=1)
        shop.executor.queues = True
        for _ in range(4):
            await shop.turn()
        shop.round()
        assert bound.is_waiting(shop.clock.now)
        assert (free.at_work, bound.at_work) == (1, 1)
        assert (len(free.behind), len(bound.behind)) == (1, 1)
        await shop.until_done(free, bound)

    asyncio.run(work())


def test_a_death_is_the_fault_of_the_first_order_only(shop: Shop) -> None:
    async def work() -> None:
        run = shop.start(1, 1, 2, files=80, size=KIBI)
        await shop.until_behind(run)
        held = [order.work_id for order, _ in shop.executor.held]
        behind = [order.work_id for order, _ in shop.executor.behind.values()]
        await shop.executor.die()
        given = len(shop.executor.orders)
        shop.round()
        with reading(shop.database.journal) as connection:
            found = {work_id: journal.read_work(connection, work_id) for work_id in held + behind}
        assert [item.attempts for item in found.values() if item] == [1, 1, 0, 0]
        await shop.until_done(run)
        again = {order.work_id: order.fresh for order in shop.executor.orders[given:]}
        # Nobody can tell for certain that a mover which hung had not come to its second order.
        assert [again[work_id] for work_id in held + behind] == [False] * 4

    asyncio.run(work())
    assert len(files_of(shop, 2)) == 80


def test_pausing_waits_for_the_orders_that_movers_have(shop: Shop) -> None:
    async def work() -> None:
        run = shop.start(1, 1, 2, files=80, size=KIBI)
        await shop.until_behind(run)
        run.wish = Wish.PAUSE
        given = len(shop.executor.orders)
        for left in (2, 0):
            await shop.executor.finish()
            shop.round()
            assert len(run.under_way) == left
        assert len(shop.executor.orders) == given
        assert run.status is TaskStatus.PAUSED

    asyncio.run(work())


def test_an_item_that_one_mover_keeps_something_for_lies_behind_no_other(shop: Shop) -> None:
    async def work() -> None:
        run = shop.start(1, 1, 2, files=80, size=KIBI)
        await shop.until_behind(run)
        await shop.executor.finish()
        settle(shop.floor, shop.dispatcher.returned)
        shop.dispatcher.returned = []
        for item in run.queues[WorkKind.COPY].items:
            run.movers[item.id] = 1
        shop.dispatcher.dispatch()
        assert shop.executor.behind.keys() == {1}
        await shop.until_done(run)

    asyncio.run(work())


def files_of(shop: Shop, number: int) -> list[str]:
    return os.listdir(shop.folder / f"share-{number}")


# ------------------------------------------------------------------------------- wide folders


def test_a_folder_waits_for_the_mover_that_keeps_it_open(shop: Shop) -> None:
    async def work() -> None:
        run = shop.start(1, 1, 2, files=FOUND_FILES_MAXIMUM + 1, size=0)
        while not run.followed:
            shop.round()
            await shop.executor.finish()
        shop.executor.busy = {0}
        shop.round()
        while shop.executor.held:
            assert WorkKind.SCAN not in kinds(run), "another mover would list the folder anew"
            await shop.executor.finish()
            shop.round()
        assert not run.is_finished()
        shop.executor.busy = set()
        shop.round()
        assert kinds(run) == [WorkKind.SCAN]
        await shop.until_done(run)

    asyncio.run(work())
