"""Housekeeping of records: what was kept as long as the settings say is removed, bit by bit.

A sweep looks at every execution that is old enough. It is a sequence of steps, each of them one
short transaction; the controller takes a few of them between two rounds, so nothing waits for a
sweep however much there is to remove. A sweep may end anywhere and begin again from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from longshore.database import retention
from longshore.domain.execution import IDLE, TaskStatus
from longshore.engine.floor import Floor
from longshore.observability import logger

SWEEP_SECONDS = 3600.0  # from the begin of one sweep to that of the next
WORK_SECONDS = 0.03  # of a sweep between two rounds; a step takes some milliseconds more
LOOK_EXECUTIONS = 200  # looked at in one step

SECONDS_PER_DAY = 86_400
NANOSECONDS = 1_000_000_000  # an execution's id is the time of its start

_log = logger("controller")


@dataclass(slots=True)
class Retention:
    """Carries out sweeps. One per controller."""

    _sweep: Iterator[None] | None = None
    _begun_at: float | None = None

    def work(self, floor: Floor) -> None:
        """Go on with the present sweep for a moment, or begin one when it is time."""
        now = floor.monotonic()
        if self._sweep is None:
            if self._begun_at is not None and now - self._begun_at < SWEEP_SECONDS:
                return
            self._sweep, self._begun_at = sweep(floor), now
        try:
            while floor.monotonic() - now < WORK_SECONDS:
                next(self._sweep)
        except StopIteration:
            self._sweep = None
        except BaseException:
            self._sweep = self._begun_at = None  # the database refused: from the start, soon
            raise


def sweep(floor: Floor) -> Iterator[None]:
    """Remove everything that was kept long enough, step by step."""
    if floor.config.keep_outcomes_days:
        yield from _sweep_outcomes(floor, _before(floor, floor.config.keep_outcomes_days))
    if floor.config.keep_executions_days:
        yield from _sweep_executions(floor, _before(floor, floor.config.keep_executions_days))


def _before(floor: Floor, days: int) -> int:
    """Executions that ended before this second may go."""
    return floor.now() - days * SECONDS_PER_DAY


def _sweep_outcomes(floor: Floor, ended_before: int) -> Iterator[None]:
    def some(after: int) -> list[int]:
        with floor.journal() as connection:
            return retention.with_records(
                connection, after=after, before=ended_before * NANOSECONDS, limit=LOOK_EXECUTIONS
            )

    for row in _old(floor, some, ended_before):
        if row is not None:
            yield from _remove_outcomes(floor, row.id)
        yield


def _sweep_executions(floor: Floor, ended_before: int) -> Iterator[None]:
    def some(after: int) -> list[int]:
        with floor.state() as connection:
            return retention.between(
                connection, after=after, before=ended_before * NANOSECONDS, limit=LOOK_EXECUTIONS
            )

    for row in _old(floor, some, ended_before):
        if row is not None and not row.shown:
            yield from _remove_outcomes(floor, row.id)
            yield from _remove_execution(floor, row.id)
        yield


def _old(
    floor: Floor, some: Callable[[int], list[int]], ended_before: int
) -> Iterator[Row[Any] | None]:
    """Executions that nobody needs any more; None after each look for more."""
    after = 0
    while found := some(after):
        after = found[-1]
        with floor.state() as connection:
            rows = retention.facts(connection, found)
        yield None
        for row in rows:
            if may_go(row, ended_before) and not _is_worked_on(floor, row.id):
                yield row


def may_go(row: Row[Any], ended_before: int) -> bool:
    """Whether the execution is over for good and long enough, and no backup builds on it."""
    status = TaskStatus(row.status)
    resumable = status is TaskStatus.STOPPED_BY_SYSTEM and row.shown
    if status not in IDLE or resumable or row.needed_backup:
        return False
    return row.job_finished is not None and row.job_finished < ended_before


def _is_worked_on(floor: Floor, execution_id: int) -> bool:
    """Whether its staged files are still being removed."""
    if execution_id in floor.runs:
        return True
    with floor.journal() as connection:
        return retention.has_work(connection, execution_id)


def _remove_outcomes(floor: Floor, execution_id: int) -> Iterator[None]:
    # Marked first: who reads them meanwhile learns at the end that they are not whole.
    with floor.state() as connection:
        retention.mark_outcomes_removed(connection, execution_id, floor.now())
    yield from _chunks(floor.journal, retention.remove_some_outcomes, execution_id)
    _log.info("removed the records of files", execution=execution_id)


def _remove_execution(floor: Floor, execution_id: int) -> Iterator[None]:
    yield from _chunks(floor.state, retention.remove_some_log, execution_id)
    with floor.state() as connection:
        retention.remove_execution(connection, execution_id)
    _log.info("removed an execution", execution=execution_id)


def _chunks(
    transaction: Callable[[], Any], remove_some: Callable[[Connection, int], bool], which: int
) -> Iterator[None]:
    """Remove chunk after chunk, each in a transaction of its own."""
    more = True
    while more:
        with transaction() as connection:
            more = remove_some(connection, which)
        yield
