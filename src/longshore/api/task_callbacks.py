"""/tasks/{task_id}/task_callbacks"""

from __future__ import annotations

from longshore.api.task_parts import PartResource, columns
from longshore.services import task_callbacks

routes = PartResource(
    plural="task_callbacks",
    kind=task_callbacks.PART,
    words="callbacks",
    model=task_callbacks.CallbackInput,
    create=task_callbacks.create,
    update=task_callbacks.update,
    render=columns("id", "type", "script"),
    shown="task_callback",
    body="task_callback",
    filters=("id", "type", "script"),
).routes()
