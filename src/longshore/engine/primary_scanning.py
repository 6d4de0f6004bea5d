"""Scanning primary pools as often as they want it.

Each scan is an execution of an ordinary task, which is made when it is first needed: so its
history, log and explanation are where those of all tasks are, and people may pause or stop it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from longshore.database import primary_scans, runs
from longshore.database.connection import reading
from longshore.domain.execution import RUNNING, TaskStatus
from longshore.engine import actions
from longshore.engine.ends import CannotStart
from longshore.engine.floor import Floor
from longshore.observability import logger

LOOK_SECONDS = 5.0  # between two looks at what is due; the shortest interval is a minute
_DAY = 86_400
SECONDS = {
    "minutes": 60,
    "hours": 3600,
    "days": _DAY,
    "weeks": 7 * _DAY,
    "months": 30 * _DAY,
    "years": 365 * _DAY,
}
INTERVAL_SECONDS_MINIMUM = 60  # a fraction of a minute would be nothing but scanning

_log = logger("scheduler")


@dataclass(slots=True)
class PrimaryScanning:
    """One per controller."""

    _looked_at: float = float("-inf")

    def work(self, floor: Floor) -> None:
        """Start the scans whose time has come, not too often."""
        now = floor.monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return
        with reading(floor.database.state) as connection:
            due = primary_scans.due(connection, floor.now())
        for scan in due:
            _begin(floor, scan)
        self._looked_at = now


def _begin(floor: Floor, scan: Row[Any]) -> None:
    """Start one scan and say when the next one follows; both or nothing."""
    left: int | None = None
    with floor.state() as connection:
        primary_scans.set_next(connection, scan.id, floor.now() + interval_seconds(scan))
        task = _task(connection, scan, floor.now())
        if TaskStatus(task.status) in RUNNING:
            return  # the one before goes on; the next time comes
        try:
            left = actions.start(floor, connection, task)
        except CannotStart as refusal:
            _log.warning("a pool cannot be scanned", pool=scan.pool_id, reason=str(refusal))
    if left is not None:
        actions.abandon(floor, left)


def interval_seconds(scan: Row[Any]) -> int:
    seconds = float(scan.operand) * SECONDS[scan.unit]
    return max(INTERVAL_SECONDS_MINIMUM, round(seconds))


def _task(connection: Connection, scan: Row[Any], now: int) -> runs.TaskRow:
    """The scan's task; a new one if there is none, or somebody has removed it."""
    task = None if scan.task_id is None else runs.task(connection, scan.task_id)
    if task is None:
        task = runs.task(connection, primary_scans.make_task(connection, scan, now))
    assert task is not None
    return task
