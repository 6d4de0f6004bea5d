"""Sources and destinations as the api shows them: with what they stand for inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from longshore.api.containers import rendered as render_container
from longshore.api.nodes import render_node
from longshore.api.pools import rendered as render_pool
from longshore.database.containers import Container
from longshore.database.pools import Pool
from longshore.domain import paths
from longshore.services.context import Context
from longshore.services.task_end_details import details


@dataclass(frozen=True, slots=True)
class Shown:
    """The parts of a source or destination that both have."""

    file: object
    container: object
    pool: object


def shown(context: Context, rows: Sequence[Row[Any]]) -> list[Shown]:
    """Each row with its file, container and pool."""
    found = details(context, rows)
    return [
        Shown(
            file=_file(row, found.nodes.get(row.file_id), found.pools, found.containers),
            container=_container(row, found.containers),
            pool=_pool(row, found.pools),
        )
        for row in rows
    ]


def _file(
    row: Row[Any],
    node: Row[Any] | None,
    pools: dict[int, Pool],
    containers: dict[int, Container],
) -> object:
    """The catalogue's entry; for a path that the catalogue does not have, name and path."""
    if node is not None:
        return render_node(node)
    if not row.path:
        return None
    owner = pools.get(row.pool_id) or containers.get(row.container_id)
    path = paths.to_text(row.path)
    return {
        "name": paths.to_text(paths.split(row.path)[1]),
        "file_path": f"/{path}" if row.given_pool or owner is None else f"/{owner.name}/{path}",
    }


def _container(row: Row[Any], containers: dict[int, Container]) -> object:
    container = containers.get(row.container_id)
    return render_container(container) if container and not row.path else None


def _pool(row: Row[Any], pools: dict[int, Pool]) -> object:
    pool = pools.get(row.pool_id)
    return render_pool(pool) if pool and row.given_pool else None
