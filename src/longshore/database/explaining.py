"""What is known in the database of why a task does not go on."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select

from longshore.database.tables.tasks import (
    jobs,
    task_destinations,
    task_executions,
    task_options,
    task_sources,
)
from longshore.database.tables.users import users
from longshore.domain.execution import JobStatus, TaskStatus
from longshore.domain.waiting import TASKS_NAMED_MAXIMUM

OWN_JOBS_MAXIMUM = 20  # requests looked at, from the last one back

CONTROLLER = "tasks"


def requests(connection: Connection, task_id: int) -> list[Row[Any]]:
    """The last requests for actions on the task, the newest first, with who made them."""
    query = (
        select(jobs.c.action, jobs.c.status, jobs.c.reason, jobs.c.creation_ns, users.c.name)
        .outerjoin(users, users.c.id == jobs.c.user_id)
        .where(jobs.c.controller == CONTROLLER, jobs.c.resource_id == task_id)
        .order_by(jobs.c.creation_ns.desc())
        .limit(OWN_JOBS_MAXIMUM)
    )
    return list(connection.execute(query))


def is_pending(request: Row[Any]) -> bool:
    return request.status in {JobStatus.QUEUED.value, JobStatus.WORKING.value}


def execution(connection: Connection, execution_id: int) -> Row[Any] | None:
    columns = [task_executions.c[name] for name in ("id", "priority", "reason", "log_time")]
    query = select(*columns).where(task_executions.c.id == execution_id)
    return connection.execute(query).one_or_none()


def tasks_ahead(connection: Connection, waiting: Row[Any]) -> tuple[list[int], int]:
    """The first tasks that leave the queue before this execution, and how many there are."""
    columns = task_executions.c
    ahead = and_(
        columns.status == TaskStatus.IN_QUEUE.value,
        or_(
            columns.priority > waiting.priority,
            and_(columns.priority == waiting.priority, columns.id < waiting.id),
        ),
    )
    first = (
        select(columns.task_id)
        .where(ahead)
        .order_by(columns.priority.desc(), columns.id)
        .limit(TASKS_NAMED_MAXIMUM)
    )
    count = connection.execute(select(func.count()).select_from(task_executions).where(ahead))
    return list(connection.execute(first).scalars()), int(count.scalar_one())


def has_ends(connection: Connection, task_id: int) -> tuple[bool, bool]:
    """Whether the task has a source, and whether it has a destination."""
    found = [
        connection.execute(
            select(table.c.id).where(table.c.task_id == task_id).limit(1)
        ).scalar_one_or_none()
        for table in (task_sources, task_destinations)
    ]
    return found[0] is not None, found[1] is not None


def has_option(connection: Connection, task_id: int, kind: str, value: str) -> bool:
    columns = task_options.c
    query = select(columns.id).where(
        columns.task_id == task_id, columns.type == kind, columns.value == value
    )
    return connection.execute(query).first() is not None
