"""/tasks/{task_id}/task_options"""

from __future__ import annotations

from longshore.api.task_parts import PartResource, columns
from longshore.services import task_options

routes = PartResource(
    plural="task_options",
    kind=task_options.PART,
    words="options",
    model=task_options.OptionInput,
    create=task_options.create,
    update=task_options.update,
    render=columns("id", "type", "value"),
    shown="task_option",
    body="task_option",
    filters=("id", "type", "value"),
).routes()
