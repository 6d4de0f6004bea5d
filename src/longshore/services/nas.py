"""NAS servers: who may see and change them, and what a valid one is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Connection, select

from longshore.database import nas as nas_rows
from longshore.database import rows
from longshore.database.connection import reading, writing
from longshore.database.nas import Nas
from longshore.database.query import Page, find_id
from longshore.database.rows import Listed
from longshore.database.tables.storages import nas
from longshore.domain.storage import NasType
from longshore.services.attributes import (
    check_comment,
    check_given,
    check_price,
    check_text,
    refusing_duplicates,
    refusing_use,
)
from longshore.services.context import Context
from longshore.services.errors import BASE, Kind, NotFound, Problems
from longshore.services.input import Input, Words
from longshore.services.principal import Principal

CONTROLLER = "nas"


class NasInput(Input):
    name: Words | None = None
    host: Words | None = None
    type: Annotated[NasType, Field(strict=False)] | None = None
    comment: Words | None = None
    price: Words | None = None


def index(context: Context, page: Page) -> Listed[Nas]:
    with reading(context.database.state) as connection:
        return nas_rows.index(connection, page)


def show(context: Context, identifier: str) -> Nas:
    with reading(context.database.state) as connection:
        return resolve(connection, identifier)


def create(context: Context, principal: Principal, body: Mapping[str, Any]) -> Nas:
    principal.require_administrator(CONTROLLER, "create")
    problems = Problems()
    given = NasInput.read(body, problems).given()
    values: dict[str, Any] = dict.fromkeys(NasInput.model_fields) | given
    with refusing_duplicates("name", values["name"]), writing(context.database.state) as connection:
        _check(connection, problems, values, None)
        nas_id = rows.add(connection, nas, values)
        return Nas(id=nas_id, **values)


def update(context: Context, principal: Principal, identifier: str, body: Mapping[str, Any]) -> Nas:
    principal.require_administrator(CONTROLLER, "update")
    problems = Problems()
    given = NasInput.read(body, problems).given()
    with (
        refusing_duplicates("name", given.get("name")),
        writing(context.database.state) as connection,
    ):
        current = resolve(connection, identifier)
        values = asdict(current) | given
        _check(connection, problems, values, current)
        rows.change(connection, nas, current.id, given)
        return Nas(**values)


def destroy(context: Context, principal: Principal, identifier: str) -> None:
    principal.require_administrator(CONTROLLER, "destroy")
    with refusing_use("the NAS still has shares"), writing(context.database.state) as connection:
        current = resolve(connection, identifier)
        problems = Problems()
        if nas_rows.has_shares(connection, current.id):
            problems.add(BASE, Kind.FROZEN, note="the NAS still has shares")
        problems.raise_if_any()
        rows.remove(connection, nas, current.id)


def resolve(connection: Connection, identifier: str) -> Nas:
    """The NAS that a path's id or name means. Raises NotFound."""
    nas_id = find_id(
        connection, select(nas), identifier=identifier, identity=nas.c.id, names=[nas.c.name]
    )
    found = None if nas_id is None else nas_rows.fetch(connection, nas_id)
    if found is None:
        raise NotFound("nas")
    return found


def _check(
    connection: Connection, problems: Problems, values: Mapping[str, Any], current: Nas | None
) -> None:
    check_text(problems, "name", values["name"], required=True)
    check_text(problems, "host", values["host"], required=True)
    check_given(problems, "type", values["type"])
    check_comment(problems, values["comment"])
    check_price(problems, values["price"])
    if "name" not in problems:
        same = nas_rows.fetch_named(connection, values["name"])
        if same is not None and (current is None or same.id != current.id):
            problems.add("name", Kind.TAKEN, value=values["name"])
    problems.raise_if_any()
