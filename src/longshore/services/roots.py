"""Trees of the catalogue and the storages that they belong to.

The tree lies in the journal part of the database, its storage in the state part, and no transaction
spans both. The order of the steps makes every crash between them harmless:

    create   the root first, then the storage that names it. A root that no storage names is never
             shown: listings start from the storages.
    rename   the storage first, then the root. A root is shown under its storage's name, so one
             that still bears the old name misleads nobody.
    destroy  the storage only. Its tree becomes unreachable, and the controller removes it later;
             records of executions still name the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, delete

from longshore.database import catalogue
from longshore.database import containers as container_rows
from longshore.database import pools as pool_rows
from longshore.database.connection import writing
from longshore.database.tables.catalogue import nodes
from longshore.domain.storage import PoolType
from longshore.services.context import Context
from longshore.services.errors import Kind, Problems


@contextmanager
def new_root(context: Context, name: str) -> Iterator[int]:
    """A new root's id; the root goes away again when the block raises."""
    with writing(context.database.journal) as connection:
        root_id = catalogue.create_root(connection, name)
    try:
        yield root_id
    except BaseException:
        with writing(context.database.journal) as connection:
            connection.execute(delete(nodes).where(nodes.c.id == root_id))
        raise


def rename(context: Context, root_id: int, name: str) -> None:
    """Give the root its storage's new name, once that is committed."""
    with writing(context.database.journal) as connection:
        catalogue.rename_root(connection, root_id, name)


def check_name_is_free(connection: Connection, problems: Problems, name: str | None) -> None:
    """Paths begin with the name of a container or of a primary pool: both share one space."""
    if name is None or "name" in problems:
        return
    pool = pool_rows.fetch_named(connection, name)
    is_root = pool is not None and pool.type == PoolType.PRIMARY
    if is_root or container_rows.fetch_named(connection, name) is not None:
        problems.add("name", Kind.TAKEN, value=name)
