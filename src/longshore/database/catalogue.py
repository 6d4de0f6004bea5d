"""The catalogue's tree of nodes: made, found by their names, given a state, and placed.

Nodes are never removed here. One that is no longer where its root says is given another state,
since copies may point to it. The copies themselves are in copy_rows and known_copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from longshore.database import identifiers, node_rows
from longshore.database.node_rows import NODE_IDS, NodeState, Siblings
from longshore.database.tables.catalogue import nodes
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.paths import join


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


def note_lost(connection: Connection, node_id: int, lost: bytes) -> None:
    """Keep what a copy of a folder does not bear, as domain.fidelity encodes it."""
    connection.execute(update(nodes).where(nodes.c.id == node_id).values(lost=lost))


def children_between(
    connection: Connection, parent_id: int, first: bytes, last: bytes
) -> dict[bytes, int]:
    """The ids of the parent's nodes whose names lie between the two, both included, by name."""
    query = select(nodes.c.name, nodes.c.id).where(
        nodes.c.parent_id == parent_id, nodes.c.name >= first, nodes.c.name <= last
    )
    return {bytes(name): node_id for name, node_id in connection.execute(query)}


def put(
    connection: Connection, root_id: int, parent_id: int, entries: Sequence[Entry]
) -> dict[bytes, int]:
    """Make or update the nodes of one folder; their ids by name."""
    (ids,) = node_rows.put_all(connection, [Siblings(root_id, parent_id, entries)])
    return {entry.name: node_id for entry, node_id in zip(entries, ids, strict=True)}


def set_state(
    connection: Connection, parent_id: int, names: Sequence[bytes], state: NodeState
) -> None:
    """Write the state of nodes of one folder."""
    connection.execute(
        update(nodes)
        .where(nodes.c.parent_id == parent_id, nodes.c.name.in_(names))
        .values(state=state.value)
    )


def set_state_of(connection: Connection, node_ids: Sequence[int], state: NodeState) -> None:
    """Write the state of nodes."""
    if node_ids:
        connection.execute(update(nodes).where(nodes.c.id.in_(node_ids)).values(state=state.value))


def note_vanished(
    connection: Connection, parent_id: int, after: bytes, last: bytes, names: Sequence[bytes]
) -> None:
    """Of the live nodes behind `after` and up to `last` only these are still there."""
    present = set(names)
    bounds = [nodes.c.name > after, *([nodes.c.name <= last] if last else [])]
    query = select(nodes.c.id, nodes.c.name).where(
        nodes.c.parent_id == parent_id, nodes.c.state == NodeState.LIVE.value, *bounds
    )
    gone = [node_id for node_id, name in connection.execute(query) if bytes(name) not in present]
    if gone:
        connection.execute(
            update(nodes).where(nodes.c.id.in_(gone)).values(state=NodeState.VANISHED.value)
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where the catalogue has a file: the root, the folder's path in it, the name."""

    root_id: int
    folder: bytes
    name: bytes


def places_of(connection: Connection, node_ids: Sequence[int]) -> dict[int, Place]:
    """The places of nodes, by id; unknown ids are left out."""
    columns = (nodes.c.id, nodes.c.root_id, nodes.c.parent_id, nodes.c.name)
    query = select(*columns).where(nodes.c.id.in_(node_ids))
    folders: dict[int, bytes] = {}
    return {
        node_id: Place(root_id, _path_of(connection, parent_id, root_id, folders), bytes(name))
        for node_id, root_id, parent_id, name in connection.execute(query).all()
        if parent_id is not None
    }


def _path_of(connection: Connection, node_id: int, root_id: int, known: dict[int, bytes]) -> bytes:
    """The path of a folder inside its root."""
    if node_id == root_id:
        return b""
    if node_id not in known:
        query = select(nodes.c.parent_id, nodes.c.name).where(nodes.c.id == node_id)
        parent_id, name = connection.execute(query).one()
        above = _path_of(connection, parent_id, root_id, known)
        known[node_id] = join(above, bytes(name))
    return known[node_id]


@dataclass(frozen=True, slots=True)
class FolderNode:
    """A folder of the catalogue: its path in its root, and what is known of it."""

    id: int
    root_id: int
    path: bytes
    entry: Entry
    lost: bytes  # what a copy of it does not bear


def folders_above(connection: Connection, node_ids: Sequence[int]) -> dict[int, FolderNode]:
    """The nodes that are folders, and all folders above any of the nodes, by id; no roots."""
    rows: dict[int, Row[Any]] = {}
    wanted = set(node_ids)
    while wanted:
        found = connection.execute(select(nodes).where(nodes.c.id.in_(wanted))).all()
        rows |= {row.id: row for row in found if row.parent_id is not None}
        wanted = {row.parent_id for row in found if row.parent_id is not None} - rows.keys()
    folders: dict[int, FolderNode] = {}
    for row in rows.values():
        if row.kind == EntryKind.FOLDER.value:
            _add_folder(row, rows, folders)
    return folders


def _add_folder(row: Row[Any], rows: dict[int, Row[Any]], folders: dict[int, FolderNode]) -> bytes:
    """Add the folder and those above it; its path."""
    if row.id not in folders:
        above = rows.get(row.parent_id)
        parent = b"" if above is None else _add_folder(above, rows, folders)
        name = bytes(row.name)
        entry = Entry(
            name, EntryKind.FOLDER, 0, row.mode, row.uid, row.gid,
            row.mtime_ns, row.atime_ns, row.ctime_ns,
        )  # fmt: skip
        path = join(parent, name)
        folders[row.id] = FolderNode(row.id, row.root_id, path, entry, bytes(row.lost or b""))
    return folders[row.id].path
