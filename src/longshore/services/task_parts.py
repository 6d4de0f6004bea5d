"""What is attached to a task: the common story of its sources, options, callbacks and so on.

A part belongs to one task and is seen by whoever sees the task. It can be changed only while the
task does not run, and a change counts as one of the task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, delete, false, insert, select, update

from longshore.database import tasks
from longshore.database.connection import reading, writing
from longshore.database.query import Filterable, Filterables, Kind, Page, Related, find_id
from longshore.services.context import Context
from longshore.services.errors import NotFound
from longshore.services.listing import Listing, listing
from longshore.services.principal import Principal
from longshore.services.tasks import modified, require, require_idle


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of part. `resource` is its singular name."""

    resource: str
    table: Table
    filterables: Filterables


def part(resource: str, table: Table, texts: tuple[str, ...]) -> Part:
    """A kind of part that is filtered by its id and some texts."""
    by_id = {"id": Filterable(table.c.id, Kind.INTEGER, nullable=False)}
    by_text = {name: Filterable(table.c[name], nullable=False) for name in texts}
    return Part(resource, table, by_id | by_text)


def never(column: ColumnElement[Any]) -> Related:
    """A filter on something that no part has yet: it matches nothing, its negation everything."""
    return Related(Filterable(column, Kind.INTEGER), lambda _: false())


def index(
    context: Context, principal: Principal, task_identifier: str, kind: Part, page: Page
) -> Listing:
    """The parts of one task. Raises NotFound."""
    with reading(context.database.state) as connection:
        task = require(connection, principal, task_identifier)
    table = kind.table
    return listing(
        context.database.state,
        select(table).where(table.c.task_id == task.id),
        page,
        filterables=kind.filterables,
        sortables=kind.filterables,
        identity=table.c.id,
    )


def show(
    context: Context, principal: Principal, task_identifier: str, kind: Part, identifier: str
) -> Row[Any]:
    """The part with the id, if it belongs to the task. Raises NotFound."""
    with reading(context.database.state) as connection:
        task = require(connection, principal, task_identifier)
        return find(connection, task, kind, identifier)


def destroy(
    context: Context, principal: Principal, task_identifier: str, kind: Part, identifier: str
) -> None:
    """Remove the part. Raises NotFound, Invalid while the task runs."""
    with editing(context, principal, task_identifier) as (connection, task):
        row = find(connection, task, kind, identifier)
        connection.execute(delete(kind.table).where(kind.table.c.id == row.id))


def require_editable(context: Context, principal: Principal, task_identifier: str) -> Row[Any]:
    """The task, if its parts may be changed now: to be asked before slow checks of a new part."""
    with reading(context.database.state) as connection:
        task = require(connection, principal, task_identifier)
    require_idle(task)
    return task


@contextmanager
def editing(
    context: Context, principal: Principal, task_identifier: str
) -> Iterator[tuple[Connection, Row[Any]]]:
    """A transaction that changes parts of the task. Raises NotFound, Invalid while it runs."""
    with writing(context.database.state) as connection:
        task = require(connection, principal, task_identifier)
        require_idle(task)
        yield connection, task
        tasks.change(connection, task.id, modified(context, principal))


def find(connection: Connection, task: Row[Any], kind: Part, identifier: str) -> Row[Any]:
    """The part with the id, if it belongs to the task. Raises NotFound."""
    table = kind.table
    statement = select(table).where(table.c.task_id == task.id)
    found = find_id(connection, statement, identifier=identifier, identity=table.c.id)
    if found is None:
        raise NotFound(kind.resource)
    return _fetch(connection, kind, found)


def add(connection: Connection, task: Row[Any], kind: Part, values: Mapping[str, Any]) -> Row[Any]:
    """The new part."""
    statement = insert(kind.table).values(task_id=task.id, **values).returning(kind.table.c.id)
    return _fetch(connection, kind, int(connection.execute(statement).scalar_one()))


def change(
    connection: Connection, row: Row[Any], kind: Part, values: Mapping[str, Any]
) -> Row[Any]:
    """The changed part."""
    if values:
        connection.execute(update(kind.table).where(kind.table.c.id == row.id).values(**values))
    return _fetch(connection, kind, row.id)


def others_with(
    connection: Connection, task: Row[Any], kind: Part, *, besides: int | None, **values: Any
) -> bool:
    """Whether another part of the task has these columns already."""
    columns = kind.table.c
    query = select(columns.id).where(
        columns.task_id == task.id,
        columns.id != (besides or 0),
        *[columns[name] == value for name, value in values.items()],
    )
    return connection.execute(query.limit(1)).first() is not None


def _fetch(connection: Connection, kind: Part, row_id: int) -> Row[Any]:
    return connection.execute(select(kind.table).where(kind.table.c.id == row_id)).one()
