"""/tasks/{task_id}/task_sources"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from longshore.api.task_ends import shown
from longshore.api.task_parts import PartResource
from longshore.services import task_sources
from longshore.services.context import Context


def render(context: Context, rows: Sequence[Row[Any]]) -> list[object]:
    """Sources with what they stand for."""
    return [
        {
            "id": row.id,
            "file": end.file,
            "range": None if row.range_first is None else [row.range_first, row.range_last],
            "container": end.container,
            "import_file": None,
            "tape": None,
            "pool": end.pool,
        }
        for row, end in zip(rows, shown(context, rows), strict=True)
    ]


routes = PartResource(
    plural="task_sources",
    kind=task_sources.PART,
    words="sources",
    model=task_sources.SourceInput,
    create=task_sources.create,
    update=task_sources.update,
    render=render,
    shown="task_source_down",
    body="task_source_up",
    filters=("id", "file_id", "import_file_id", "tape_id", "pool_id"),
).routes()
