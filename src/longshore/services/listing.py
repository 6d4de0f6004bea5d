"""Listings of any length: what they hold is read as it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select

from longshore.database.connection import reading
from longshore.database.query import Filterables, Page, conditions, count, order, paged
from longshore.database.tasks import Arrangement

ROWS_AT_ONCE = 1_000  # a page up to this size is read whole; longer ones in pieces of it


@dataclass(frozen=True, slots=True)
class Listing:
    """How many rows match, and those of the page. The rows can be gone through once."""

    count: int
    rows: Iterator[Row[Any]]


Arrange = Callable[[Connection, int], Arrangement]
"""From the number of matches to how they are found: which indexes serve best."""


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
    as_given = Arrangement(filterables, sortables, identity)
    with reading(engine) as connection:
        matching = statement.where(conditions(filterables, page.filters))
        total = counted(connection) if counted else count(connection, matching)
        arranged = arrange(connection, total) if arrange and total else as_given
        if page.limit is None or page.limit > ROWS_AT_ONCE:
            return Listing(total, _streamed(engine, _page_of(statement, page, arranged)))
        if not page.limit or not total:
            return Listing(total, iter(()))
        wanted = _page_of(statement, page, arranged)
        if arranged.ids_first:
            ids = wanted.with_only_columns(identity, maintain_column_froms=True).correlate(None)
            in_order = order(arranged.sortables, page.sort, arranged.identity)
            wanted = statement.where(identity.in_(ids)).order_by(*in_order)
        return Listing(total, iter(connection.execute(wanted).all()))


def _page_of(statement: Select[Any], page: Page, arranged: Arrangement) -> Select[Any]:
    wanted = statement.where(conditions(arranged.filterables, page.filters))
    return paged(wanted.order_by(*order(arranged.sortables, page.sort, arranged.identity)), page)


def _streamed(engine: Engine, statement: Select[Any]) -> Iterator[Row[Any]]:
    """The rows in one transaction that lasts as long as somebody goes through them."""
    with reading(engine) as connection:
        yield from _in_pieces(connection, statement)


def _in_pieces(connection: Connection, statement: Select[Any]) -> Iterator[Row[Any]]:
    pieces = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(statement)
    yield from pieces
