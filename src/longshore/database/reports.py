"""What manifests say of an execution, besides its files."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select

from longshore.database.tables.tasks import task_executions


def execution(connection: Connection, execution_id: int) -> Row[Any]:
    """The execution with its facts."""
    columns = [column for column in task_executions.c if column.name != "plan"]
    return connection.execute(select(*columns).where(task_executions.c.id == execution_id)).one()


def outcomes_removed(connection: Connection, execution_id: int) -> bool:
    """Whether its per-file records are gone, or going. So they are if the execution is."""
    query = select(task_executions.c.outcomes_removed).where(task_executions.c.id == execution_id)
    row = connection.execute(query).one_or_none()
    return row is None or row.outcomes_removed is not None
