"""Finding a pool by what a path calls it."""

from __future__ import annotations

from sqlalchemy import Connection, select

from longshore.database import pools as pool_rows
from longshore.database.pools import Pool
from longshore.database.query import find_id
from longshore.database.tables.storages import pools
from longshore.services.errors import NotFound


def resolve(connection: Connection, identifier: str) -> Pool:
    """The pool with the id or name. Raises NotFound."""
    pool_id = find_id(
        connection, select(pools), identifier=identifier, identity=pools.c.id, names=[pools.c.name]
    )
    found = None if pool_id is None else pool_rows.fetch(connection, pool_id)
    if found is None:
        raise NotFound("pool")
    return found
