"""/task_schedules and /tasks/{task_id}/task_schedule."""

from __future__ import annotations

from starlette.responses import Response

from longshore.api.rendering import collection, date, empty_response, json_response
from longshore.api.routing import Call, Parameter, Routes
from longshore.database.schedules import FILTERS, TaskSchedule
from longshore.services import schedules

routes = Routes()
TAG = "task_schedules"
ONE = "/tasks/{task_id}/task_schedule"


def rendered(row: TaskSchedule, *, with_next: bool = True) -> dict[str, object]:
    """The contract's task_schedule; without `next` and `missed_*` where they are not wanted."""
    shown: dict[str, object] = {
        "id": row.id,
        "task_id": row.task_id,
        "rrule": row.rrule,
        "done": bool(row.done),
        "skipped_count": row.skipped_count,
    }
    if not with_next:
        return shown
    return shown | {
        "next": date(row.next),
        "missed_count": row.missed_count,
        "missed_first": date(row.missed_first),
        "missed_last": date(row.missed_last),
    }


@routes.add(
    "GET",
    "/task_schedules",
    operation_id="index_task_schedules",
    tag=TAG,
    scope="task_schedules/index",
    responses={200: "task_schedule_collection", 422: "error"},
    summary="List the schedules of tasks",
    paged=True,
    sortable=True,
    filters=tuple(FILTERS),
    parameters=(
        Parameter(name="with_next", type="boolean", default=True),
        Parameter(
            name="all",
            type="boolean",
            description="Administrators: the schedules of all users' tasks, not only their own.",
        ),
    ),
)
def index(call: Call) -> Response:
    with_next = call.query.boolean("with_next", default=True)
    everybody = call.query.boolean("all", default=False)
    listed = schedules.index(call.context, call.principal, call.page(), everybody=everybody)
    shown = [rendered(row, with_next=with_next) for row in listed.rows]
    return collection(listed.count, "task_schedules", shown)


@routes.add(
    "GET",
    ONE,
    operation_id="show_task_schedule",
    tag=TAG,
    scope="task_schedules/show",
    responses={200: "task_schedule"},
    summary="Show the schedule of a task",
)
def show(call: Call) -> Response:
    return json_response(
        rendered(schedules.show(call.context, call.principal, call.path("task_id")))
    )


@routes.add(
    "POST",
    ONE,
    operation_id="create_task_schedule",
    tag=TAG,
    scope="task_schedules/create",
    responses={201: "task_schedule", 422: "error"},
    summary="Have a task run by itself",
    body="task_schedule",
)
def create(call: Call) -> Response:
    row = schedules.create(call.context, call.principal, call.path("task_id"), call.body)
    return json_response(rendered(row), status=201)


@routes.add(
    "PUT",
    ONE,
    operation_id="update_task_schedule",
    tag=TAG,
    scope="task_schedules/update",
    responses={200: "task_schedule", 422: "error"},
    summary="Change or suspend the schedule of a task",
    body="task_schedule",
)
def update(call: Call) -> Response:
    row = schedules.update(call.context, call.principal, call.path("task_id"), call.body)
    return json_response(rendered(row))


@routes.add(
    "DELETE",
    ONE,
    operation_id="destroy_task_schedule",
    tag=TAG,
    scope="task_schedules/destroy",
    responses={204: None},
    summary="Remove the schedule of a task",
)
def destroy(call: Call) -> Response:
    schedules.destroy(call.context, call.principal, call.path("task_id"))
    return empty_response()
