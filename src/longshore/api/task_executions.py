"""/task_executions and /tasks/{task_id}/task_executions"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Row
from starlette.responses import Response

from longshore.api.rendering import date, json_response, listed, row_renderer
from longshore.api.routing import Call, Parameter, Routes, of_all_users
from longshore.database.executions import SHOWN_COLUMNS
from longshore.services import executions

routes = Routes()

# The released SDK leaves the path of this one listing as its template says and sends the task as
# a query parameter, because its document declares no parameter of the path.
_UNFILLED = "{task_id}"

_FILTERS_BY_TASK = (
    "task_id", "id", "name", "workflow_type", "workflow_action", "source_type",
    "destination_type", "status", "log_time", "job_started", "job_finished", "to_process_size",
    "processed_size", "to_process_files", "processed_files", "finalized_files", "estimation_time",
    "bandwidth",
)  # fmt: skip
_FILTERS = (*_FILTERS_BY_TASK, "creation_date", "modification_date")


_SHOWN = (
    "id", "task_id", "name", "workflow_type", "workflow_action", "source_type",
    "destination_type", "status", "reason", "log_time", "job_started", "job_finished",
    "to_process_size", "processed_size", "to_process_files", "processed_files",
    "finalized_files", "failed_files", "estimation_time", "bandwidth",
)  # fmt: skip

render = row_renderer(
    [column.name for column in SHOWN_COLUMNS],
    _SHOWN,
    id=str,
    log_time=date,
    job_started=date,
    job_finished=date,
)
"""The execution as the api shows it; its id is text, because it outgrows a double."""


@routes.add(
    "GET",
    "/task_executions",
    operation_id="index_task_executions",
    tag="task_executions",
    scope="task_executions/index",
    summary="List executions",
    responses={200: "task_execution_collection"},
    paged=True,
    sortable=True,
    filters=_FILTERS,
    parameters=(
        Parameter(
            name="complete_list",
            type="boolean",
            default=True,
            description="false: of each task only the last execution that did its work.",
        ),
        of_all_users("executions"),
    ),
)
def index_task_executions(call: Call) -> Response:
    found = executions.index(
        call.context,
        call.principal,
        call.page(),
        complete=call.query.boolean("complete_list", default=True),
        everybody=call.wants_everybody(),
    )
    return listed(found, "task_executions", render)


@routes.add(
    "GET",
    "/tasks/{task_id}/task_executions",
    operation_id="index_task_executions_by_task",
    tag="task_executions",
    scope="task_executions/index",
    summary="List the executions of a task",
    responses={200: "task_execution_collection"},
    paged=True,
    sortable=True,
    filters=_FILTERS_BY_TASK,
)
def index_task_executions_by_task(call: Call) -> Response:
    page, task = call.page(), call.path("task_id")
    given = call.query.text("task_id")
    if task == _UNFILLED and given is not None:
        others = tuple(pair for pair in page.filters if pair[0] != "task_id")
        page, task = replace(page, filters=others), given
    found = executions.index(
        call.context,
        call.principal,
        page,
        complete=call.query.boolean("complete_list", default=True),
        task_identifier=task,
    )
    return listed(found, "task_executions", render)


@routes.add(
    "GET",
    "/task_executions/{task_execution_id}",
    operation_id="show_task_execution",
    tag="task_executions",
    scope="task_executions/show",
    summary="Show an execution",
    responses={200: "task_execution", 404: "error"},
)
def show_task_execution(call: Call) -> Response:
    identifier = call.path("task_execution_id")
    return json_response(render(executions.show(call.context, call.principal, identifier)))


@routes.add(
    "GET",
    "/tasks/{task_id}/task_executions/{task_execution_id}",
    operation_id="show_task_execution_by_task",
    tag="task_executions",
    scope="task_executions/show",
    summary="Show an execution of a task",
    responses={200: "task_execution", 404: "error"},
)
def show_task_execution_by_task(call: Call) -> Response:
    identifier, task = call.path("task_execution_id"), call.path("task_id")
    return json_response(render(executions.show(call.context, call.principal, identifier, task)))


@routes.add(
    "GET",
    "/task_executions/{task_execution_id}/log",
    operation_id="index_log_by_task_execution",
    tag="task_executions",
    scope="task_executions/show",
    summary="Read the log of an execution",
    responses={200: "execution_log_collection"},
    paged=True,
    sortable=True,
    filters=("id", "date", "level", "text"),
)
def index_log_by_task_execution(call: Call) -> Response:
    identifier = call.path("task_execution_id")
    found = executions.log(call.context, call.principal, identifier, call.page())
    return listed(found, "log", _render_line)


def _render_line(line: Row[Any]) -> dict[str, object]:
    return {"id": line.id, "date": date(line.date), "level": line.level, "text": line.text}
