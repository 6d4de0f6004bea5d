"""/tasks/{task_id}/task_callbacks"""

from __future__ import annotations

from longshore.api.task_parts import columns, part_routes
from longshore.services import task_callbacks

routes = part_routes(
    "task_callbacks",
    task_callbacks.PART,
    words="callbacks",
    model=task_callbacks.CallbackInput,
    create=task_callbacks.create,
    update=task_callbacks.update,
    render=columns("id", "type", "script"),
    shown="task_callback",
    body="task_callback",
    filters=("id", "type", "script"),
)
