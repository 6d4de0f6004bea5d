"""The five operations that every kind of part of a task has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PartResource:
    """One kind of part as the api offers it. `words` is its plural in sentences; `shown` and
    `body` are schemas."""

    plural: str
    kind: Part
    words: str
    model: type[Input]
    create: Create
    update: Update
    render: Renderer
    shown: str
    body: str
    filters: tuple[str, ...]

    @property
    def _identifier(self) -> str:
        return f"{self.kind.resource}_id"

    def routes(self) -> Routes:
        """Index, create, show, update and destroy."""
        routes = Routes()
        path = f"/tasks/{{task_id}}/{self.plural}"
        self._add_to_all(routes, path)
        self._add_to_one(routes, f"{path}/{{{self._identifier}}}")
        return routes

    def _add_to_all(self, routes: Routes, path: str) -> None:
        routes.add(
            "GET",
            path,
            operation_id=f"index_{self.plural}",
            tag=self.plural,
            scope=f"{self.plural}/index",
            summary=f"List the {self.words} of a task",
            responses={200: f"{self.kind.resource}_collection"},
            paged=True,
            sortable=True,
            filters=self.filters,
        )(self._index)
        routes.add(
            "POST",
            path,
            operation_id=f"create_{self.kind.resource}",
            tag=self.plural,
            scope=f"{self.plural}/create",
            summary=f"Add to the {self.words} of a task",
            responses={201: self.shown, 422: "error"},
            body=self.body,
        )(self._create)

    def _add_to_one(self, routes: Routes, path: str) -> None:
        routes.add(
            "GET",
            path,
            operation_id=f"show_{self.kind.resource}",
            tag=self.plural,
            scope=f"{self.plural}/show",
            summary=f"Show one of the {self.words} of a task",
            responses={200: self.shown},
        )(self._show)
        routes.add(
            "PUT",
            path,
            operation_id=f"update_{self.kind.resource}",
            tag=self.plural,
            scope=f"{self.plural}/update",
            summary=f"Change one of the {self.words} of a task",
            responses={200: self.shown, 422: "error"},
            body=self.body,
        )(self._update)
        routes.add(
            "DELETE",
            path,
            operation_id=f"destroy_{self.kind.resource}",
            tag=self.plural,
            scope=f"{self.plural}/destroy",
            summary=f"Remove one of the {self.words} of a task",
            responses={204: None},
        )(self._destroy)

    def _index(self, call: Call) -> Response:
        page, task = call.page(), call.path("task_id")
        found = task_parts.index(call.context, call.principal, task, self.kind, page)
        return collection(found.count, self.plural, self.render(call.context, list(found.rows)))

    def _create(self, call: Call) -> Response:
        given, problems = call.read(self.model)
        row = self.create(call.context, call.principal, call.path("task_id"), given, problems)
        return self._shown(call, row, status=201)

    def _show(self, call: Call) -> Response:
        task, identifier = call.path("task_id"), call.path(self._identifier)
        row = task_parts.show(call.context, call.principal, task, self.kind, identifier)
        return self._shown(call, row)

    def _update(self, call: Call) -> Response:
        given, problems = call.read(self.model)
        task, identifier = call.path("task_id"), call.path(self._identifier)
        row = self.update(call.context, call.principal, task, identifier, given, problems)
        return self._shown(call, row)

    def _destroy(self, call: Call) -> Response:
        task, identifier = call.path("task_id"), call.path(self._identifier)
        task_parts.destroy(call.context, call.principal, task, self.kind, identifier)
        return empty_response()

    def _shown(self, call: Call, row: Row[Any], *, status: int = 200) -> Response:
        return json_response(self.render(call.context, [row])[0], status=status)


def columns(*names: str) -> Renderer:
    """Shows these columns under their names."""

    def render(_: Context, rows: Sequence[Row[Any]]) -> list[object]:
        return [{name: getattr(row, name) for name in names} for row in rows]

    return render
