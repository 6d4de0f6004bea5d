"""Limits of tasks and storages. A change acts within one time slice of the movers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from longshore.database import limits as limit_rows
from longshore.database import tasks as task_rows
from longshore.database.connection import reading, writing
from longshore.database.limits import StorageLimits
from longshore.domain.bandwidth import BANDWIDTH_MAXIMUM
from longshore.domain.storage import SLOTS_MAXIMUM, StorageKind, StorageReference
from longshore.services import cloud_buckets, containers, nas_shares
from longshore.services.attributes import check_range
from longshore.services.context import Context
from longshore.services.errors import Problems
from longshore.services.input import Input, Whole
from longshore.services.nas_shares import Parent
from longshore.services.principal import Principal
from longshore.services.tasks import modified, require

_CONTROLLERS = {
    StorageKind.NAS_SHARE: "nas_shares",
    StorageKind.CONTAINER: "containers",
    StorageKind.CLOUD_BUCKET: "cloud_buckets",
}


class TaskLimitsInput(Input):
    bandwidth: Whole | None = None


class StorageLimitsInput(Input):
    bandwidth: Whole | None = None
    slots: Whole | None = None


def of_task(context: Context, principal: Principal, identifier: str) -> int | None:
    """Bytes per second that the task may read from its sources. Raises NotFound."""
    with reading(context.database.state) as connection:
        task = require(connection, principal, identifier)
        return limit_rows.bandwidth_of_task(connection, task.id)


def limit_task(
    context: Context, principal: Principal, identifier: str, body: Mapping[str, Any]
) -> int | None:
    """The new limit, while the task runs too. Raises NotFound, Invalid."""
    problems = Problems()
    given = TaskLimitsInput.read(body, problems)
    _check_bandwidth(given.bandwidth, problems)
    with writing(context.database.state) as connection:
        task = require(connection, principal, identifier)
        problems.raise_if_any()
        if given.has("bandwidth"):
            limit_rows.limit_task(connection, task.id, given.bandwidth)
            task_rows.change(connection, task.id, modified(context, principal))
        limit = limit_rows.bandwidth_of_task(connection, task.id)
    context.wake()
    return limit


def of_storage(
    context: Context, principal: Principal, kind: StorageKind, identifier: str
) -> StorageLimits:
    """The storage's limits, for administrators. Raises NotFound, Forbidden."""
    principal.require_administrator(_CONTROLLERS[kind], "show")
    with reading(context.database.state) as connection:
        return limit_rows.of_storage(connection, _resolved(connection, kind, identifier))


def limit_storage(
    context: Context,
    principal: Principal,
    kind: StorageKind,
    identifier: str,
    body: Mapping[str, Any],
) -> StorageLimits:
    """The new limits, for all tasks at once. Raises NotFound, Forbidden, Invalid."""
    principal.require_administrator(_CONTROLLERS[kind], "update")
    problems = Problems()
    given = StorageLimitsInput.read(body, problems)
    _check_bandwidth(given.bandwidth, problems)
    if given.slots is not None:
        check_range(problems, "slots", given.slots, low=0, high=SLOTS_MAXIMUM)
    with writing(context.database.state) as connection:
        storage = _resolved(connection, kind, identifier)
        problems.raise_if_any()
        limits = replace(limit_rows.of_storage(connection, storage), **given.given())
        limit_rows.limit_storage(connection, storage, limits)
    context.wake()
    return limits


def _check_bandwidth(bandwidth: int | None, problems: Problems) -> None:
    if bandwidth is not None:
        check_range(problems, "bandwidth", bandwidth, low=1, high=BANDWIDTH_MAXIMUM)


def _resolved(connection: Connection, kind: StorageKind, identifier: str) -> StorageReference:
    if kind is StorageKind.CONTAINER:
        return StorageReference(kind, containers.resolve(connection, identifier).id)
    if kind is StorageKind.CLOUD_BUCKET:
        found = cloud_buckets.resolve(connection, cloud_buckets.Parent(), identifier)
        return StorageReference(kind, found.id)
    return StorageReference(kind, nas_shares.resolve(connection, Parent(), identifier).id)
