"""Ids of catalogue nodes, reserved in ranges so that many rows are inserted in one statement."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, insert, update

from longshore.database.tables.engine import identifiers

FIRST_ID = 1


def reserve(connection: Connection, name: str, count: int) -> int:
    """The first of `count` ids that nobody else gets. Needs a writing transaction."""
    taken = connection.execute(_TAKE, {"of_name": name, "taken": count}).scalar()
    if taken is not None:
        return int(taken) - count
    connection.execute(insert(identifiers).values(name=name, next_id=FIRST_ID + count))
    return FIRST_ID


_TAKE = (
    update(identifiers)
    .where(identifiers.c.name == bindparam("of_name"))
    .values(next_id=identifiers.c.next_id + bindparam("taken"))
    .returning(identifiers.c.next_id)
)
"""Built once: building it anew took longer than carrying it out, several times for each batch."""
