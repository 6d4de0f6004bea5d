"""Pages of listings: their filters, their order, which part of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, bindparam, func, literal

from longshore.database.filters import Filterable, Filterables, in_order


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of an order."""

    name: str
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a listing was asked for. `limit` None = all rows; 0 = only the count."""

    filters: tuple[tuple[str, str], ...] = ()
    sort: tuple[Sort, ...] = ()
    limit: int | None = None
    offset: int = 0


LIMIT, OFFSET = "limit", "offset"
"""The parameters of `windowed`."""


@dataclass(frozen=True, slots=True)
class Found:
    """A statement whose rows are a page, with the values of its named parameters."""

    statement: Select[Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)


def order(
    filterables: Filterables, sort: Sequence[Sort], identity: ColumnElement[Any]
) -> list[ColumnElement[Any]]:
    """The order: unknown names skipped, null first when ascending, ties by identity."""
    keys: list[ColumnElement[Any]] = []
    for each in dict.fromkeys(sort):
        filterable = filterables.get(each.name)
        if isinstance(filterable, Filterable):
            keys.append(_key(filterable, descending=each.descending))
    return [*keys, identity]


def _key(filterable: Filterable, *, descending: bool) -> ColumnElement[Any]:
    expression = in_order(filterable)
    if not filterable.nullable:
        return expression.desc() if descending else expression.asc()
    return expression.desc().nulls_last() if descending else expression.asc().nulls_first()


def paged(statement: Select[Any], page: Page) -> Select[Any]:
    """The statement with the page's limit and offset."""
    if page.limit is not None:
        statement = statement.limit(literal(page.limit, BigInteger()))
    return statement.offset(literal(page.offset, BigInteger())) if page.offset else statement


def windowed(statement: Select[Any], *, has_limit: bool, has_offset: bool) -> Select[Any]:
    """The statement with parameters for the limit and the offset of a page."""
    if has_limit:
        statement = statement.limit(bindparam(LIMIT, type_=BigInteger()))
    return statement.offset(bindparam(OFFSET, type_=BigInteger())) if has_offset else statement


def count(connection: Connection, statement: Select[Any]) -> int:
    """How many rows the statement has, without its order."""
    counted = statement.with_only_columns(func.count(), maintain_column_froms=True)
    return int(connection.execute(counted.order_by(None)).scalar_one())
