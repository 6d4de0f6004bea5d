"""/tasks/{task_id}/task_metadata, and the definitions that say which keys a task may need."""

from __future__ import annotations

from starlette.responses import Response

from longshore.api.rendering import collection
from longshore.api.routing import Call
from longshore.api.task_parts import PartResource, columns
from longshore.services import task_metadata
from longshore.services.errors import NotFound

routes = PartResource(
    plural="task_metadata",
    kind=task_metadata.PART,
    words="metadata",
    model=task_metadata.MetadatumInput,
    create=task_metadata.create,
    update=task_metadata.update,
    render=columns("id", "key", "value"),
    shown="task_metadatum",
    body="task_metadatum",
    filters=("id", "key", "value"),
).routes()


@routes.add(
    "GET",
    "/task_metadata_definitions",
    operation_id="index_task_metadata_definitions",
    tag="metadata",
    scope="task_metadata_definitions/index",
    summary="List the keys that tasks may carry",
    responses={200: "task_metadata_definition_collection"},
    paged=True,
)
def index_task_metadata_definitions(call: Call) -> Response:
    call.page()
    return collection(0, "task_metadata_definitions", [])


@routes.add(
    "GET",
    "/task_metadata_definitions/{metadata_definition_id}",
    operation_id="show_task_metadata_definition",
    tag="metadata",
    scope="task_metadata_definitions/show",
    summary="Show a key that tasks may carry",
    responses={200: "task_metadata_definition"},
)
def show_task_metadata_definition(call: Call) -> Response:
    raise NotFound("task_metadata_definition")
