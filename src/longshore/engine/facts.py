"""What an execution was told to do, in words that outlive its task: for the manifest."""

from __future__ import annotations

import hashlib

import msgspec
from sqlalchemy import Connection, select

from longshore import __version__
from longshore.database import runs
from longshore.database.tables.storages import cloud_buckets, containers, nas_shares
from longshore.database.tables.tasks import task_metadata
from longshore.domain.manifest import escape
from longshore.domain.storage import StorageKind, StorageReference
from longshore.pipeline.messages.plan import Destination, ExecutionPlan

_TABLES = {
    StorageKind.CONTAINER: containers,
    StorageKind.NAS_SHARE: nas_shares,
    StorageKind.CLOUD_BUCKET: cloud_buckets,
}


def facts_of(connection: Connection, task: runs.TaskRow, plan: ExecutionPlan) -> str:
    """The facts as JSON. Sources and destinations stand at the places they have in the plan."""
    facts = {
        "sources": [
            {
                "storage": _storage(connection, source.storage.reference),
                "path": f"/{escape(source.path)}",
                "target": f"/{escape(source.target)}",
                "target_name": escape(source.target_name) or None,
                "destination": source.destination if plan.destinations else None,
            }
            for source in plan.sources
        ],
        "destinations": [
            {"storage": _storage(connection, destination.storage.reference)}
            | _further(connection, destination)
            for destination in plan.destinations
        ],
        "software": f"longshore {__version__}",
        "conflict_resolution": plan.conflict.value,
        "checksum": plan.checksum.value,
        "verify": plan.verify,
        "callbacks": [
            {"id": each.id, "sha256": hashlib.sha256(each.script.encode()).hexdigest()}
            for each in plan.callbacks
        ],
        "options": runs.options(connection, task.id),
        "metadata": _metadata(connection, task.id),
    }
    return msgspec.json.encode(facts).decode()


def _storage(connection: Connection, reference: StorageReference) -> dict[str, object]:
    described: dict[str, object] = {"kind": reference.kind.name.lower(), "id": reference.id}
    table = _TABLES.get(reference.kind)
    if table is not None:
        query = select(table.c.name).where(table.c.id == reference.id)
        described["name"] = connection.execute(query).scalar()
    return described


def _further(connection: Connection, destination: Destination) -> dict[str, object]:
    """The other storages of the pool, where it has several."""
    others = [_storage(connection, share.reference) for share in destination.further]
    return {"further_storages": others} if others else {}


def _metadata(connection: Connection, task_id: int) -> dict[str, str]:
    query = (
        select(task_metadata.c.key, task_metadata.c.value)
        .where(task_metadata.c.task_id == task_id)
        .order_by(task_metadata.c.id)
    )
    return {row.key: row.value for row in connection.execute(query)}
