"""Where the controller asks and tells the administrator's plug-ins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
from sqlalchemy import Connection, select

from longshore.database import runs
from longshore.database.tables.tasks import task_metadata
from longshore.domain import paths
from longshore.domain.record import Record
from longshore.engine.ends import CannotStart
from longshore.hooks import FileResult, FileResults, HookRefused, Hooks, TaskEnd, TaskStart


def asked_to_start(
    hooks: Hooks, connection: Connection, task: runs.TaskRow, execution_id: int
) -> TaskStart | None:
    """What the plug-ins made of the task's start; None without plug-ins. Raises CannotStart."""
    if not hooks.plugins:
        return None
    query = (
        select(task_metadata.c.key, task_metadata.c.value)
        .where(task_metadata.c.task_id == task.id)
        .order_by(task_metadata.c.id)
    )
    start = TaskStart(
        task_id=task.id,
        execution_id=execution_id,
        name=task.name,
        workflow_type=task.workflow_type,
        workflow_action=task.workflow_action,
        options=runs.options(connection, task.id),
        metadata={row.key: row.value for row in connection.execute(query)},
    )
    try:
        wanted = hooks.before_task_executed(start)
    except HookRefused as refused:
        raise CannotStart(str(refused)) from refused
    # Whatever else a plug-in wrote into its copy, only these two may be changed.
    return replace(start, options=wanted.options, metadata=wanted.metadata)


def with_start(facts: str, start: TaskStart | None) -> str:
    """The facts of an execution with what the plug-ins made of its options and metadata."""
    if start is None:
        return facts
    changed = {"options": dict(start.options), "metadata": dict(start.metadata)}
    return msgspec.json.encode(msgspec.json.decode(facts) | changed).decode()


def tell_results(hooks: Hooks, task_id: int, execution_id: int, records: Sequence[Record]) -> None:
    """Tell the plug-ins of records that are committed."""
    if records and hooks.wants_results():
        files = tuple(_result(record) for record in records)
        hooks.after_result_received(
            FileResults(task_id=task_id, execution_id=execution_id, files=files)
        )


def tell_end(
    hooks: Hooks, task_id: int, execution_id: int, status: str, reason: str | None
) -> None:
    """Tell the plug-ins that an execution is over."""
    if hooks.plugins:
        hooks.after_task_executed(
            TaskEnd(task_id=task_id, execution_id=execution_id, status=status, reason=reason)
        )


def _result(record: Record) -> FileResult:
    return FileResult(
        path=paths.join(record.folder, record.entry.name),
        size=record.entry.size,
        outcome=record.outcome,
        target_path=record.target_path,
        error=record.failure.text if record.failure else None,
    )
