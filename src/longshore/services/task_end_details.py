"""What the rows of sources and destinations refer to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from longshore.database import containers as container_rows
from longshore.database import nodes as node_rows
from longshore.database import pools as pool_rows
from longshore.database.connection import reading
from longshore.database.containers import Container
from longshore.database.pools import Pool
from longshore.services.context import Context


@dataclass(frozen=True, slots=True)
class Details:
    """Pools, containers and catalogue entries by their ids."""

    pools: dict[int, Pool]
    containers: dict[int, Container]
    nodes: dict[int, Row[Any]]


def details(context: Context, rows: Sequence[Row[Any]]) -> Details:
    """Everything that the rows refer to and that is still there."""
    with reading(context.database.state) as connection:
        pools = [pool_rows.fetch(connection, pool_id) for pool_id in _ids(rows, "pool_id")]
        containers = [
            container_rows.fetch(connection, container_id)
            for container_id in _ids(rows, "container_id")
        ]
    with reading(context.database.journal) as connection:
        nodes = node_rows.fetch_many(connection, _ids(rows, "file_id"))
    return Details(
        {pool.id: pool for pool in pools if pool},
        {container.id: container for container in containers if container},
        nodes,
    )


def _ids(rows: Sequence[Row[Any]], column: str) -> set[int]:
    return {getattr(row, column) for row in rows} - {None}
