"""The ends of copies that were erased on secondary storage, and of files that end with them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, exists, select, update

from longshore.database import copy_rows
from longshore.database.copy_places import lie_at
from longshore.database.node_rows import NodeState
from longshore.database.tables.catalogue import copies, nodes
from longshore.domain.storage import StorageReference


def end_erased_at(
    connection: Connection, storage: StorageReference, paths: Sequence[bytes]
) -> None:
    """The copies at these paths end; nodes that nothing is left of become deleted.

    Something is left of a node as long as it is live in its tree, has a live copy anywhere, or is a
    folder with something in it that was not deleted.
    """
    query = select(copies.c.file_id).where(lie_at(storage, paths), copies.c.live)
    node_ids = set(connection.execute(query).scalars())
    copy_rows.end_copies_at(connection, storage, paths)
    if not node_ids:
        return
    inside = nodes.alias()
    in_it = exists().where(
        inside.c.parent_id == nodes.c.id, inside.c.state != NodeState.DELETED.value
    )
    connection.execute(
        update(nodes)
        .where(
            nodes.c.id.in_(node_ids),
            nodes.c.state != NodeState.LIVE.value,
            ~exists().where(copies.c.file_id == nodes.c.id, copies.c.live),
            ~in_it,
        )
        .values(state=NodeState.DELETED.value)
    )
