"""How people call a storage."""

from __future__ import annotations

from sqlalchemy import Connection, select

from longshore.database.tables.storages import cloud_buckets, containers, nas_shares
from longshore.domain.storage import StorageKind, StorageReference

_TABLES = {
    StorageKind.CONTAINER: containers,
    StorageKind.NAS_SHARE: nas_shares,
    StorageKind.CLOUD_BUCKET: cloud_buckets,
}


def name_of(connection: Connection, storage: StorageReference) -> str:
    """The storage's name; its kind and id where there is none any more."""
    table = _TABLES.get(storage.kind)
    found: str | None = None
    if table is not None:
        query = select(table.c.name).where(table.c.id == storage.id)
        found = connection.execute(query).scalar_one_or_none()
    return found or f"{storage.kind.name.lower()} {storage.id}"
