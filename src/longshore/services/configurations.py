"""A user's own configurations: free keys and values that clients keep here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, select

from longshore.database import rows
from longshore.database import users as user_rows
from longshore.database.connection import reading, writing
from longshore.database.query import Page, count, find_id
from longshore.database.rows import Listed
from longshore.database.tables.users import user_configurations
from longshore.database.users import Configuration
from longshore.services.attributes import check_given, check_text, refusing_duplicates
from longshore.services.context import Context
from longshore.services.errors import BASE, Kind, NotFound, Problems
from longshore.services.input import Input, Words
from longshore.services.principal import Principal

VALUE_CHARACTERS_MAXIMUM = 65_535
CONFIGURATIONS_MAXIMUM = 1_000  # of one user


class ConfigurationInput(Input):
    key: Words | None = None
    value: Words | None = None


def index(context: Context, principal: Principal, page: Page) -> Listed[Configuration]:
    columns = user_configurations.c
    statement = select(user_configurations).where(columns.user_id == principal.user_id)
    with reading(context.database.state) as connection:
        return rows.listed(connection, statement, page, {}, identity=columns.id, kind=Configuration)


def show(context: Context, principal: Principal, identifier: str) -> Configuration:
    with reading(context.database.state) as connection:
        return _resolve(connection, principal, identifier)


def create(context: Context, principal: Principal, body: Mapping[str, Any]) -> Configuration:
    problems = Problems()
    given = ConfigurationInput.read(body, problems).given()
    values: dict[str, Any] = {"key": None, "value": None} | given
    values["user_id"] = principal.user_id
    with refusing_duplicates("key", values["key"]), writing(context.database.state) as connection:
        _check(connection, problems, values, None)
        _check_room(connection, principal)
        return Configuration(id=rows.add(connection, user_configurations, values), **values)


def update(
    context: Context, principal: Principal, identifier: str, body: Mapping[str, Any]
) -> Configuration:
    problems = Problems()
    given = ConfigurationInput.read(body, problems).given()
    with (
        refusing_duplicates("key", given.get("key")),
        writing(context.database.state) as connection,
    ):
        current = _resolve(connection, principal, identifier)
        values = asdict(current) | given
        _check(connection, problems, values, current)
        rows.change(connection, user_configurations, current.id, given)
        return Configuration(**values)


def destroy(context: Context, principal: Principal, identifier: str) -> None:
    with writing(context.database.state) as connection:
        found = _resolve(connection, principal, identifier)
        rows.remove(connection, user_configurations, found.id)


def _resolve(connection: Connection, principal: Principal, identifier: str) -> Configuration:
    columns = user_configurations.c
    row_id = find_id(
        connection,
        select(user_configurations).where(columns.user_id == principal.user_id),
        identifier=identifier,
        identity=columns.id,
        names=[columns.key],
    )
    found = None
    if row_id is not None:
        found = user_rows.fetch_configuration(connection, principal.user_id, row_id=row_id)
    if found is None:
        raise NotFound("user_configuration")
    return found


def _check(
    connection: Connection,
    problems: Problems,
    values: Mapping[str, Any],
    current: Configuration | None,
) -> None:
    check_text(problems, "key", values["key"], required=True)
    check_given(problems, "value", values["value"])
    check_text(problems, "value", values["value"], maximum=VALUE_CHARACTERS_MAXIMUM)
    if "key" not in problems:
        same = user_rows.fetch_configuration(connection, values["user_id"], key=values["key"])
        if same is not None and (current is None or same.id != current.id):
            problems.add("key", Kind.TAKEN, value=values["key"])
    problems.raise_if_any()


def _check_room(connection: Connection, principal: Principal) -> None:
    columns = user_configurations.c
    mine = select(user_configurations).where(columns.user_id == principal.user_id)
    held = count(connection, mine)
    problems = Problems()
    if held >= CONFIGURATIONS_MAXIMUM:
        problems.add(
            BASE,
            Kind.OCCURRENCE_LESS_THAN_OR_EQUAL_TO,
            count=CONFIGURATIONS_MAXIMUM,
            value=held,
        )
    problems.raise_if_any()
