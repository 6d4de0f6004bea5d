"""Reading single entries of the catalogue."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from longshore.database import bulk
from longshore.database.tables.catalogue import nodes

DEPTH_MAXIMUM = 40_000  # names that fit the longest path; a tree that is deeper is broken


def fetch(connection: Connection, node_id: int) -> Row[Any] | None:
    """The entry with the id."""
    return connection.execute(select(nodes).where(nodes.c.id == node_id)).one_or_none()


def fetch_many(connection: Connection, node_ids: Collection[int]) -> dict[int, Row[Any]]:
    """The entries with these ids, as far as there are any."""
    if not node_ids:
        return {}
    rows = connection.execute(select(nodes).where(nodes.c.id.in_(sorted(node_ids))))
    return {row.id: row for row in rows}


def positions(connection: Connection, node_ids: Sequence[int]) -> dict[int, tuple[int | None, int]]:
    """(parent, root) of the entries with these ids, as far as there are any."""
    if not node_ids:
        return {}
    rows = bulk.look_up(
        connection,
        nodes,
        ("id", "parent_id", "root_id"),
        {"id": ("id", node_ids)},
        "found.id = given.id",
    )
    return {node_id: (parent_id, root_id) for node_id, parent_id, root_id in rows}


def names_from_root(connection: Connection, node: Row[Any]) -> list[bytes]:
    """The names that lead from the root to the entry; none for the root itself."""
    names: list[bytes] = []
    while node.parent_id is not None and len(names) < DEPTH_MAXIMUM:
        names.append(node.name)
        node = connection.execute(select(nodes).where(nodes.c.id == node.parent_id)).one()
    return names[::-1]
