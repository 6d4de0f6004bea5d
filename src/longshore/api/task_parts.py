"""The five operations that every kind of part of a task has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sqlalchemy import Row
from starlette.responses import Response

from longshore.api.rendering import collection, empty_response, json_response
from longshore.api.routing import Call, Routes
from longshore.services import task_parts
from longshore.services.context import Context
from longshore.services.errors import Problems
from longshore.services.input import Input
from longshore.services.principal import Principal
from longshore.services.task_parts import Part

Renderer = Callable[[Context, Sequence[Row[Any]]], list[object]]
"""Rows as the api shows them."""


class Create(Protocol):
    def __call__(
        self, context: Context, principal: Principal, task: str, given: Any, problems: Problems, /
    ) -> Row[Any]: ...


class Update(Protocol):
    def __call__(
        self,
        context: Context,
        principal: Principal,
        task: str,
        identifier: str,
        given: Any,
        problems: Problems,
        /,
    ) -> Row[Any]: ...


def part_routes(
    plural: str,
    kind: Part,
    *,
    words: str,
    model: type[Input],
    create: Create,
    update: Update,
    render: Renderer,
    shown: str,
    body: str,
    filters: tuple[str, ...],
) -> Routes:
    """Index, create, show, update and destroy. `shown` and `body` are schemas."""
    routes = Routes()
    singular = kind.resource
    path = f"/tasks/{{task_id}}/{plural}"
    one = f"{path}/{{{singular}_id}}"

    @routes.add(
        "GET",
        path,
        operation_id=f"index_{plural}",
        tag=plural,
        scope=f"{plural}/index",
        summary=f"List the {words} of a task",
        responses={200: f"{singular}_collection"},
        paged=True,
        sortable=True,
        filters=filters,
    )
    def index(call: Call) -> Response:
        page = call.page()
        found = task_parts.index(call.context, call.principal, call.path("task_id"), kind, page)
        return collection(found.count, plural, render(call.context, list(found.rows)))

    @routes.add(
        "POST",
        path,
        operation_id=f"create_{singular}",
        tag=plural,
        scope=f"{plural}/create",
        summary=f"Add to the {words} of a task",
        responses={201: shown, 422: "error"},
        body=body,
    )
    def create_one(call: Call) -> Response:
        given, problems = call.read(model)
        row = create(call.context, call.principal, call.path("task_id"), given, problems)
        return json_response(render(call.context, [row])[0], status=201)

    @routes.add(
        "GET",
        one,
        operation_id=f"show_{singular}",
        tag=plural,
        scope=f"{plural}/show",
        summary=f"Show one of the {words} of a task",
        responses={200: shown},
    )
    def show_one(call: Call) -> Response:
        task, identifier = call.path("task_id"), call.path(f"{singular}_id")
        row = task_parts.show(call.context, call.principal, task, kind, identifier)
        return json_response(render(call.context, [row])[0])

    @routes.add(
        "PUT",
        one,
        operation_id=f"update_{singular}",
        tag=plural,
        scope=f"{plural}/update",
        summary=f"Change one of the {words} of a task",
        responses={200: shown, 422: "error"},
        body=body,
    )
    def update_one(call: Call) -> Response:
        given, problems = call.read(model)
        task, identifier = call.path("task_id"), call.path(f"{singular}_id")
        row = update(call.context, call.principal, task, identifier, given, problems)
        return json_response(render(call.context, [row])[0])

    @routes.add(
        "DELETE",
        one,
        operation_id=f"destroy_{singular}",
        tag=plural,
        scope=f"{plural}/destroy",
        summary=f"Remove one of the {words} of a task",
        responses={204: None},
    )
    def destroy_one(call: Call) -> Response:
        task, identifier = call.path("task_id"), call.path(f"{singular}_id")
        task_parts.destroy(call.context, call.principal, task, kind, identifier)
        return empty_response()

    return routes


def columns(*names: str) -> Renderer:
    """Shows these columns under their names."""

    def render(_: Context, rows: Sequence[Row[Any]]) -> list[object]:
        return [{name: getattr(row, name) for name in names} for row in rows]

    return render
