"""Cloud connectors and the buckets behind them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from longshore.database import rows
from longshore.database.query import Filterable, Kind, Page
from longshore.database.rows import Listed
from longshore.database.tables.control import storage_counts
from longshore.database.tables.storages import cloud_buckets, cloud_connectors
from longshore.database.tables.tasks import task_executions
from longshore.domain.cloud import RemoteBucket
from longshore.domain.execution import RUNNING
from longshore.domain.storage import StorageKind


@dataclass(frozen=True, slots=True)
class CloudConnector:
    id: int
    name: str
    provider: str
    url: str | None
    url_proxy: str | None
    region: str | None
    access_key: str | None
    secret_key_encrypted: bytes | None
    options: str | None
    proxy_login_encrypted: bytes | None = None


@dataclass(frozen=True, slots=True)
class CloudBucket:
    id: int
    cloud_connector_id: int
    pool_id: int | None
    name: str
    location: str | None
    price: str | None
    options: str | None
    config_file_encrypted: bytes | None


CONNECTOR_FILTERS = {
    "id": Filterable(cloud_connectors.c.id, Kind.INTEGER, nullable=False),
    "name": Filterable(cloud_connectors.c.name, nullable=False),
    "url": Filterable(cloud_connectors.c.url),
    "url_proxy": Filterable(cloud_connectors.c.url_proxy),
    "provider": Filterable(cloud_connectors.c.provider, nullable=False),
    "region": Filterable(cloud_connectors.c.region),
    "access_key": Filterable(cloud_connectors.c.access_key),
}
BUCKET_FILTERS = {
    "id": Filterable(cloud_buckets.c.id, Kind.INTEGER, nullable=False),
    "cloud_connector_id": Filterable(
        cloud_buckets.c.cloud_connector_id, Kind.INTEGER, nullable=False
    ),
    "pool_id": Filterable(cloud_buckets.c.pool_id, Kind.INTEGER),
    "name": Filterable(cloud_buckets.c.name, nullable=False),
    "location": Filterable(cloud_buckets.c.location),
    "price": Filterable(cloud_buckets.c.price),
}


# ----------------------------------------------------------------------------- connectors


def index_connectors(connection: Connection, page: Page) -> Listed[CloudConnector]:
    return rows.listed(
        connection,
        select(cloud_connectors),
        page,
        CONNECTOR_FILTERS,
        identity=cloud_connectors.c.id,
        kind=CloudConnector,
    )


def fetch_connector(connection: Connection, connector_id: int) -> CloudConnector | None:
    return rows.by_id(connection, cloud_connectors, connector_id, CloudConnector)


def hold_connector(connection: Connection, connector_id: int) -> CloudConnector | None:
    """As `fetch_connector`; nobody else changes it or its buckets before this transaction ends."""
    held = select(cloud_connectors.c.id).where(cloud_connectors.c.id == connector_id)
    connection.execute(held.with_for_update())
    return fetch_connector(connection, connector_id)


def fetch_connector_named(connection: Connection, name: str) -> CloudConnector | None:
    return rows.by_name(connection, cloud_connectors, name, CloudConnector)


# -------------------------------------------------------------------------------- buckets


def index_buckets(
    connection: Connection,
    page: Page,
    *,
    connector_id: int | None = None,
    pool_id: int | None = None,
) -> Listed[CloudBucket]:
    """The buckets; with an id only those of that connector or pool."""
    statement = select(cloud_buckets)
    if connector_id is not None:
        statement = statement.where(cloud_buckets.c.cloud_connector_id == connector_id)
    if pool_id is not None:
        statement = statement.where(cloud_buckets.c.pool_id == pool_id)
    return rows.listed(
        connection,
        statement,
        page,
        BUCKET_FILTERS,
        identity=cloud_buckets.c.id,
        kind=CloudBucket,
    )


def fetch_bucket(connection: Connection, bucket_id: int) -> CloudBucket | None:
    return rows.by_id(connection, cloud_buckets, bucket_id, CloudBucket)


def buckets_of_connector(connection: Connection, connector_id: int) -> list[CloudBucket]:
    query = (
        select(cloud_buckets)
        .where(cloud_buckets.c.cloud_connector_id == connector_id)
        .order_by(cloud_buckets.c.name)
    )
    return rows.every(connection, query, CloudBucket)


def buckets_of_pool(connection: Connection, pool_id: int) -> list[CloudBucket]:
    query = (
        select(cloud_buckets).where(cloud_buckets.c.pool_id == pool_id).order_by(cloud_buckets.c.id)
    )
    return rows.every(connection, query, CloudBucket)


def buckets_by_id(connection: Connection, bucket_ids: Sequence[int]) -> list[CloudBucket]:
    query = (
        select(cloud_buckets).where(cloud_buckets.c.id.in_(bucket_ids)).order_by(cloud_buckets.c.id)
    )
    return rows.every(connection, query, CloudBucket)


def buckets_in_pools(connection: Connection, pool_ids: Sequence[int]) -> list[int]:
    """The ids of the buckets that are in one of the pools."""
    query = select(cloud_buckets.c.id).where(cloud_buckets.c.pool_id.in_(pool_ids))
    return list(connection.execute(query).scalars())


def assign_buckets(connection: Connection, pool_id: int, bucket_ids: Sequence[int]) -> None:
    """Make these buckets, and no others, the members of the pool."""
    leaving = cloud_buckets.c.id.not_in(bucket_ids)
    connection.execute(
        update(cloud_buckets)
        .where(cloud_buckets.c.pool_id == pool_id, leaving)
        .values(pool_id=None)
    )
    connection.execute(
        update(cloud_buckets).where(cloud_buckets.c.id.in_(bucket_ids)).values(pool_id=pool_id)
    )


def put_buckets(
    connection: Connection, connector_id: int, remote: Sequence[RemoteBucket]
) -> list[int]:
    """Let the connector's buckets be those; the ids of those that went.

    One that is in a pool stays although its provider does not list it any more: tasks name it. So
    does one that is used by a run, and one that holds files as far as the catalogue knows: nothing
    else says where they are.
    """
    known = {each.name: each for each in buckets_of_connector(connection, connector_id)}
    listed = {each.name: each for each in remote}
    for name, bucket in listed.items():
        if name in known:
            rows.change(connection, cloud_buckets, known[name].id, {"location": bucket.location})
    new = [
        {"cloud_connector_id": connector_id, "name": name, "location": bucket.location}
        for name, bucket in listed.items()
        if name not in known
    ]
    if new:
        connection.execute(insert(cloud_buckets), new)
    missing = [each for each in known.values() if each.name not in listed]
    kept = _holding_files(connection) | buckets_at_work(connection).keys() if missing else set()
    gone = [each.id for each in missing if each.pool_id is None and each.id not in kept]
    remove_buckets(connection, gone)
    return gone


def buckets_at_work(connection: Connection) -> dict[int, int]:
    """The buckets that executions use which are not over, each with the id of one of these."""
    running = task_executions.c.status.in_([status.value for status in RUNNING])
    query = select(task_executions.c.id, task_executions.c.facts).where(running)
    return {
        storage["id"]: execution_id
        for execution_id, facts in connection.execute(query)
        for storage in _storages(json.loads(facts or "{}"))
        if storage["kind"] == StorageKind.CLOUD_BUCKET.name.lower()
    }


def _storages(facts: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for end in (*facts.get("sources", ()), *facts.get("destinations", ())):
        yield end["storage"]
        yield from end.get("further_storages", ())


def _holding_files(connection: Connection) -> set[int]:
    """The buckets on which files were counted."""
    query = select(storage_counts.c.storage_id).where(
        storage_counts.c.storage_kind == StorageKind.CLOUD_BUCKET.value,
        storage_counts.c.files > 0,
    )
    return set(connection.execute(query).scalars())


def remove_buckets(connection: Connection, bucket_ids: Sequence[int]) -> None:
    if bucket_ids:
        connection.execute(delete(cloud_buckets).where(cloud_buckets.c.id.in_(bucket_ids)))
