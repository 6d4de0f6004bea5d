"""Finding the storages behind the sources and destinations of a task."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row

from longshore.config import Config
from longshore.database import runs
from longshore.domain import cloud, paths
from longshore.domain.cloud import CloudProvider, may_be_one_bucket
from longshore.domain.errors import LongshoreError
from longshore.domain.storage import (
    MOUNT_POINT_OPTION,
    POSIX_BACKEND,
    PoolContent,
    PoolType,
    StorageAddress,
    StorageKind,
    StorageReference,
    folder_address,
    parse_share_options,
)
from longshore.domain.task import StorageType, WorkflowType


class CannotStart(LongshoreError):
    """Why the task cannot be run as it is, in words for its owner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """A source or destination of the task, resolved to a storage."""

    type: StorageType
    storage: StorageAddress
    root_id: int | None
    path: bytes
    prefix: bytes  # under which a source appears at the destination, besides its own name
    optional: bool
    range_first: int = 0
    range_last: int = 0  # 0 = no range
    further: tuple[StorageAddress, ...] = ()  # of a destination: the pool's other storages


def check_apart(source: End, destination: End) -> None:
    """A task must not copy a folder into itself, by whatever name it is reached."""
    for storage in (destination.storage, *destination.further):
        if _lies_in(storage, destination.path, source.storage, source.path):
            raise CannotStart("the destination lies inside the source")


def _lies_in(
    storage: StorageAddress, path: bytes, outer: StorageAddress, outer_path: bytes
) -> bool:
    is_folder, is_outer_folder = (each.backend == POSIX_BACKEND for each in (storage, outer))
    if is_folder != is_outer_folder:
        return False
    if not is_folder:
        return _lies_in_bucket(storage, path, outer, outer_path)
    around, inside = _real(outer, outer_path), _real(storage, path)
    return os.path.commonpath([inside, around]) == around.rstrip(b"/")


def _lies_in_bucket(
    storage: StorageAddress, path: bytes, outer: StorageAddress, outer_path: bytes
) -> bool:
    around, inside = _below_prefix(outer, outer_path), _below_prefix(storage, path)
    is_below = inside[: len(around)] == around
    return is_below and may_be_one_bucket(storage.settings, outer.settings)


def _real(storage: StorageAddress, path: bytes) -> bytes:
    """Where the path is, over whichever mount point its storage is reached."""
    return os.path.join(os.path.realpath(os.fsencode(storage.settings["root"])), path)


def _below_prefix(storage: StorageAddress, path: bytes) -> list[bytes]:
    """The names from the bucket's own root down to the path."""
    prefix = storage.settings.get("prefix", "").encode().split(b"/")
    return [name for name in prefix if name not in {b"", b"."}] + paths.names(path)


def every_container(connection: Connection, config: Config) -> list[End]:
    containers = runs.containers_with_roots(connection)
    return [_container_end(container, b"", b"", config) for container in containers]


def every_root(connection: Connection, config: Config) -> list[End]:
    """Everywhere that a file may have come from: all containers and reachable primary pools."""
    found = every_container(connection, config)
    for pool in runs.primary_pools(connection):
        if pool.content == PoolContent.CLOUD.value:
            buckets = _buckets(connection, pool)
            if buckets:
                found.append(_as_destination(_bucket_ends(buckets, pool, b"")))
            continue
        shares = [
            share
            for share in runs.shares_of_pool(connection, pool.id)
            if parse_share_options(share.options).get(MOUNT_POINT_OPTION)
        ]
        if shares:
            first, *further = map(_share, shares)
            found.append(
                End(
                    type=StorageType.PRIMARY_NAS,
                    storage=first,
                    root_id=pool.root_id,
                    path=b"",
                    prefix=b"",
                    optional=False,
                    further=tuple(further),
                )
            )
    return found


def ends(connection: Connection, row: Row[Any], task: runs.TaskRow, config: Config) -> list[End]:
    """The storages behind one source or destination: a pool may have several."""
    return [_with_range(end, row) for end in _whole_ends(connection, row, task, config)]


def destination_end(
    connection: Connection, row: Row[Any], task: runs.TaskRow, config: Config
) -> End:
    """The storages behind one destination, as one: a pool's are filled one after the other."""
    return _as_destination(ends(connection, row, task, config))


def _as_destination(found: list[End]) -> End:
    first, *others = found
    return replace(first, further=tuple(other.storage for other in others))


def _with_range(end: End, row: Row[Any]) -> End:
    first, last = getattr(row, "range_first", None), getattr(row, "range_last", None)
    if first is None or last is None:
        return end
    return replace(end, range_first=first, range_last=last)


def _whole_ends(
    connection: Connection, row: Row[Any], task: runs.TaskRow, config: Config
) -> list[End]:
    if row.container_id is not None:
        return [_container(connection, row, task, config)]
    if row.pool_id is None:
        raise CannotStart("this version cannot run a task with tapes")
    return _pool(connection, row)


def _container(connection: Connection, row: Row[Any], task: runs.TaskRow, config: Config) -> End:
    container = runs.container(connection, row.container_id)
    prefix = b""
    if task.workflow_type == WorkflowType.ACTIVE_ARCHIVE.value:
        # Several containers share one archive pool: each file keeps its place in its container.
        prefix = paths.join(container.name.encode(), paths.split(row.path)[0])
    return _container_end(container, row.path, prefix, config)


def _container_end(container: Row[Any], path: bytes, prefix: bytes, config: Config) -> End:
    return End(
        type=StorageType.CONTAINER,
        storage=folder_address(
            StorageReference(StorageKind.CONTAINER, container.id),
            str(Path(config.containers_folder) / container.folder),
        ),
        root_id=container.root_id,
        path=path,
        prefix=prefix,
        optional=False,
    )


def _pool(connection: Connection, row: Row[Any]) -> list[End]:
    pool = runs.pool(connection, row.pool_id)
    if pool.content == PoolContent.CLOUD.value:
        buckets = _buckets(connection, pool)
        if not buckets:
            raise CannotStart(f"pool {pool.name} has no bucket")
        return _bucket_ends(buckets, pool, row.path)
    if pool.content != PoolContent.NAS.value:
        raise CannotStart(
            f"this version cannot use pool {pool.name}: its content is {pool.content}"
        )
    shares = runs.shares_of_pool(connection, pool.id)
    if not shares:
        raise CannotStart(f"pool {pool.name} has no NAS share")
    primary = pool.type == PoolType.PRIMARY.value
    return [
        End(
            type=StorageType.PRIMARY_NAS if primary else StorageType.SECONDARY_NAS,
            storage=_share(share),
            root_id=pool.root_id,
            path=row.path,
            prefix=b"",
            optional=len(shares) > 1,
        )
        for share in shares
    ]


def _buckets(connection: Connection, pool: Row[Any]) -> list[StorageAddress]:
    """The pool's buckets, without keys."""
    return [_bucket(row) for row in runs.buckets_of_pool(connection, pool.id)]


def _bucket(row: Row[Any]) -> StorageAddress:
    reached = cloud.Connection(
        provider=CloudProvider(row.provider),
        url=row.url,
        region=row.region,
        options=row.connector_options,
    )
    reference = StorageReference(StorageKind.CLOUD_BUCKET, row.id)
    return cloud.with_account(reached.address(reference, row.name, row.options), row.access_key)


def _bucket_ends(buckets: list[StorageAddress], pool: Row[Any], path: bytes) -> list[End]:
    primary = pool.type == PoolType.PRIMARY.value
    return [
        End(
            type=StorageType.PRIMARY_CLOUD if primary else StorageType.SECONDARY_CLOUD,
            storage=bucket,
            root_id=pool.root_id,
            path=path,
            prefix=b"",
            optional=len(buckets) > 1,
        )
        for bucket in buckets
    ]


def _share(share: Row[Any]) -> StorageAddress:
    mount_point = parse_share_options(share.options).get(MOUNT_POINT_OPTION)
    if not mount_point:
        raise CannotStart(
            f"NAS share {share.name} has no {MOUNT_POINT_OPTION}: "
            "this version reaches shares through a mounted folder only"
        )
    return folder_address(StorageReference(StorageKind.NAS_SHARE, share.id), mount_point)
