"""The controller: one thread, one event loop, the only one that changes executions.

    wait ─> carry out requests ─> record replies ─> advance runs ─> admit ─> dispatch ─> wait …

It waits for a call from the api, for a reply of a mover or for the next moment at which something
is due. Every round begins with the lease: who lost it does nothing more.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row
from sqlalchemy.exc import OperationalError

from longshore import faults
from longshore.callbacks import SandboxReport
from longshore.config import Config
from longshore.database import jobs, journal, runs, waits
from longshore.database.connection import Database
from longshore.database.leases import LeaseLost
from longshore.database.wakeup import Listener
from longshore.domain.execution import IDLE, RUNNING, Event, TaskStatus
from longshore.domain.waiting import Reason, ReasonCode
from longshore.engine import actions, file_lists, lease, lifecycle, scheduling
from longshore.engine.counting import Counting
from longshore.engine.dispatch import Dispatcher
from longshore.engine.executors import Executor
from longshore.engine.floor import Floor
from longshore.engine.memory import memory_use_percent
from longshore.engine.ownerless import Ownerless
from longshore.engine.primary_scanning import PrimaryScanning
from longshore.engine.retention import Retention
from longshore.engine.settling import settle
from longshore.engine.waiting import Waiting
from longshore.hooks import NO_HOOKS, Hooks
from longshore.observability import logger

IDLE_SECONDS = 0.5  # longest wait; also the safety net for a call that got lost
LOOK_SECONDS = 0.5  # between two looks at requests and the queue that nobody has called for
STOP_SECONDS = 2.5  # for slices under way when the server ends; SIGTERM has to be done in five
DATABASE_RETRY_SECONDS = 0.5  # after the database refused a transaction
HOUSEKEEPING_SECONDS = 3600.0  # between two removals of old jobs

_log = logger("controller")


@dataclass(slots=True, kw_only=True)
class Controller:
    """Runs until it is told to end, or until it loses the lease."""

    config: Config
    callbacks_test: Future[SandboxReport]
    database: Database
    listener: Listener
    executor: Executor
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    time_ns: Callable[[], int]
    hooks: Hooks = NO_HOOKS
    unseal: Callable[[bytes], str] | None = None  # makes stored secrets readable
    _called: asyncio.Event = field(default_factory=asyncio.Event)
    _ending: bool = False
    _jobs: deque[Row[Any]] = field(default_factory=deque)
    _asked: bool = True  # somebody has called since the last look at what is asked for
    _looked_at: float = -LOOK_SECONDS
    _tidied_at: float = -HOUSEKEEPING_SECONDS
    _retention: Retention = field(default_factory=Retention)
    _counting: Counting = field(default_factory=Counting)
    _ownerless: Ownerless = field(default_factory=Ownerless)
    _primary_scanning: PrimaryScanning = field(default_factory=PrimaryScanning)

    async def run(self) -> None:
        """Take the lease, go on with what was left, and work. Raises LeaseLost."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)
        held = await lease.acquire(self.database, self.clock, self.config.lease_seconds)
        floor = Floor(
            config=self.config,
            database=self.database,
            lease=held,
            callbacks_test=self.callbacks_test,
            hooks=self.hooks,
            clock=self.clock,
            monotonic=self.monotonic,
            time_ns=self.time_ns,
            unseal=self.unseal,
        )
        faults.at("controller.leading")
        recover(floor)
        faults.at("controller.recovered")
        loop.add_reader(self.listener.fileno(), self._take_call)
        dispatcher = Dispatcher(floor, self.executor, self._called)
        waiting = Waiting(floor, dispatcher.limits, self.executor)
        keeper = asyncio.create_task(self._keep_lease(floor))
        try:
            await self.executor.start()
            await asyncio.wrap_future(self.callbacks_test)
            while not self._ending:
                await self._round(floor, dispatcher, waiting)
            await self._close(floor, dispatcher)
        finally:
            keeper.cancel()
            loop.remove_reader(self.listener.fileno())
            await self.executor.stop(timeout_seconds=0)
        lease.release(self.database, held)

    # ------------------------------------------------------------------ one round

    async def _round(self, floor: Floor, dispatcher: Dispatcher, waiting: Waiting) -> None:
        self._called.clear()
        try:
            asked = self._has_been_asked(floor)
            if asked:
                self._carry_out_jobs(floor)
                scheduling.run_due(floor)
            self._primary_scanning.work(floor)
            self._settle(floor, dispatcher)
            before = len(floor.runs)
            for run in list(floor.runs.values()):
                lifecycle.advance(floor, run)
                lifecycle.show_progress(floor, run)
            if asked or len(floor.runs) < before:
                waiting.queue = self._admit(floor)
            dispatcher.dispatch()
            waiting.note()
            self._tidy(floor)
        except OperationalError as error:
            # Somebody else holds the database's lock, or its server is away. Nothing was
            # written, so the round is simply repeated.
            self._asked = True
            _log.warning("the database refused", error=str(error.orig))
            await asyncio.sleep(DATABASE_RETRY_SECONDS)
            return
        pause = min(IDLE_SECONDS, dispatcher.seconds_to_next())
        if any(file_lists.may_advance(run) for run in floor.runs.values()):
            pause = 0.0  # a page may have had nothing that movers could call back about
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._called.wait(), pause)

    def _has_been_asked(self, floor: Floor) -> bool:
        """Whether to look at what the api wants: most rounds are only about replies of movers.

        Nobody has called while there is nothing to do: then one question is asked instead of all.
        """
        now, called = self.monotonic(), self._asked
        if not called and now - self._looked_at < LOOK_SECONDS:
            return False
        self._asked, self._looked_at = False, now
        if called or floor.runs:
            return True
        with floor.look() as connection:
            return runs.is_anything_wanted(connection, floor.now())

    def _carry_out_jobs(self, floor: Floor) -> None:
        if not self._jobs:
            with floor.state() as connection:
                self._jobs.extend(runs.queued_jobs(connection))
        while self._jobs:
            # It leaves the queue afterwards: what the database refused is tried again.
            actions.carry_out(floor, self._jobs[0])
            self._jobs.popleft()

    def _settle(self, floor: Floor, dispatcher: Dispatcher) -> None:
        returned = dispatcher.returned
        if returned:
            settle(floor, returned)
            dispatcher.returned = []

    def _admit(self, floor: Floor) -> Reason | None:
        """Take executions out of the queue as long as nothing is full; what is full now."""
        with floor.state() as connection:
            changed = runs.adopt_priorities(connection, list(RUNNING))
            waiting = runs.executions_with_status(connection, [TaskStatus.IN_QUEUE])
        for execution_id, priority in changed.items():
            if execution_id in floor.runs:
                floor.runs[execution_id].priority = priority
        for row in waiting:
            if row.id in floor.runs:
                continue
            full = self._full(floor)
            if full is not None:
                return full
            lifecycle.start(floor, row.id)
            lifecycle.hold_back_callbacks(floor, floor.runs[row.id])
            lifecycle.hold_back_unverified(floor, floor.runs[row.id])
            lifecycle.advance(floor, floor.runs[row.id])
        return None

    def _full(self, floor: Floor) -> Reason | None:
        """Why no further execution may start now."""
        active, limit = len(floor.runs), self.config.active_tasks_maximum
        if active >= limit:
            text = f"{active} tasks are active, and no more than {limit} may be"
            return Reason(ReasonCode.ACTIVE_TASKS_LIMIT, text, {"active": active, "limit": limit})
        percent = self.config.memory_use_percent_maximum
        if active and memory_use_percent() > percent:
            text = f"more than {percent} % of the memory is in use, so no further task starts"
            return Reason(ReasonCode.MEMORY_LIMIT, text, {"limit_percent": percent})
        return None

    def _tidy(self, floor: Floor) -> None:
        if self.monotonic() - self._tidied_at >= HOUSEKEEPING_SECONDS:
            self._tidied_at = self.monotonic()
            with floor.state() as connection:
                runs.remove_jobs_before(connection, self.time_ns() - jobs.LIFETIME_NANOSECONDS)
        self._retention.work(floor)
        self._counting.work(floor)
        self._ownerless.work(floor)

    # ------------------------------------------------------------------ around the rounds

    def _take_call(self) -> None:
        self.listener.drain()
        self._asked = True
        self._called.set()

    def end(self) -> None:
        """End in order, soon."""
        self._ending = True
        self._called.set()

    async def _keep_lease(self, floor: Floor) -> None:
        """Prolong the lease while rounds are rare; a lost one is noticed by the next round."""
        while True:
            await asyncio.sleep(self.config.lease_seconds / 4)
            with contextlib.suppress(OperationalError, LeaseLost), floor.journal():
                pass

    async def _close(self, floor: Floor, dispatcher: Dispatcher) -> None:
        """End in order: what is under way is recorded, the rest goes on at the next start."""
        await self.executor.stop(timeout_seconds=STOP_SECONDS)
        dispatcher.forget_unanswered()
        self._settle(floor, dispatcher)
        lifecycle.interrupt(floor)


def recover(floor: Floor) -> None:
    """Take over from the controller before: what ran goes back into the queue (semantics, 6)."""
    with floor.state() as connection:
        waits.forget_all(connection)
        runs.fail_begun_jobs(connection, "the server was restarted before this was carried out")
        active = runs.executions_with_status(
            connection, [TaskStatus.CALCULATING, TaskStatus.IN_PROGRESS]
        )
    for row in active:
        run = lifecycle.load(floor, row.id, recovered=True)
        if floor.config.recovery_stops_tasks:
            reason = "the server was restarted"
            lifecycle.change_status(floor, run, Event.LOSE_STORAGE, reason=reason)
        else:
            lifecycle.change_status(floor, run, Event.INTERRUPT)
    _finish_cleaning(floor)


def _finish_cleaning(floor: Floor) -> None:
    """Go on with the removal of staged files of executions that were being stopped."""
    with floor.journal() as connection:
        left = journal.executions_with_work(connection)
    for execution_id in left:
        with floor.state() as connection:
            row = runs.execution(connection, execution_id)
            shown = row is not None and runs.shows(connection, execution_id)
        if row is None:
            continue
        status = TaskStatus(row.status)
        resumable = status is TaskStatus.STOPPED_BY_SYSTEM and shown
        if status not in RUNNING and not resumable:
            assert status in IDLE
            actions.abandon(floor, execution_id)
