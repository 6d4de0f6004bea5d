"""Executions of tasks: the history of what ran, what became of every file, and the log."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from longshore.database import execution_files, executions
from longshore.database import nodes as node_rows
from longshore.database.connection import reading
from longshore.database.query import Page, read_integer
from longshore.services.context import Context
from longshore.services.errors import NotFound
from longshore.services.execution_pages import ExecutionFile, page_of, shown
from longshore.services.listing import Listing, listing
from longshore.services.principal import Principal
from longshore.services.tasks import require


def index(
    context: Context,
    principal: Principal,
    page: Page,
    *,
    complete: bool,
    everybody: bool = False,
    task_identifier: str | None = None,
) -> Listing:
    """The user's executions, or those of one task. Not `complete`: per task the last correct one.

    Raises NotFound.
    """
    if task_identifier is None:
        owner_id = None if everybody and principal.administrator else principal.user_id
        statement = executions.of(owner_id=owner_id)
    else:
        with reading(context.database.state) as connection:
            task = require(connection, principal, task_identifier)
        statement = executions.of(owner_id=None, task_id=task.id)
    return listing(
        context.database.state,
        statement if complete else executions.last_correct_only(statement),
        page,
        filterables=executions.FILTERABLES,
        sortables=executions.FILTERABLES,
        identity=executions.COLUMNS.id,
    )


def show(
    context: Context, principal: Principal, identifier: str, task_identifier: str | None = None
) -> Row[Any]:
    """The execution, if it belongs to the user (and to the task). Raises NotFound."""
    with reading(context.database.state) as connection:
        return _require(connection, principal, identifier, task_identifier)


def log(context: Context, principal: Principal, identifier: str, page: Page) -> Listing:
    """The lines of the execution's log. Raises NotFound."""
    execution = show(context, principal, identifier)
    return listing(
        context.database.state,
        executions.log_of(execution.id),
        page,
        filterables=executions.LOG_FILTERABLES,
        sortables=executions.LOG_FILTERABLES,
        identity=executions.LOG_COLUMNS.id,
    )


def execution_id_of(
    context: Context,
    principal: Principal,
    *,
    task_identifier: str | None,
    identifier: str | None,
) -> int | None:
    """The execution that a path means; a task alone means its last one, if it ever ran.

    Raises NotFound.
    """
    with reading(context.database.state) as connection:
        if identifier is not None:
            return int(_require(connection, principal, identifier, task_identifier).id)
        assert task_identifier is not None
        last: int | None = require(connection, principal, task_identifier).execution_id
        return last


def files(
    context: Context, execution_id: int | None, page: Page, *, parent: str | None = None
) -> Listing:
    """What became of the execution's files, in the order of its work. Raises NotFound."""
    parent_id = None if parent is None else _require_node(context, parent)
    if execution_id is None:
        return Listing(0, iter(()))
    engine = context.database.journal
    with reading(engine) as connection:
        wanted = execution_files.search(connection, execution_id, page.filters, parent_id=parent_id)
    return page_of(engine, wanted, page)


def file(context: Context, execution_id: int | None, identifier: str) -> ExecutionFile:
    """What became of one file of the execution. Raises NotFound."""
    file_id = read_integer(identifier)
    if execution_id is None or file_id is None:
        raise NotFound("file")
    engine = context.database.journal
    found = execution_files.find(engine, execution_id, file_id)
    if found is None:
        raise NotFound("file")
    return next(shown(engine, iter((found,))))


def _require(
    connection: Connection, principal: Principal, identifier: str, task_identifier: str | None
) -> Row[Any]:
    task_id = None
    if task_identifier is not None:
        task_id = require(connection, principal, task_identifier).id
    owner_id = None if principal.administrator else principal.user_id
    found = executions.find(connection, identifier, owner_id=owner_id, task_id=task_id)
    if found is None:
        raise NotFound("task_execution")
    return found


def _require_node(context: Context, identifier: str) -> int:
    node_id = read_integer(identifier)
    with reading(context.database.journal) as connection:
        if node_id is None or node_rows.fetch(connection, node_id) is None:
            raise NotFound("file")
    return node_id
