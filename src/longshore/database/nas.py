"""NAS servers and their shares."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from longshore.database import rows
from longshore.database.query import Filterable, Kind, Page
from longshore.database.rows import Listed
from longshore.database.tables.storages import nas, nas_shares


@dataclass(frozen=True, slots=True)
class Nas:
    id: int
    name: str
    host: str
    type: str
    comment: str | None
    price: str | None


@dataclass(frozen=True, slots=True)
class NasShare:
    id: int
    nas_id: int
    pool_id: int | None
    name: str
    path: str
    options: str | None
    username: str | None
    password_encrypted: bytes | None


NAS_FILTERS = {
    "id": Filterable(nas.c.id, Kind.INTEGER, nullable=False),
    "name": Filterable(nas.c.name, nullable=False),
    "comment": Filterable(nas.c.comment),
    "host": Filterable(nas.c.host, nullable=False),
    "type": Filterable(nas.c.type, nullable=False),
    "price": Filterable(nas.c.price),
}
SHARE_FILTERS = {
    "id": Filterable(nas_shares.c.id, Kind.INTEGER, nullable=False),
    "nas_id": Filterable(nas_shares.c.nas_id, Kind.INTEGER, nullable=False),
    "pool_id": Filterable(nas_shares.c.pool_id, Kind.INTEGER),
    "name": Filterable(nas_shares.c.name, nullable=False),
    "path": Filterable(nas_shares.c.path, nullable=False),
    "options": Filterable(nas_shares.c.options),
    "username": Filterable(nas_shares.c.username),
}


def index(connection: Connection, page: Page) -> Listed[Nas]:
    return rows.listed(connection, select(nas), page, NAS_FILTERS, identity=nas.c.id, kind=Nas)


def index_shares(
    connection: Connection, page: Page, *, nas_id: int | None = None, pool_id: int | None = None
) -> Listed[NasShare]:
    """The shares; with an id only those of that NAS or pool."""
    statement = select(nas_shares)
    if nas_id is not None:
        statement = statement.where(nas_shares.c.nas_id == nas_id)
    if pool_id is not None:
        statement = statement.where(nas_shares.c.pool_id == pool_id)
    return rows.listed(
        connection, statement, page, SHARE_FILTERS, identity=nas_shares.c.id, kind=NasShare
    )


def fetch(connection: Connection, nas_id: int) -> Nas | None:
    return rows.by_id(connection, nas, nas_id, Nas)


def fetch_named(connection: Connection, name: str) -> Nas | None:
    return rows.by_name(connection, nas, name, Nas)


def fetch_share(connection: Connection, share_id: int) -> NasShare | None:
    return rows.by_id(connection, nas_shares, share_id, NasShare)


def shares_named(connection: Connection, name: str) -> list[NasShare]:
    """All shares of this name, on whatever NAS, lowest id first."""
    query = select(nas_shares).where(nas_shares.c.name == name).order_by(nas_shares.c.id)
    return rows.every(connection, query, NasShare)


def shares_of_pool(connection: Connection, pool_id: int) -> list[NasShare]:
    query = select(nas_shares).where(nas_shares.c.pool_id == pool_id).order_by(nas_shares.c.id)
    return rows.every(connection, query, NasShare)


def shares_by_id(connection: Connection, share_ids: list[int]) -> list[NasShare]:
    query = select(nas_shares).where(nas_shares.c.id.in_(share_ids)).order_by(nas_shares.c.id)
    return rows.every(connection, query, NasShare)


def all_shares(connection: Connection) -> list[NasShare]:
    return rows.every(connection, select(nas_shares).order_by(nas_shares.c.id), NasShare)


def has_shares(connection: Connection, nas_id: int) -> bool:
    query = select(nas_shares.c.id).where(nas_shares.c.nas_id == nas_id).limit(1)
    return connection.execute(query).first() is not None
