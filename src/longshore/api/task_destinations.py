"""/tasks/{task_id}/task_destinations"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from longshore.api.task_ends import shown
from longshore.api.task_parts import PartResource
from longshore.services import task_destinations
from longshore.services.context import Context


def render(context: Context, rows: Sequence[Row[Any]]) -> list[object]:
    """Destinations with what they stand for."""
    return [
        {
            "id": row.id,
            "folder": end.file,
            "container": end.container,
            "tape": None,
            "pool": end.pool,
        }
        for row, end in zip(rows, shown(context, rows), strict=True)
    ]


routes = PartResource(
    plural="task_destinations",
    kind=task_destinations.PART,
    words="destinations",
    model=task_destinations.DestinationInput,
    create=task_destinations.create,
    update=task_destinations.update,
    render=render,
    shown="task_destination_down",
    body="task_destination_up",
    filters=("id", "folder_id", "tape_id", "pool_id"),
).routes()
