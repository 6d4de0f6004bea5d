"""Reading and writing single rows as frozen values: what the modules of plain resources share.

A row's type is a dataclass with one field per selected column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, insert, select, update

from longshore.database.query import Filterables, Page, conditions, count, order, paged

RowT = TypeVar("RowT")


def one(connection: Connection, query: Select[Any], kind: type[RowT]) -> RowT | None:
    """The first row of the query, if there is one."""
    row = connection.execute(query.limit(1)).mappings().first()
    return None if row is None else kind(**row)


def every(connection: Connection, query: Select[Any], kind: type[RowT]) -> list[RowT]:
    """All rows of the query, in its order."""
    return [kind(**row) for row in connection.execute(query).mappings()]


def by_id(connection: Connection, table: Table, row_id: int, kind: type[RowT]) -> RowT | None:
    """The row with the id."""
    return one(connection, select(table).where(table.c.id == row_id), kind)


def by_name(connection: Connection, table: Table, name: str, kind: type[RowT]) -> RowT | None:
    """The row with the name; of several the one with the lowest id."""
    return one(connection, select(table).where(table.c.name == name).order_by(table.c.id), kind)


def add(connection: Connection, table: Table, values: Mapping[str, Any]) -> int:
    """The id of the new row."""
    statement = insert(table).values(**values).returning(table.c.id)
    return int(connection.execute(statement).scalar_one())


def change(connection: Connection, table: Table, row_id: int, values: Mapping[str, Any]) -> None:
    """Set the given columns of one row; nothing when none are given."""
    if values:
        connection.execute(update(table).where(table.c.id == row_id).values(**values))


def remove(connection: Connection, table: Table, row_id: int) -> bool:
    """Delete one row; whether it was there."""
    return connection.execute(delete(table).where(table.c.id == row_id)).rowcount > 0


@dataclass(frozen=True, slots=True)
class Listed(Generic[RowT]):
    """One page of rows and how many there are without limit and offset."""

    count: int
    rows: list[RowT]


def listed(
    connection: Connection,
    statement: Select[Any],
    page: Page,
    filterables: Filterables,
    *,
    identity: ColumnElement[Any],
    kind: type[RowT],
) -> Listed[RowT]:
    """The page of the statement's rows. For resources of which there are thousands at most."""
    wanted = statement.where(conditions(filterables, page.filters))
    total = count(connection, wanted)
    if page.limit == 0:
        return Listed(total, [])
    ordered = wanted.order_by(*order(filterables, page.sort, identity))
    return Listed(total, every(connection, paged(ordered, page), kind))
