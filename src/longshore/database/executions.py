"""Executions of tasks, their files and their log."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, select

from longshore.database.query import Filterable, Filterables, Kind, find_id
from longshore.database.tables.tasks import execution_log, task_executions, tasks
from longshore.domain.execution import TaskStatus

COLUMNS = task_executions.c
LOG_COLUMNS = execution_log.c

CORRECT = (TaskStatus.DONE.value, TaskStatus.FINISHED_WITH_WARNINGS.value)
"""Statuses of executions that did their work."""

_HIDDEN = {"plan", "facts", "active_seconds", "outcomes_removed"}
SHOWN_COLUMNS = [column for column in COLUMNS if column.name not in _HIDDEN]
"""What is selected of an execution."""


def _number(column: ColumnElement[Any], *, nullable: bool = False) -> Filterable:
    return Filterable(column, Kind.INTEGER, nullable=nullable)


def _of_task(name: str) -> ColumnElement[Any]:
    """A column of the execution's task; null when the task is gone."""
    return select(tasks.c[name]).where(tasks.c.id == COLUMNS.task_id).scalar_subquery()


FILTERABLES: Filterables = {
    "id": _number(COLUMNS.id),
    "task_id": _number(COLUMNS.task_id),
    "name": Filterable(COLUMNS.name, nullable=False),
    "workflow_type": Filterable(COLUMNS.workflow_type),
    "workflow_action": Filterable(COLUMNS.workflow_action),
    "source_type": Filterable(COLUMNS.source_type),
    "destination_type": Filterable(COLUMNS.destination_type),
    "status": Filterable(COLUMNS.status, nullable=False),
    "log_time": Filterable(COLUMNS.log_time, Kind.SECONDS, nullable=False),
    "job_started": Filterable(COLUMNS.job_started, Kind.SECONDS),
    "job_finished": Filterable(COLUMNS.job_finished, Kind.SECONDS),
    "creation_date": Filterable(_of_task("creation_date"), Kind.SECONDS),
    "modification_date": Filterable(_of_task("modification_date"), Kind.SECONDS),
    "to_process_size": _number(COLUMNS.to_process_size),
    "processed_size": _number(COLUMNS.processed_size),
    "to_process_files": _number(COLUMNS.to_process_files),
    "processed_files": _number(COLUMNS.processed_files),
    "finalized_files": _number(COLUMNS.finalized_files),
    "estimation_time": _number(COLUMNS.estimation_time, nullable=True),
    "bandwidth": _number(COLUMNS.bandwidth, nullable=True),
}
LOG_FILTERABLES: Filterables = {
    "id": _number(LOG_COLUMNS.id),
    "date": Filterable(LOG_COLUMNS.date, Kind.SECONDS, nullable=False),
    "level": Filterable(LOG_COLUMNS.level, nullable=False),
    "text": Filterable(LOG_COLUMNS.text, nullable=False),
}


def of(*, owner_id: int | None, task_id: int | None = None) -> Select[Any]:
    """The executions of one user (None = everybody), or of one task."""
    statement = select(*SHOWN_COLUMNS)
    if owner_id is not None:
        statement = statement.where(COLUMNS.owner_id == owner_id)
    if task_id is not None:
        statement = statement.where(COLUMNS.task_id == task_id)
    return statement


def last_correct_only(statement: Select[Any]) -> Select[Any]:
    """Of each task only the last execution that did its work."""
    later = task_executions.alias("later")
    has_later = (
        select(later.c.id)
        .where(
            later.c.task_id == COLUMNS.task_id,
            later.c.id > COLUMNS.id,
            later.c.status.in_(CORRECT),
        )
        .exists()
    )
    return statement.where(COLUMNS.status.in_(CORRECT), ~has_later)


def find(
    connection: Connection, identifier: str, *, owner_id: int | None, task_id: int | None = None
) -> Row[Any] | None:
    """The execution with the id, if it belongs to the owner and the task."""
    statement = of(owner_id=owner_id, task_id=task_id)
    found = find_id(connection, statement, identifier=identifier, identity=COLUMNS.id)
    if found is None:
        return None
    return connection.execute(select(*SHOWN_COLUMNS).where(COLUMNS.id == found)).one()


def log_of(execution_id: int) -> Select[Any]:
    """The lines of an execution's log."""
    return select(execution_log).where(LOG_COLUMNS.execution_id == execution_id)
