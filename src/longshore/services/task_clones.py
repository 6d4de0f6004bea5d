"""Copies of tasks: what a task says is taken over, what it has done is not."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Table, insert, literal, select

from longshore.database import tasks
from longshore.database.connection import writing
from longshore.database.tables.control import task_limits
from longshore.database.tables.tasks import (
    task_callbacks,
    task_destinations,
    task_metadata,
    task_options,
    task_sources,
)
from longshore.domain.execution import TaskStatus
from longshore.domain.task import NAME_CHARACTERS_MAXIMUM, OptionType
from longshore.services.context import Context
from longshore.services.principal import Principal
from longshore.services.tasks import modified, require

SUFFIX = " (copy)"

_COPIED = (
    "comment",
    "workflow_type",
    "workflow_action",
    "source_type",
    "destination_type",
    "priority",
    "conflict_resolution",
    "activate",
    "delete",
    "local_server_path",
)
_PARTS = (
    task_sources,
    task_destinations,
    task_options,
    task_callbacks,
    task_metadata,
    task_limits,
)


def clone(context: Context, principal: Principal, identifier: str) -> Row[Any]:
    """A new task of the user like the old one, without its schedule. Raises NotFound.

    The copy of a template is no template, so it can run.
    """
    with writing(context.database.state) as connection:
        old = require(connection, principal, identifier)
        new_id = tasks.create(connection, _columns(context, principal, old))
        for table in _PARTS:
            _copy_part(connection, table, old.id, new_id)
        new = tasks.fetch(connection, new_id)
    assert new is not None
    return new


def _columns(context: Context, principal: Principal, old: Row[Any]) -> dict[str, Any]:
    name = old.name[: NAME_CHARACTERS_MAXIMUM - len(SUFFIX)] + SUFFIX
    return {
        **{column: getattr(old, column) for column in _COPIED},
        **modified(context, principal),
        "name": name,
        "owner_id": principal.user_id,
        "status": TaskStatus.NOT_ACTIVATED.value,
        "creation_date": context.now(),
        "creation_username": principal.name,
    }


def _copy_part(connection: Connection, table: Table, old_id: int, new_id: int) -> None:
    names = [column.name for column in table.c if column.name not in {"id", "task_id"}]
    rows = select(literal(new_id), *[table.c[name] for name in names]).where(
        table.c.task_id == old_id
    )
    if table is task_options:
        rows = rows.where(table.c.type != OptionType.TASK_TEMPLATE.value)
    statement = insert(table).from_select(["task_id", *names], rows.order_by(*table.primary_key))
    connection.execute(statement)
