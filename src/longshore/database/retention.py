"""Removing what was kept long enough: per-file records, logs and executions, in small chunks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Table, delete, select, tuple_, update

from longshore.database.executions import CORRECT
from longshore.database.tables.engine import (
    counters,
    record_blocks,
    record_folders,
    record_outcomes,
    work,
)
from longshore.database.tables.tasks import execution_log, task_executions, tasks
from longshore.domain.task import WorkflowAction

CHUNK_ROWS = 500  # removed in one transaction: some milliseconds
CHUNK_BLOCKS = 25  # the same, of blocks of records

_BACKUPS = (WorkflowAction.FULL_BACKUP.value, WorkflowAction.INCREMENTAL_BACKUP.value)
_EXECUTIONS = task_executions.c

_RECORDS: Sequence[tuple[Table, Sequence[Column[Any]], int]] = (
    (record_folders, [record_folders.c.folder_key, record_folders.c.first_number], CHUNK_ROWS),
    (record_outcomes, [record_outcomes.c.outcome, record_outcomes.c.first_number], CHUNK_ROWS),
    (record_blocks, [record_blocks.c.first_number], CHUNK_BLOCKS),
)


def with_records(connection: Connection, *, after: int, before: int, limit: int) -> list[int]:
    """Executions between the two ids that may have per-file records, oldest first."""
    query = (
        select(counters.c.execution_id)
        .where(counters.c.execution_id > after, counters.c.execution_id < before)
        .order_by(counters.c.execution_id)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def between(connection: Connection, *, after: int, before: int, limit: int) -> list[int]:
    """Executions between the two ids, oldest first."""
    query = select(_EXECUTIONS.id).where(_EXECUTIONS.id > after, _EXECUTIONS.id < before)
    return list(connection.execute(query.order_by(_EXECUTIONS.id).limit(limit)).scalars())


def facts(connection: Connection, execution_ids: Sequence[int]) -> Sequence[Row[Any]]:
    """id, status, job_finished, `shown` by its task, and whether it is a `needed_backup`."""
    later = task_executions.alias("later")
    # What builds upon a backup ends with the next full one; that and all after it are needed.
    has_later = (
        select(later.c.id)
        .where(
            later.c.task_id == _EXECUTIONS.task_id,
            later.c.id > _EXECUTIONS.id,
            later.c.workflow_action == WorkflowAction.FULL_BACKUP.value,
            later.c.status.in_(CORRECT),
        )
        .exists()
    )
    needed = (
        _EXECUTIONS.workflow_action.in_(_BACKUPS)
        & _EXECUTIONS.status.in_(CORRECT)
        & tasks.c.id.is_not(None)
        & ~has_later
    )
    shown: ColumnElement[Any] = tasks.c.execution_id == _EXECUTIONS.id
    query = (
        select(
            _EXECUTIONS.id,
            _EXECUTIONS.status,
            _EXECUTIONS.job_finished,
            shown.label("shown"),
            needed.label("needed_backup"),
        )
        .select_from(task_executions.outerjoin(tasks, tasks.c.id == _EXECUTIONS.task_id))
        .where(_EXECUTIONS.id.in_(execution_ids))
        .order_by(_EXECUTIONS.id)
    )
    return connection.execute(query).all()


def has_work(connection: Connection, execution_id: int) -> bool:
    query = select(work.c.id).where(work.c.execution_id == execution_id).limit(1)
    return connection.execute(query).first() is not None


def mark_outcomes_removed(connection: Connection, execution_id: int, now: int) -> None:
    """From now on the execution's records are not to be relied on."""
    connection.execute(
        update(task_executions)
        .where(_EXECUTIONS.id == execution_id, _EXECUTIONS.outcomes_removed.is_(None))
        .values(outcomes_removed=now)
    )


def remove_some_outcomes(connection: Connection, execution_id: int) -> bool:
    """Remove a chunk of per-file records; whether there are more. Counters go with the last."""
    for table, key, rows in _RECORDS:
        if _remove_some(connection, table, key, execution_id, rows):
            return True
    connection.execute(delete(counters).where(counters.c.execution_id == execution_id))
    return False


def remove_some_log(connection: Connection, execution_id: int) -> bool:
    """Remove a chunk of the execution's log; whether there is more."""
    return _remove_some(connection, execution_log, [execution_log.c.id], execution_id, CHUNK_ROWS)


def remove_execution(connection: Connection, execution_id: int) -> None:
    connection.execute(delete(task_executions).where(_EXECUTIONS.id == execution_id))


def _remove_some(
    connection: Connection, table: Table, key: Sequence[Column[Any]], execution_id: int, rows: int
) -> bool:
    """Remove the first rows of the execution, in the order of the key; whether it may have more."""
    of_execution = table.c.execution_id == execution_id
    last = connection.execute(
        select(*key).where(of_execution).order_by(*key).limit(1).offset(rows - 1)
    ).first()
    chunk = of_execution if last is None else of_execution & (tuple_(*key) <= tuple_(*last))
    connection.execute(delete(table).where(chunk))
    return last is not None
