"""What manifests are made of: an execution's facts, and its files in short pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from longshore.database.tables import execution_files, task_executions
from longshore.domain.outcome import Outcome

_FILES = execution_files.c
_HIDDEN = {"execution_id", "file_id"}
_COLUMNS = [column for column in _FILES if column.name not in _HIDDEN]


def execution(connection: Connection, execution_id: int) -> Row[Any]:
    """The execution with its facts."""
    columns = [column for column in task_executions.c if column.name != "plan"]
    return connection.execute(select(*columns).where(task_executions.c.id == execution_id)).one()


def outcomes_removed(connection: Connection, execution_id: int) -> bool:
    """Whether its per-file records are gone, or going. So they are if the execution is."""
    query = select(task_executions.c.outcomes_removed).where(task_executions.c.id == execution_id)
    row = connection.execute(query).one_or_none()
    return row is None or row.outcomes_removed is not None


def files_after(
    connection: Connection,
    execution_id: int,
    number: int,
    *,
    limit: int,
    outcome: Outcome | None = None,
) -> Sequence[Row[Any]]:
    """The next files in the order of work, from behind the number on; only of the outcome."""
    query = select(*_COLUMNS).where(_FILES.execution_id == execution_id, _FILES.number > number)
    if outcome is not None:
        query = query.where(_FILES.outcome == outcome.value)
    return connection.execute(query.order_by(_FILES.number).limit(limit)).all()
