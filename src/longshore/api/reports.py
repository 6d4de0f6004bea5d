"""The manifests of executions: /task_executions/{id}/report, and the same below a task."""

from __future__ import annotations

from starlette.responses import Response, StreamingResponse

from longshore.api.routing import Call, Parameter, Routes
from longshore.services import reports
from longshore.services.errors import Kind, Problems
from longshore.services.reports import Form

routes = Routes()

MEDIA_TYPES = {
    Form.JSONL: "application/jsonl",
    Form.CSV: "text/csv; charset=utf-8",
    Form.PARQUET: "application/vnd.apache.parquet",
}


def report(call: Call) -> Response:
    form = _form(call)
    full = None
    if call.query.text("full_report"):
        full = call.query.boolean("full_report", default=True)
    found = reports.report(
        call.context,
        call.principal,
        call.path("task_execution_id"),
        call.path("task_id") if "task_id" in call.operation.path_names else None,
        form=form,
        full=full,
    )
    headers = {"Content-Disposition": f'attachment; filename="{found.name}"'}
    if found.etag is None:
        headers["Cache-Control"] = "no-store"
    else:
        headers |= {"ETag": f'"{found.etag}"', "Cache-Control": "private, no-cache"}
        if _knows(call.headers.get("if-none-match", ""), found.etag):
            return Response(status_code=304, headers=headers)
    return StreamingResponse(found.pieces, headers=headers, media_type=MEDIA_TYPES[form])


def _form(call: Call) -> Form:
    """How the manifest is to be written. Raises Invalid."""
    given = call.query.text("format") or Form.JSONL.value
    if given not in list(Form):
        problems = Problems()
        problems.add("format", Kind.INVALID, value=given)
        problems.raise_if_any()
    return Form(given)


def _knows(if_none_match: str, etag: str) -> bool:
    """Whether the client has this manifest already."""
    given = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return "*" in given or f'"{etag}"' in given


for _path, _by, _words in (
    ("/task_executions/{task_execution_id}", "task_execution", "an execution"),
    (
        "/tasks/{task_id}/task_executions/{task_execution_id}",
        "task_execution_by_task",
        "an execution of a task",
    ),
):
    routes.add(
        "GET",
        f"{_path}/report",
        operation_id=f"report_of_{_by}",
        tag="task_executions",
        scope="files/index",
        summary=f"The manifest of {_words}: what became of every file, sealed by a chain of hashes",
        responses={200: None, 304: None},
        parameters=(
            Parameter(
                name="format",
                default=Form.JSONL.value,
                enum=tuple(form.value for form in Form),
                description="How it is written; docs/manifest.md defines each.",
            ),
            Parameter(
                name="full_report",
                type="boolean",
                description="true: every file; false: only those that failed. "
                "Default: the task's option full_report, else every file.",
            ),
        ),
    )(report)
