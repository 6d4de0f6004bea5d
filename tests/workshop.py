"""The whole engine inside the test process: api, controller and movers over one real database.

Everything is real except the processes. A test can therefore let the controller or a mover crash
at any fault point by raising `Crash`, as often as it likes, in milliseconds: what was in memory is
gone, what was committed or written stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import event, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError

from longshore import faults
from longshore.api.app import create_app
from longshore.callbacks import SandboxReport
from longshore.config import Config
from longshore.database.connection import Database, reading
from longshore.database.tables.tasks import tasks
from longshore.database.wakeup import Listener
from longshore.domain.execution import TaskStatus
from longshore.domain.storage import StorageAddress
from longshore.engine.controller import Controller
from longshore.engine.executors import Completion, DiedBefore, MoverDied
from longshore.pipeline.messages.orders import WorkOrder
from longshore.pipeline.mover import Mover
from longshore.storage.backends.posix import PosixStorage
from longshore.storage.handler import StorageHandler
from tests.api.client import TestClient
from tests.api.conftest import ADMINISTRATOR, add_users, context_over

LIFE_SECONDS_MAXIMUM = 30.0  # of one controller in a test; a longer one hangs
POLL_SECONDS = 0.002

# A crash of a process loses nothing that was written, so nothing has to reach the disk here.
_UNSAFE_BUT_FAST = "PRAGMA synchronous = OFF"

OpenStorage = Callable[[StorageAddress], StorageHandler]


class Crash(BaseException):
    """The process is gone: no code that handles errors may see it."""


@dataclass(slots=True)
class InProcessExecutor:
    """Movers that work inside the call of `submit`. One that crashes is replaced at once.

    A single one begins its second order before the controller has heard of its first.
    """

    open_storage: OpenStorage
    count: int = 1
    deaths: int = 0
    orders: list[WorkOrder] = field(default_factory=list)
    monotonic: Callable[[], float] = time.monotonic
    time_ns: Callable[[], int] = time.time_ns
    _mover: Mover | None = None
    _under_way: int = 0  # answered already, but the controller has not heard it yet
    _behind: tuple[WorkOrder, asyncio.Future[Completion]] | None = None

    def free(self) -> int:
        return self.count - self._under_way

    def is_busy(self, mover: int) -> bool:
        return False

    def submit(self, order: WorkOrder, *, prefer: int | None = None) -> asyncio.Future[Completion]:
        return self._carry_out(order, asyncio.get_running_loop().create_future(), prefer or 0)

    def with_one_order(self) -> dict[int, int]:
        if self.count > 1 or not self._under_way or self._behind is not None:
            return {}
        return {0: self.orders[-1].work_id}

    def submit_behind(self, order: WorkOrder, mover: int) -> asyncio.Future[Completion]:
        assert mover in self.with_one_order()
        future: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self._behind = (order, future)
        return future

    def _carry_out(
        self, order: WorkOrder, future: asyncio.Future[Completion], mover: int
    ) -> asyncio.Future[Completion]:
        future.add_done_callback(self._taken_back)
        self._under_way += 1
        self.orders.append(order)
        kind = order.kind.name.encode()
        try:
            faults.at("mover.order", kind)
            reply = self._present()(order)
            faults.at("mover.reply", kind)
            future.set_result(Completion(reply, mover))
        except Crash:
            self._mover = None
            self.deaths += 1
            future.set_exception(MoverDied("a mover died"))
        return future

    async def start(self) -> None:
        self._under_way, self._behind = 0, None

    async def stop(self, *, timeout_seconds: float) -> None:
        if self._mover is not None:
            self._mover.close()
            self._mover = None

    def _taken_back(self, done: asyncio.Future[Completion]) -> None:
        self._under_way -= 1
        if self._behind is None:
            return
        (order, future), self._behind = self._behind, None
        if done.exception() is None:
            self._carry_out(order, future, 0)
        else:
            future.set_exception(DiedBefore("a mover died"))

    def _now(self) -> float:
        return self.monotonic()

    def _present(self) -> Mover:
        if self._mover is None:
            self._mover = Mover(
                open_storage=self.open_storage,
                open_filter=lambda plan: None,
                monotonic=self._now,
                time_ns=self.time_ns,
            )
        return self._mover


class PipeListener(Listener):
    """Calls from the same process: the controller wakes up at once."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        return self._reading

    def call(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._writing, b"!")

    def drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._reading, 4096)

    def close(self) -> None:
        os.close(self._reading)
        os.close(self._writing)


def open_quickly(address: StorageAddress) -> StorageHandler:
    """The folder, without waiting for the disk."""
    root = os.fsencode(address.settings["root"])
    return PosixStorage(address.reference, root, own_durability=False)


@dataclass(slots=True)
class Workshop:
    """One server's worth of data, and controllers that live one after the other."""

    database: Database
    folder: Path
    config: Config
    open_storage: OpenStorage = open_quickly
    lives: int = 0
    jumped_seconds: float = 0.0  # how far the clock of controller and movers is wrong
    listener: PipeListener | None = None
    executor: InProcessExecutor = field(init=False)

    def __post_init__(self) -> None:
        for engine in (self.database.state, self.database.journal):
            event.listen(engine, "connect", lambda connection, _: _hurry(connection))
        add_users(self.database)
        self.executor = InProcessExecutor(self._open, time_ns=self.time_ns)

    def client(self, **context_fields: Any) -> TestClient:
        """An api on the same data; its context has these fields besides."""
        fields = {"wake": self.wake, **context_fields}
        context = replace(context_over(self.database, self.folder), **fields)
        client = TestClient(create_app(context), base_url="http://longshore/api/v2")
        client.auth = ADMINISTRATOR
        return client

    def wake(self) -> None:
        if self.listener is not None:
            self.listener.call()

    def status(self, task_id: int) -> TaskStatus:
        with reading(self.database.state) as connection:
            query = select(tasks.c.status).where(tasks.c.id == task_id)
            return TaskStatus(connection.execute(query).scalar_one())

    def live(self, until: Callable[[], object]) -> None:
        """Be a controller until the condition holds; Crash passes through."""
        self.lives += 1
        # Each life is an hour after the one before, so that its lease has run out.
        ahead = 3600.0 * self.lives
        self.listener = PipeListener()
        try:
            asyncio.run(self._control(self.listener, ahead, until))
        finally:
            self.listener.close()
            self.listener = None

    def live_through_crashes(self, until: Callable[[], object]) -> int:
        """Controller after controller until the condition holds; how many crashed.

        One that could not begin because the database refused has ended like one that crashed.
        """
        for crashes in itertools.count():
            try:
                self.live(until)
            except (Crash, DBAPIError):
                continue
            if until():  # it may have taken its last deed back when it ended
                return crashes
        raise AssertionError

    def time_ns(self) -> int:
        """Nanoseconds since 1970, as controller and movers are told."""
        return time.time_ns() + round(self.jumped_seconds * 1e9)

    def _open(self, address: StorageAddress) -> StorageHandler:
        return self.open_storage(address)

    async def _control(self, listener: Listener, ahead: float, until: Callable[[], object]) -> None:
        callbacks_test: Future[SandboxReport] = Future()
        callbacks_test.set_result(SandboxReport(ok=True))
        controller = Controller(
            config=self.config,
            callbacks_test=callbacks_test,
            database=self.database,
            listener=listener,
            executor=self.executor,
            clock=lambda: time.time() + ahead + self.jumped_seconds,
            monotonic=time.monotonic,
            time_ns=self.time_ns,
        )
        running = asyncio.ensure_future(controller.run())
        deadline = time.monotonic() + LIFE_SECONDS_MAXIMUM
        while not running.done():
            if until():
                controller.end()
            assert time.monotonic() < deadline, "the controller does not get there"
            await asyncio.wait([running], timeout=POLL_SECONDS)
        await running


def _hurry(connection: DBAPIConnection) -> None:
    cursor = connection.cursor()
    cursor.execute(_UNSAFE_BUT_FAST)
    cursor.close()


@contextmanager
def reaching(reach: faults.Reach) -> Iterator[None]:
    """Call the function at every fault point of this process while the block runs."""
    faults.install(reach)
    try:
        yield
    finally:
        faults.install(None)


@dataclass(slots=True)
class CrashAt:
    """Crash, or raise something else, when one of the points is reached for the n-th time."""

    points: tuple[str, ...]
    number: int
    error: BaseException = field(default_factory=Crash)
    seen: int = 0

    @property
    def has_happened(self) -> bool:
        return self.seen >= self.number

    def __call__(self, point: str, detail: bytes) -> None:
        if point in self.points:
            self.seen += 1
            if self.seen == self.number:
                raise self.error
