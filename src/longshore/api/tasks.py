"""/tasks: the tasks themselves and the actions on them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row
from starlette.responses import Response

from longshore.api.entity_tags import check_match, entity_tag
from longshore.api.rendering import (
    date,
    empty_response,
    json_response,
    listed,
    row_renderer,
)
from longshore.api.routing import Call, Endpoint, Parameter, Routes, of_all_users
from longshore.database.tasks import COLUMNS
from longshore.domain.execution import JobStatus, TaskAction
from longshore.services import jobs, task_clones, tasks

routes = Routes()

FILTERS = (
    "id", "name", "comment", "workflow_type", "workflow_action", "source_type",
    "destination_type", "priority", "conflict_resolution", "action", "activate", "creation_date",
    "creation_username", "modification_date", "modification_username", "job_started",
    "job_finished", "status", "processed_size", "to_process_size", "source_pool_id",
    "source_pool_name", "source_tape_id", "source_tape_barcode", "destination_pool_id",
    "destination_pool_name", "destination_tape_id", "destination_tape_barcode",
)  # fmt: skip


SHOWN = (
    "id", "name", "comment", "workflow_type", "workflow_action", "source_type",
    "destination_type", "priority", "conflict_resolution", "action", "activate", "creation_date",
    "creation_username", "modification_date", "modification_username", "status", "progress",
    "job_started", "job_finished", "processed_size", "to_process_size", "delete",
    "local_server_path",
)  # fmt: skip

render = row_renderer(
    COLUMNS.keys(),
    SHOWN,
    creation_date=date,
    modification_date=date,
    job_started=date,
    job_finished=date,
)
"""The task as the api shows it."""


@routes.add(
    "GET",
    "/tasks",
    operation_id="index_tasks",
    tag="tasks",
    scope="tasks/index",
    summary="List tasks",
    responses={200: "task_collection"},
    paged=True,
    sortable=True,
    filters=FILTERS,
    parameters=(of_all_users("tasks"),),
)
def index_tasks(call: Call) -> Response:
    everybody = call.wants_everybody()
    found = tasks.index(call.context, call.principal, call.page(), everybody=everybody)
    return listed(found, "tasks", render)


@routes.add(
    "POST",
    "/tasks",
    operation_id="create_task",
    tag="tasks",
    scope="tasks/create",
    summary="Create a task",
    responses={201: "task", 422: "error"},
    body="task",
)
def create_task(call: Call) -> Response:
    task = tasks.create(call.context, call.principal, *call.read(tasks.TaskInput))
    return _tagged(task, status=201)


@routes.add(
    "GET",
    "/tasks/{task_id}",
    operation_id="show_task",
    tag="tasks",
    scope="tasks/show",
    summary="Show a task",
    responses={200: "task"},
)
def show_task(call: Call) -> Response:
    return _tagged(tasks.show(call.context, call.principal, call.path("task_id")))


@routes.add(
    "PUT",
    "/tasks/{task_id}",
    operation_id="update_task",
    tag="tasks",
    scope="tasks/update",
    summary="Change a task",
    responses={200: "task", 422: "error"},
    body="task",
)
def update_task(call: Call) -> Response:
    wanted = call.headers.get("if-match")
    task = tasks.update(
        call.context,
        call.principal,
        call.path("task_id"),
        *call.read(tasks.TaskInput),
        check_present=lambda present: check_match(wanted, render(present)),
    )
    return _tagged(task)


@routes.add(
    "DELETE",
    "/tasks/{task_id}",
    operation_id="destroy_task",
    tag="tasks",
    scope="tasks/destroy",
    summary="Remove a task",
    responses={204: None},
)
def destroy_task(call: Call) -> Response:
    tasks.destroy(call.context, call.principal, call.path("task_id"))
    return empty_response()


@routes.add(
    "POST",
    "/tasks/{task_id}/clone",
    operation_id="clone_task",
    tag="tasks",
    scope="tasks/create",
    summary="Copy a task with everything attached to it but its schedule",
    responses={201: "task"},
)
def clone_task(call: Call) -> Response:
    task = task_clones.clone(call.context, call.principal, call.path("task_id"))
    return _tagged(task, status=201)


def _tagged(task: Row[Any], *, status: int = 200) -> Response:
    shown = render(task)
    return json_response(shown, status=status, headers={"ETag": entity_tag(shown)})


def _request(action: TaskAction) -> Endpoint:
    def request_action(call: Call) -> Response:
        job_id = jobs.request_action(call.context, call.principal, call.path("task_id"), action)
        return json_response({"job_id": job_id, "status": JobStatus.QUEUED.value}, status=202)

    return request_action


def _result(action: TaskAction) -> Endpoint:
    def show_job(call: Call) -> Response:
        job_id = call.query.text("job_id") or ""
        job = jobs.show(call.context, call.principal, call.path("task_id"), action, job_id)
        over = JobStatus(job.status) in {JobStatus.COMPLETED, JobStatus.FAILED}
        return json_response(_render_job(job), status=200 if over else 202)

    return show_job


def _render_job(job: Row[Any]) -> dict[str, object]:
    """Queued and failed jobs show no progress; failed ones say why."""
    shown = {"job_id": job.id, "status": job.status}
    if job.status in {JobStatus.WORKING, JobStatus.COMPLETED} and job.total is not None:
        shown |= {"progress": job.progress, "total": job.total}
    if job.status == JobStatus.FAILED and job.reason:
        shown["reason"] = job.reason
    return shown


for _action in (TaskAction.RUN, TaskAction.PAUSE, TaskAction.STOP, TaskAction.RESUME):
    routes.add(
        "GET",
        f"/tasks/{{task_id}}/action/{_action.value}",
        operation_id=f"{_action.value}_task_result",
        tag="tasks",
        scope="tasks/action",
        summary=f"What became of a request to {_action.value} a task",
        responses={200: "active_job_status", 202: "active_job_status"},
        parameters=(
            Parameter(name="job_id", required=True, description="As the request was answered."),
        ),
    )(_result(_action))
    routes.add(
        "PUT",
        f"/tasks/{{task_id}}/action/{_action.value}",
        operation_id=f"{_action.value}_task",
        tag="tasks",
        scope="tasks/action",
        summary=f"Ask to {_action.value} a task",
        responses={202: "active_job_status"},
    )(_request(_action))
