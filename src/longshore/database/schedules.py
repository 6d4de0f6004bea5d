"""Schedules of tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, case, select

from longshore.database import rows
from longshore.database.query import Filterable, Kind, Page
from longshore.database.rows import Listed
from longshore.database.tables.tasks import task_schedules, tasks

FILTERS = {
    "id": Filterable(task_schedules.c.id, Kind.INTEGER, nullable=False),
    "task_id": Filterable(task_schedules.c.task_id, Kind.INTEGER, nullable=False),
    "rrule": Filterable(task_schedules.c.rrule, nullable=False),
    "done": Filterable(case((task_schedules.c.done, 1), else_=0), Kind.SWITCH, nullable=False),
}


@dataclass(frozen=True, slots=True)
class TaskSchedule:
    id: int
    task_id: int
    rrule: str
    done: bool
    creation_date: int
    next: int | None
    missed_count: int
    missed_first: int | None
    missed_last: int | None
    skipped_count: int


def index(connection: Connection, page: Page, owner_id: int | None) -> Listed[TaskSchedule]:
    """The schedules of one user's tasks, or of everybody's."""
    statement = select(task_schedules)
    if owner_id is not None:
        owned = select(tasks.c.id).where(tasks.c.owner_id == owner_id)
        statement = statement.where(task_schedules.c.task_id.in_(owned))
    return rows.listed(
        connection, statement, page, FILTERS, identity=task_schedules.c.id, kind=TaskSchedule
    )


def of_task(connection: Connection, task_id: int) -> TaskSchedule | None:
    query = select(task_schedules).where(task_schedules.c.task_id == task_id)
    return rows.one(connection, query, TaskSchedule)


def pending(connection: Connection, now: int) -> list[TaskSchedule]:
    """The schedules that the scheduler has to look at: due ones, and those without a next date.

    Without a next date are only schedules in automatic mode that wait for the end of a run.
    """
    query = are_pending(now).order_by(task_schedules.c.next, task_schedules.c.id)
    return rows.every(connection, query, TaskSchedule)


def are_pending(now: int) -> Select[Any]:
    """The query for the schedules that `pending` returns."""
    columns = task_schedules.c
    wanted = columns.done.is_(False) & ((columns.next <= now) | columns.next.is_(None))
    return select(task_schedules).where(wanted)
