"""Trees of the catalogue whose container or pool was removed, taken away in small steps."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select

from longshore.database.tables.catalogue import copies, nodes
from longshore.database.tables.storages import containers, pools
from longshore.domain.entry import EntryKind
from longshore.domain.storage import StorageKind

_IS_FOLDER = nodes.c.kind == EntryKind.FOLDER.value


def roots(connection: Connection) -> set[int]:
    """The tops of all trees."""
    return set(connection.execute(select(nodes.c.id).where(nodes.c.parent_id.is_(None))).scalars())


def owned_roots(connection: Connection) -> set[int]:
    """Those that a container or pool has."""
    return {
        root_id
        for table in (containers, pools)
        for root_id in connection.execute(
            select(table.c.root_id).where(table.c.root_id.is_not(None))
        ).scalars()
    }


def last_node(connection: Connection) -> int:
    return connection.execute(select(func.max(nodes.c.id))).scalar() or 0


def remove_files(connection: Connection, root_id: int, first: int, last: int) -> None:
    """Remove the tree's files with ids in the window, except those archived elsewhere."""
    archived = (
        select(copies.c.file_id)
        .where(
            copies.c.file_id == nodes.c.id,
            copies.c.live,
            copies.c.storage_kind != StorageKind.CONTAINER.value,
        )
        .exists()
    )
    window = (nodes.c.id.between(first, last), nodes.c.root_id == root_id)
    gone = list(
        connection.execute(select(nodes.c.id).where(*window, ~_IS_FOLDER, ~archived)).scalars()
    )
    _remove(connection, gone)


def remove_empty_folders(connection: Connection, root_id: int, first: int, last: int) -> int:
    """Remove the tree's folders in the window that hold nothing; their number."""
    below = nodes.alias("below")
    holds = select(below.c.id).where(below.c.parent_id == nodes.c.id).exists()
    window = (nodes.c.id.between(first, last), nodes.c.root_id == root_id)
    gone = list(connection.execute(select(nodes.c.id).where(*window, _IS_FOLDER, ~holds)).scalars())
    _remove(connection, gone)
    return len(gone)


def _remove(connection: Connection, ids: list[int]) -> None:
    if ids:
        connection.execute(delete(copies).where(copies.c.file_id.in_(ids)))
        connection.execute(delete(nodes).where(nodes.c.id.in_(ids)))
