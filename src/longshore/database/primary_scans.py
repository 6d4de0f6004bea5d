"""What the controller reads and writes of the scans of primary pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from longshore.database.tables.storages import pools, primary_scans
from longshore.database.tables.tasks import task_sources, tasks
from longshore.database.tables.users import users
from longshore.domain.execution import IDLE, TaskAction, TaskStatus
from longshore.domain.task import WorkflowAction, WorkflowType

PRIORITY = 1  # what people ask for comes first


def due(connection: Connection, now: int) -> Sequence[Row[Any]]:
    """The enabled scans whose time has come, each with the name of its pool."""
    query = (
        select(primary_scans, pools.c.name.label("pool_name"))
        .join(pools, pools.c.id == primary_scans.c.pool_id)
        .where(
            primary_scans.c.enabled,
            or_(primary_scans.c.next.is_(None), primary_scans.c.next <= now),
        )
        .order_by(primary_scans.c.id)
    )
    return connection.execute(query).all()


def set_next(connection: Connection, scan_id: int, moment: int) -> None:
    connection.execute(
        update(primary_scans).where(primary_scans.c.id == scan_id).values(next=moment)
    )


def make_task(connection: Connection, scan: Row[Any], now: int) -> int:
    """The task that carries the scan out, of the first administrator; its id."""
    owner_id, owner = connection.execute(
        select(users.c.id, users.c.name).where(users.c.administrator).order_by(users.c.id).limit(1)
    ).one()
    values = {
        "owner_id": owner_id,
        "name": f"Scan of pool {scan.pool_name}"[:255],
        "workflow_type": WorkflowType.MAINTENANCE.value,
        "workflow_action": WorkflowAction.SCAN.value,
        "priority": PRIORITY,
        "action": TaskAction.NOOP.value,
        "activate": 1,
        "creation_date": now,
        "creation_username": owner,
        "modification_date": now,
        "modification_username": owner,
        "status": TaskStatus.NOT_ACTIVATED.value,
        "progress": 0,
        "processed_size": 0,
        "to_process_size": 0,
        "delete": 0,
    }
    task_id = int(
        connection.execute(insert(tasks).values(values).returning(tasks.c.id)).scalar_one()
    )
    source = {"task_id": task_id, "pool_id": scan.pool_id, "path": b"", "given_pool": True}
    connection.execute(insert(task_sources).values(source))
    connection.execute(
        update(primary_scans).where(primary_scans.c.id == scan.id).values(task_id=task_id)
    )
    return task_id


def forget_task(connection: Connection, pool_id: int) -> None:
    """Remove the task that scans the pool, unless it is at work."""
    of_pool = select(primary_scans.c.task_id).where(primary_scans.c.pool_id == pool_id)
    connection.execute(
        delete(tasks).where(
            tasks.c.id.in_(of_pool), tasks.c.status.in_([status.value for status in IDLE])
        )
    )
