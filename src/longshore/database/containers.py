"""Containers, the rights people have on them and who uses them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Column, Connection, and_, func, or_, select

from longshore.database import rows
from longshore.database.query import Filterable, Kind, Page
from longshore.database.rows import Listed
from longshore.database.tables.control import storage_counts
from longshore.database.tables.storages import container_privileges, containers
from longshore.database.tables.tasks import task_destinations, task_sources
from longshore.domain.storage import StorageKind


@dataclass(frozen=True, slots=True)
class Container:
    id: int
    name: str
    comment: str | None
    quota_total_size: int
    quota_on_cache: int
    guest_right: str
    folder: str
    root_id: int | None
    last_update: int


@dataclass(frozen=True, slots=True)
class Privilege:
    id: int
    container_id: int
    name: str
    type: str
    privilege: str


def _counted(column: Column[int]) -> Filterable:
    """A number that the controller has counted; null, like every unknown value, before."""
    query = select(column).where(
        storage_counts.c.storage_kind == StorageKind.CONTAINER.value,
        storage_counts.c.storage_id == containers.c.id,
    )
    return Filterable(query.scalar_subquery(), Kind.INTEGER)


FILTERS = {
    "id": Filterable(containers.c.id, Kind.INTEGER, nullable=False),
    "name": Filterable(containers.c.name, nullable=False),
    "comment": Filterable(containers.c.comment),
    "quota_total_size": Filterable(containers.c.quota_total_size, Kind.INTEGER, nullable=False),
    "quota_on_cache": Filterable(containers.c.quota_on_cache, Kind.INTEGER, nullable=False),
    "guest_right": Filterable(containers.c.guest_right, nullable=False),
    "last_update": Filterable(containers.c.last_update, Kind.SECONDS, nullable=False),
    "stat_total_files": _counted(storage_counts.c.files),
    "stat_total_size": _counted(storage_counts.c.bytes),
    "stat_size_on_cache": _counted(storage_counts.c.cached_bytes),
}
PRIVILEGE_FILTERS = {
    "id": Filterable(container_privileges.c.id, Kind.INTEGER, nullable=False),
    "name": Filterable(container_privileges.c.name, nullable=False),
    "privilege": Filterable(container_privileges.c.privilege, nullable=False),
    "type": Filterable(container_privileges.c.type, nullable=False),
}


def index(connection: Connection, page: Page) -> Listed[Container]:
    statement = select(containers)
    return rows.listed(
        connection, statement, page, FILTERS, identity=containers.c.id, kind=Container
    )


def index_privileges(connection: Connection, container_id: int, page: Page) -> Listed[Privilege]:
    statement = select(container_privileges).where(
        container_privileges.c.container_id == container_id
    )
    return rows.listed(
        connection,
        statement,
        page,
        PRIVILEGE_FILTERS,
        identity=container_privileges.c.id,
        kind=Privilege,
    )


def fetch(connection: Connection, container_id: int) -> Container | None:
    return rows.by_id(connection, containers, container_id, Container)


def fetch_named(connection: Connection, name: str) -> Container | None:
    return rows.by_name(connection, containers, name, Container)


def with_roots(connection: Connection) -> list[Container]:
    """All containers that show a tree in the catalogue, by name."""
    query = select(containers).where(containers.c.root_id.is_not(None)).order_by(containers.c.name)
    return rows.every(connection, query, Container)


def with_root(connection: Connection, root_id: int) -> Container | None:
    query = select(containers).where(containers.c.root_id == root_id)
    return rows.one(connection, query, Container)


def cache_percent_of_others(connection: Connection, container_id: int | None) -> int:
    """The sum of `quota_on_cache` over all containers but this one."""
    query = select(func.coalesce(func.sum(containers.c.quota_on_cache), 0))
    if container_id is not None:
        query = query.where(containers.c.id != container_id)
    return int(connection.execute(query).scalar_one())


def is_used(connection: Connection, container_id: int) -> bool:
    """Whether a task names the container as source or destination."""
    return any(
        connection.execute(
            select(table.c.id).where(table.c.container_id == container_id).limit(1)
        ).first()
        for table in (task_sources, task_destinations)
    )


def fetch_privilege(connection: Connection, container_id: int, row_id: int) -> Privilege | None:
    query = select(container_privileges).where(
        container_privileges.c.id == row_id, container_privileges.c.container_id == container_id
    )
    return rows.one(connection, query, Privilege)


def privileges_of(connection: Connection, user: str, groups: Collection[str]) -> list[Privilege]:
    """What is said about the user or one of the groups, on whatever container."""
    columns = container_privileges.c
    query = select(container_privileges).where(
        or_(
            and_(columns.type == "user", columns.name == user),
            and_(columns.type == "group", columns.name.in_(sorted(groups))),
        )
    )
    return rows.every(connection, query, Privilege)
