"""Limits of tasks and storages, changed while tasks run. Extensions of the contract."""

from __future__ import annotations

from starlette.responses import Response

from longshore.api.rendering import json_response
from longshore.api.routing import Call, Routes
from longshore.database.limits import StorageLimits
from longshore.domain.storage import StorageKind
from longshore.services import limits

routes = Routes()


@routes.add(
    "GET",
    "/tasks/{task_id}/limits",
    operation_id="show_task_limits",
    tag="tasks",
    scope="tasks/show",
    summary="Show the limits of a task",
    responses={200: "task_limits"},
)
def show_task_limits(call: Call) -> Response:
    bandwidth = limits.of_task(call.context, call.principal, call.path("task_id"))
    return json_response({"bandwidth": bandwidth})


@routes.add(
    "PUT",
    "/tasks/{task_id}/limits",
    operation_id="update_task_limits",
    tag="tasks",
    scope="tasks/update",
    summary="Change the limits of a task, while it runs too",
    responses={200: "task_limits", 422: "error"},
    body="task_limits",
)
def update_task_limits(call: Call) -> Response:
    bandwidth = limits.limit_task(call.context, call.principal, call.path("task_id"), call.body)
    return json_response({"bandwidth": bandwidth})


def _rendered(found: StorageLimits) -> Response:
    return json_response({"bandwidth": found.bandwidth, "slots": found.slots})


def _declare(plural: str, singular: str, what: str, kind: StorageKind) -> None:
    """The two operations of one kind of storage."""
    path, name = f"/{plural}/{{{singular}_id}}/limits", f"{singular}_id"

    @routes.add(
        "GET",
        path,
        operation_id=f"show_{singular}_limits",
        tag=plural,
        scope=f"{plural}/show",
        summary=f"Show the limits of a {what}",
        responses={200: "storage_limits"},
        administrators_only=True,
    )
    def show(call: Call) -> Response:
        return _rendered(limits.of_storage(call.context, call.principal, kind, call.path(name)))

    @routes.add(
        "PUT",
        path,
        operation_id=f"update_{singular}_limits",
        tag=plural,
        scope=f"{plural}/update",
        summary=f"Change the limits of a {what}, for all tasks at once",
        responses={200: "storage_limits", 422: "error"},
        body="storage_limits",
        administrators_only=True,
    )
    def update(call: Call) -> Response:
        found = limits.limit_storage(call.context, call.principal, kind, call.path(name), call.body)
        return _rendered(found)


_declare("nas_shares", "nas_share", "NAS share", StorageKind.NAS_SHARE)
_declare("cloud_buckets", "cloud_bucket", "bucket", StorageKind.CLOUD_BUCKET)
_declare("containers", "container", "container", StorageKind.CONTAINER)
