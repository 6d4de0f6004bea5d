"""Writing the catalogue: roots, paths and ids of its tree."""

from __future__ import annotations

from enum import IntEnum

from sqlalchemy import Connection, insert, select, update

from longshore.database import identifiers
from longshore.database.tables import nodes
from longshore.domain.entry import Entry, EntryKind

NODE_IDS = "nodes"


class NodeState(IntEnum):
    """Whether the file is still where its root says."""

    LIVE = 1
    VANISHED = 2  # a scan did not find it any more
    DELETED = 3  # erased; its copies may live on
    STUB = 4  # known and readable through its copies only


def create_root(connection: Connection, name: str) -> int:
    """The id of a new tree's root, for a container or a primary pool."""
    node_id = identifiers.reserve(connection, NODE_IDS, 1)
    connection.execute(
        insert(nodes),
        node_values(Entry(name.encode(), EntryKind.FOLDER, 0, 0o40755, 0, 0, 0, 0, 0))
        | {"id": node_id, "root_id": node_id, "parent_id": None},
    )
    return node_id


def rename_root(connection: Connection, root_id: int, name: str) -> None:
    """Show the root under its storage's new name."""
    connection.execute(update(nodes).where(nodes.c.id == root_id).values(name=name.encode()))


def find(connection: Connection, root_id: int, names: list[bytes]) -> int | None:
    """The id of the node that the names lead to from the root, if the catalogue has it."""
    node_id: int | None = root_id
    for name in names:
        query = select(nodes.c.id).where(nodes.c.parent_id == node_id, nodes.c.name == name)
        node_id = connection.execute(query).scalar()
        if node_id is None:
            return None
    return node_id


def ensure(connection: Connection, root_id: int, chain: list[Entry]) -> int:
    """The id of the last entry of the chain from the root down; missing nodes are made."""
    parent_id = root_id
    for entry in chain:
        found = find(connection, parent_id, [entry.name])
        if found is None:
            found = identifiers.reserve(connection, NODE_IDS, 1)
            connection.execute(
                insert(nodes),
                node_values(entry) | {"id": found, "root_id": root_id, "parent_id": parent_id},
            )
        parent_id = found
    return parent_id


def node_values(entry: Entry) -> dict[str, object]:
    """The columns of a node that come from its storage."""
    return {
        "name": entry.name,
        "kind": entry.kind.value,
        "size": entry.size,
        "mode": entry.mode,
        "uid": entry.uid,
        "gid": entry.gid,
        "mtime_ns": entry.mtime_ns,
        "atime_ns": entry.atime_ns,
        "ctime_ns": entry.ctime_ns,
        "link_target": entry.link_target or None,
        "state": NodeState.LIVE.value,
    }
