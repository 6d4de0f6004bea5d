"""/tasks/{task_id}/explain: why a task waits or did not start. An extension of the contract."""

from __future__ import annotations

from starlette.responses import Response

from longshore.api.rendering import json_response
from longshore.api.routing import Call, Routes
from longshore.services import explanations

routes = Routes()


@routes.add(
    "GET",
    "/tasks/{task_id}/explain",
    operation_id="explain_task",
    tag="tasks",
    scope="tasks/show",
    summary="Say why a task waits, goes slowly or did not start",
    responses={200: "explanation"},
)
def explain(call: Call) -> Response:
    found = explanations.explain(call.context, call.principal, call.path("task_id"))
    reasons = [
        {"code": reason.code.value, "text": reason.text, **reason.data} for reason in found.reasons
    ]
    return json_response({"status": found.status, "summary": found.summary, "reasons": reasons})
