"""Listings of any length: what they hold is read as it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select

from longshore.database.connection import looking, reading
from longshore.database.pages import Found
from longshore.database.query import Filterables, Page, conditions, count, order, paged

ROWS_AT_ONCE = 1_000  # a page up to this size is read whole; longer ones in pieces of it


@dataclass(frozen=True, slots=True)
class Listing:
    """How many rows match, and those of the page. The rows can be gone through once."""

    count: int
    rows: Iterator[Any]


class Finder(Protocol):
    """Finds the rows of one page."""

    def count(self, connection: Connection) -> int:
        """How many rows match, without limit and offset."""

    def rows(self, connection: Connection, matches: int) -> Found:
        """What finds those of the page, of which so many match."""


def listing(
    engine: Engine,
    statement: Select[Any],
    page: Page,
    *,
    filterables: Filterables,
    sortables: Filterables,
    identity: ColumnElement[Any],
) -> Listing:
    """The page of the statement's rows."""
    matching = statement.where(conditions(filterables, page.filters))
    in_order = matching.order_by(*order(sortables, page.sort, identity))
    return found(engine, page, _Plain(matching, paged(in_order, page)))


def found(engine: Engine, page: Page, finder: Finder) -> Listing:
    """The page whose rows the finder finds."""
    with looking(engine) as connection:
        total = finder.count(connection)
        if page.limit == 0 or not total:
            return Listing(total, iter(()))
        wanted = finder.rows(connection, total)
        if page.limit is None or page.limit > ROWS_AT_ONCE:
            return Listing(total, _streamed(engine, wanted))
        return Listing(total, iter(connection.execute(wanted.statement, wanted.parameters).all()))


@dataclass(frozen=True, slots=True)
class _Plain:
    """Finds rows by one statement whatever their number."""

    matching: Select[Any]
    page: Select[Any]

    def count(self, connection: Connection) -> int:
        return count(connection, self.matching)

    def rows(self, _: Connection, matches: int) -> Found:
        return Found(self.page)


def _streamed(engine: Engine, wanted: Found) -> Iterator[Row[Any]]:
    """The rows in one transaction that lasts as long as somebody goes through them."""
    with reading(engine) as connection:
        pieces = connection.execution_options(yield_per=ROWS_AT_ONCE)
        yield from pieces.execute(wanted.statement, wanted.parameters)
