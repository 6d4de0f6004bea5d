"""How many files lie on each storage, summed up from the catalogue window by window.

The catalogue lies in the journal, the sums beside the storages in the state.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, case, delete, func, insert, select

from longshore.database.node_rows import NodeState
from longshore.database.tables.catalogue import copies, nodes
from longshore.database.tables.control import storage_counts
from longshore.database.tables.storages import cloud_buckets, containers, nas_shares, pools
from longshore.domain.entry import EntryKind
from longshore.domain.storage import StorageKind, StorageReference

_IS_FILE = nodes.c.kind != EntryKind.FOLDER.value
_IS_LIVE = nodes.c.state == NodeState.LIVE.value


@dataclass(slots=True)
class Sums:
    """Sizes are bytes. Of containers `files` and `bytes` are all that people see in them."""

    files: int = 0
    bytes: int = 0
    cached_files: int = 0  # whose content lies in the container
    cached_bytes: int = 0
    only_cached_files: int = 0  # that lie nowhere else
    only_cached_bytes: int = 0

    def add(self, *change: int) -> None:
        for name, value in zip(Sums.__slots__, change, strict=False):
            setattr(self, name, getattr(self, name) + value)


def last_node(connection: Connection) -> int:
    return connection.execute(select(func.max(nodes.c.id))).scalar() or 0


def add_trees(connection: Connection, first: int, last: int, roots: dict[int, Sums]) -> None:
    """Add the files with ids in the window to the sums of their roots."""
    elsewhere = (
        select(copies.c.file_id)
        .where(
            copies.c.file_id == nodes.c.id,
            copies.c.live,
            copies.c.storage_kind != StorageKind.CONTAINER.value,
        )
        .exists()
    )
    alone = _IS_LIVE & ~elsewhere
    query = (
        select(
            nodes.c.root_id,
            func.count(),
            func.sum(nodes.c.size),
            func.sum(case((_IS_LIVE, 1), else_=0)),
            func.sum(case((_IS_LIVE, nodes.c.size), else_=0)),
            func.sum(case((alone, 1), else_=0)),
            func.sum(case((alone, nodes.c.size), else_=0)),
        )
        .where(
            nodes.c.id.between(first, last),
            _IS_FILE,
            nodes.c.state.in_([NodeState.LIVE.value, NodeState.STUB.value]),
        )
        .group_by(nodes.c.root_id)
    )
    for root_id, *change in connection.execute(query):
        roots.setdefault(root_id, Sums()).add(*map(int, change))


def add_copies(
    connection: Connection, first: int, last: int, storages: dict[StorageReference, Sums]
) -> None:
    """Add the live copies of files with ids in the window to the sums of their storages."""
    query = (
        select(copies.c.storage_kind, copies.c.storage_id, func.count(), func.sum(copies.c.size))
        .join(nodes, nodes.c.id == copies.c.file_id)
        .where(copies.c.file_id.between(first, last), copies.c.live, _IS_FILE)
        .group_by(copies.c.storage_kind, copies.c.storage_id)
    )
    for kind, storage_id, files, size in connection.execute(query):
        reference = StorageReference(StorageKind(kind), storage_id)
        storages.setdefault(reference, Sums()).add(int(files), int(size))


def storages_of_roots(connection: Connection) -> dict[int, StorageReference]:
    """The storage behind each root: containers, and the only storage of a primary pool."""
    found = {
        root_id: StorageReference(StorageKind.CONTAINER, container_id)
        for root_id, container_id in connection.execute(
            select(containers.c.root_id, containers.c.id).where(containers.c.root_id.is_not(None))
        )
    }
    members = {StorageKind.NAS_SHARE: nas_shares, StorageKind.CLOUD_BUCKET: cloud_buckets}
    for kind, table in members.items():
        of_pools = (
            select(pools.c.root_id, func.min(table.c.id))
            .join(table, table.c.pool_id == pools.c.id)
            .where(pools.c.root_id.is_not(None))
            .group_by(pools.c.root_id)
            .having(func.count() == 1)
        )
        for root_id, storage_id in connection.execute(of_pools):
            found[root_id] = StorageReference(kind, storage_id)
    return found


def replace_all(connection: Connection, counted: Mapping[StorageReference, Sums]) -> None:
    """Make these the sums of all storages."""
    connection.execute(delete(storage_counts))
    rows = [
        {"storage_kind": storage.kind.value, "storage_id": storage.id}
        | {name: getattr(sums, name) for name in Sums.__slots__}
        for storage, sums in counted.items()
    ]
    if rows:
        connection.execute(insert(storage_counts), rows)


def of_storages(
    connection: Connection, kind: StorageKind, storage_ids: Collection[int]
) -> dict[int, Sums]:
    """The sums of these storages, as far as they were counted, by id."""
    query = select(storage_counts).where(
        storage_counts.c.storage_kind == kind.value, storage_counts.c.storage_id.in_(storage_ids)
    )
    return {
        row.storage_id: Sums(**{name: getattr(row, name) for name in Sums.__slots__})
        for row in connection.execute(query)
    }
