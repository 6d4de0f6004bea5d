"""Listings of any length: what they hold is read as it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select

from longshore.database.connection import reading
from longshore.database.query import Filterables, Page, conditions, count, order, paged

ROWS_AT_ONCE = 1_000  # a page up to this size is read whole; longer ones in pieces of it


@dataclass(frozen=True, slots=True)
class Listing:
    """How many rows match, and those of the page. The rows can be gone through once."""

    count: int
    rows: Iterator[Row[Any]]


Arrange = Callable[[Connection, int], tuple[Filterables, Filterables, ColumnElement[Any]]]
"""From the number of matches to what is filtered and sorted by: which indexes serve best."""


def listing(
    engine: Engine,
    statement: Select[Any],
    page: Page,
    *,
    filterables: Filterables,
    sortables: Filterables,
    identity: ColumnElement[Any],
    counted: Callable[[Connection], int] | None = None,
    arrange: Arrange | None = None,
) -> Listing:
    """The page of the statement's rows.

    `counted` gives their number in another way than by looking at them.
    """
    with reading(engine) as connection:
        matching = statement.where(conditions(filterables, page.filters))
        total = counted(connection) if counted else count(connection, matching)
        if arrange is not None:
            filterables, sortables, identity = arrange(connection, total)
        wanted = statement.where(conditions(filterables, page.filters))
        ordered = paged(wanted.order_by(*order(sortables, page.sort, identity)), page)
        if page.limit is None or page.limit > ROWS_AT_ONCE:
            return Listing(total, _streamed(engine, ordered))
        rows = list(connection.execute(ordered)) if page.limit and total else []
        return Listing(total, iter(rows))


def _streamed(engine: Engine, statement: Select[Any]) -> Iterator[Row[Any]]:
    """The rows in one transaction that lasts as long as somebody goes through them."""
    with reading(engine) as connection:
        yield from _in_pieces(connection, statement)


def _in_pieces(connection: Connection, statement: Select[Any]) -> Iterator[Row[Any]]:
    pieces = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(statement)
    yield from pieces
