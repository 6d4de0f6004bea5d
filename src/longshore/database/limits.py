"""Limits of tasks and storages: bytes per second, and work orders at once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, insert, or_, select

from longshore.database.tables.control import storage_limits, task_limits
from longshore.database.tables.tasks import tasks
from longshore.domain.storage import StorageKind, StorageReference


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageLimits:
    """None: no limit of the bandwidth; the configured number of slots."""

    bandwidth: int | None = None  # bytes per second
    slots: int | None = None  # orders at once, 0 = no limit


def bandwidth_of_task(connection: Connection, task_id: int) -> int | None:
    return bandwidths_of_tasks(connection, [task_id]).get(task_id)


def bandwidths_of_tasks(connection: Connection, task_ids: Collection[int]) -> dict[int, int]:
    """The limits of those of the tasks that have one, in bytes per second."""
    if not task_ids:
        return {}
    query = select(task_limits).where(task_limits.c.task_id.in_(task_ids))
    return {row.task_id: row.bandwidth for row in connection.execute(query)}


def names_of_tasks(connection: Connection, task_ids: Collection[int]) -> dict[int, str]:
    """What the tasks are called, as far as they are there."""
    query = select(tasks.c.id, tasks.c.name).where(tasks.c.id.in_(task_ids))
    return {row.id: row.name for row in connection.execute(query)}


def limit_task(connection: Connection, task_id: int, bandwidth: int | None) -> None:
    """Set the task's limit, or take it away."""
    connection.execute(delete(task_limits).where(task_limits.c.task_id == task_id))
    if bandwidth is not None:
        connection.execute(insert(task_limits).values(task_id=task_id, bandwidth=bandwidth))


def of_storage(connection: Connection, storage: StorageReference) -> StorageLimits:
    return of_storages(connection, [storage]).get(storage, StorageLimits())


def of_storages(
    connection: Connection, storages: Collection[StorageReference]
) -> dict[StorageReference, StorageLimits]:
    """The limits of those of the storages that have some."""
    columns = storage_limits.c
    if not storages:
        return {}
    wanted = [and_(columns.storage_kind == s.kind, columns.storage_id == s.id) for s in storages]
    return {
        StorageReference(StorageKind(row.storage_kind), row.storage_id): StorageLimits(
            bandwidth=row.bandwidth, slots=row.slots
        )
        for row in connection.execute(select(storage_limits).where(or_(*wanted)))
    }


def limit_storage(connection: Connection, storage: StorageReference, limits: StorageLimits) -> None:
    """Set the storage's limits; nothing is kept of one that has none."""
    forget_storage(connection, storage)
    if limits != StorageLimits():
        connection.execute(
            insert(storage_limits).values(
                storage_kind=storage.kind,
                storage_id=storage.id,
                bandwidth=limits.bandwidth,
                slots=limits.slots,
            )
        )


def forget_storage(connection: Connection, storage: StorageReference) -> None:
    """The storage has no limits of its own any more."""
    columns = storage_limits.c
    connection.execute(
        delete(storage_limits).where(
            columns.storage_kind == storage.kind, columns.storage_id == storage.id
        )
    )
