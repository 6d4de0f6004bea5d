"""NAS servers and their shares."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from longshore.database import rows
from longshore.database.tables import nas, nas_shares


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
