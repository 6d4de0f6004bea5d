"""What users and groups may do in a container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Connection, select

from longshore.database import containers as container_rows
from longshore.database import rows
from longshore.database.connection import reading, writing
from longshore.database.containers import Privilege
from longshore.database.query import Page
from longshore.database.rows import Listed
from longshore.database.tables.storages import container_privileges
from longshore.domain.storage import GuestRight
from longshore.services import containers
from longshore.services.attributes import check_given, check_text, parse_id, refusing_duplicates
from longshore.services.context import Context
from longshore.services.errors import Kind, NotFound, Problems
from longshore.services.input import Input, Words
from longshore.services.principal import Principal

CONTROLLER = "container_privileges"


class HolderType(StrEnum):
    USER = "user"
    GROUP = "group"


class PrivilegeInput(Input):
    name: Words | None = None
    type: Annotated[HolderType, Field(strict=False)] | None = None
    privilege: Annotated[GuestRight, Field(strict=False)] | None = None


def index(context: Context, container: str, page: Page) -> Listed[Privilege]:
    with reading(context.database.state) as connection:
        owner = containers.resolve(connection, container)
        return container_rows.index_privileges(connection, owner.id, page)


def show(context: Context, container: str, identifier: str) -> Privilege:
    with reading(context.database.state) as connection:
        return _resolve(connection, containers.resolve(connection, container).id, identifier)


def create(
    context: Context, principal: Principal, container: str, body: Mapping[str, Any]
) -> Privilege:
    principal.require_administrator(CONTROLLER, "create")
    problems = Problems()
    given = PrivilegeInput.read(body, problems).given()
    values: dict[str, Any] = {"name": None, "type": None, "privilege": None} | given
    with refusing_duplicates("name", values["name"]), writing(context.database.state) as connection:
        owner = containers.resolve(connection, container)
        values["container_id"] = owner.id
        _check(connection, problems, values, None)
        return Privilege(id=rows.add(connection, container_privileges, values), **values)


def update(
    context: Context,
    principal: Principal,
    container: str,
    identifier: str,
    body: Mapping[str, Any],
) -> Privilege:
    principal.require_administrator(CONTROLLER, "update")
    problems = Problems()
    given = PrivilegeInput.read(body, problems).given()
    with (
        refusing_duplicates("name", given.get("name")),
        writing(context.database.state) as connection,
    ):
        owner = containers.resolve(connection, container)
        current = _resolve(connection, owner.id, identifier)
        values = asdict(current) | given
        _check(connection, problems, values, current.id)
        rows.change(connection, container_privileges, current.id, given)
        return Privilege(**values)


def destroy(context: Context, principal: Principal, container: str, identifier: str) -> None:
    principal.require_administrator(CONTROLLER, "destroy")
    with writing(context.database.state) as connection:
        owner = containers.resolve(connection, container)
        current = _resolve(connection, owner.id, identifier)
        rows.remove(connection, container_privileges, current.id)


def _resolve(connection: Connection, container_id: int, identifier: str) -> Privilege:
    row_id = parse_id(identifier)
    found = None
    if row_id is not None:
        found = container_rows.fetch_privilege(connection, container_id, row_id)
    if found is None:
        raise NotFound("container_privilege")
    return found


def _check(
    connection: Connection, problems: Problems, values: Mapping[str, Any], own_id: int | None
) -> None:
    check_text(problems, "name", values["name"], required=True)
    check_given(problems, "type", values["type"])
    check_given(problems, "privilege", values["privilege"])
    if len(problems) == 0:
        columns = container_privileges.c
        same = select(columns.id).where(
            columns.container_id == values["container_id"],
            columns.name == values["name"],
            columns.type == values["type"],
        )
        if connection.execute(same).scalar() not in {None, own_id}:
            problems.add("name", Kind.TAKEN, value=values["name"])
    problems.raise_if_any()
