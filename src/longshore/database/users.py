"""Users, their API keys and their configurations."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from longshore.database import rows
from longshore.database.tables.tasks import task_executions, tasks
from longshore.database.tables.users import api_keys, user_configurations, users


@dataclass(frozen=True, slots=True)
class User:
    id: int
    name: str
    password_hash: str  # "" = no password; the user comes with tokens only
    administrator: bool
    creation_date: int


@dataclass(frozen=True, slots=True)
class ApiKey:
    id: int
    user_id: int
    name: str
    key_hash: bytes
    key_end: str
    scopes: str
    creation_date: int


@dataclass(frozen=True, slots=True)
class Configuration:
    id: int
    user_id: int
    key: str
    value: str


def fetch(connection: Connection, user_id: int) -> User | None:
    return rows.by_id(connection, users, user_id, User)


_NAMED = select(users).where(users.c.name == bindparam("name"))


def fetch_named(connection: Connection, name: str) -> User | None:
    found = connection.execute(_NAMED, {"name": name}).one_or_none()
    return None if found is None else User(*found)


def everybody(connection: Connection) -> list[User]:
    """All users, by name."""
    return rows.every(connection, select(users).order_by(users.c.name), User)


def owns_something(connection: Connection, user_id: int) -> bool:
    """Whether a task or the record of an execution belongs to the user."""
    return any(
        connection.execute(select(table.c.id).where(table.c.owner_id == user_id).limit(1)).first()
        for table in (tasks, task_executions)
    )


def key_with_hash(connection: Connection, key_hash: bytes) -> ApiKey | None:
    return rows.one(connection, select(api_keys).where(api_keys.c.key_hash == key_hash), ApiKey)


def fetch_key(connection: Connection, user_id: int, key_id: int) -> ApiKey | None:
    query = select(api_keys).where(api_keys.c.id == key_id, api_keys.c.user_id == user_id)
    return rows.one(connection, query, ApiKey)


def fetch_configuration(
    connection: Connection, user_id: int, *, row_id: int | None = None, key: str | None = None
) -> Configuration | None:
    """The user's configuration with the id, or with the key."""
    columns = user_configurations.c
    wanted = columns.key == key if row_id is None else columns.id == row_id
    query = select(user_configurations).where(wanted, columns.user_id == user_id)
    return rows.one(connection, query, Configuration)
