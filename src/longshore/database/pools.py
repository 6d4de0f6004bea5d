"""Pools, their members and who uses them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from longshore.database import rows
from longshore.database.query import Filterable, Kind, Page
from longshore.database.rows import Listed
from longshore.database.tables.storages import nas_shares, pools, primary_scans
from longshore.database.tables.tasks import task_destinations, task_sources


@dataclass(frozen=True, slots=True)
class Pool:
    id: int
    name: str
    comment: str | None
    type: str
    content: str
    root_id: int | None


@dataclass(frozen=True, slots=True)
class PrimaryScan:
    id: int
    pool_id: int
    enabled: bool
    operand: float
    unit: str
    task_id: int | None = None  # that carries it out
    next: int | None = None  # when it is due, in seconds since 1970; None = at once


FILTERS = {
    "id": Filterable(pools.c.id, Kind.INTEGER, nullable=False),
    "name": Filterable(pools.c.name, nullable=False),
    "comment": Filterable(pools.c.comment),
    "type": Filterable(pools.c.type, nullable=False),
    "content": Filterable(pools.c.content, nullable=False),
    "primary_id": Filterable(pools.c.root_id, Kind.INTEGER),
}


def index(connection: Connection, page: Page) -> Listed[Pool]:
    return rows.listed(connection, select(pools), page, FILTERS, identity=pools.c.id, kind=Pool)


def fetch(connection: Connection, pool_id: int) -> Pool | None:
    return rows.by_id(connection, pools, pool_id, Pool)


def fetch_named(connection: Connection, name: str) -> Pool | None:
    return rows.by_name(connection, pools, name, Pool)


def with_roots(connection: Connection) -> list[Pool]:
    """The pools that show a tree in the catalogue, by name."""
    query = select(pools).where(pools.c.root_id.is_not(None)).order_by(pools.c.name)
    return rows.every(connection, query, Pool)


def of_type(connection: Connection, kind: str) -> list[Pool]:
    query = select(pools).where(pools.c.type == kind).order_by(pools.c.id)
    return rows.every(connection, query, Pool)


def with_root(connection: Connection, root_id: int) -> Pool | None:
    return rows.one(connection, select(pools).where(pools.c.root_id == root_id), Pool)


def is_used(connection: Connection, pool_id: int) -> bool:
    """Whether a task names the pool as source or destination."""
    return any(
        connection.execute(select(table.c.id).where(table.c.pool_id == pool_id).limit(1)).first()
        for table in (task_sources, task_destinations)
    )


def assign_shares(connection: Connection, pool_id: int, share_ids: list[int]) -> None:
    """Make these shares, and no others, the members of the pool."""
    leaving = nas_shares.c.id.not_in(share_ids)
    connection.execute(
        update(nas_shares).where(nas_shares.c.pool_id == pool_id, leaving).values(pool_id=None)
    )
    connection.execute(
        update(nas_shares).where(nas_shares.c.id.in_(share_ids)).values(pool_id=pool_id)
    )


def primary_scan(connection: Connection, pool_id: int) -> PrimaryScan | None:
    query = select(primary_scans).where(primary_scans.c.pool_id == pool_id)
    return rows.one(connection, query, PrimaryScan)
