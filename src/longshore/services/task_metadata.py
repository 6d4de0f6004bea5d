"""Metadata of a task: keys and values that its files carry along."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from longshore.database.tables.tasks import task_metadata
from longshore.services import task_parts
from longshore.services.context import Context
from longshore.services.errors import Kind, Problems
from longshore.services.input import Input, Words
from longshore.services.principal import Principal
from longshore.services.tasks import check_text

KEY_CHARACTERS_MAXIMUM = 255
VALUE_CHARACTERS_MAXIMUM = 65_535

PART = task_parts.part("task_metadatum", task_metadata, ("key", "value"))


class MetadatumInput(Input):
    """What a client may say about a key and its value."""

    key: Words | None = None
    value: Words | None = None


def create(
    context: Context, principal: Principal, task: str, given: MetadatumInput, problems: Problems
) -> Row[Any]:
    """The new metadatum. Raises NotFound, Invalid."""
    values = {"key": None, "value": None} | given.given()
    with task_parts.editing(context, principal, task) as (connection, row):
        _check(values, problems)
        if task_parts.others_with(connection, row, PART, besides=None, key=values["key"]):
            problems.add("key", Kind.TAKEN, value=values["key"])
        problems.raise_if_any()
        return task_parts.add(connection, row, PART, values)


def update(
    context: Context,
    principal: Principal,
    task: str,
    identifier: str,
    given: MetadatumInput,
    problems: Problems,
) -> Row[Any]:
    """The changed metadatum. Raises NotFound, Invalid."""
    values = given.given()
    with task_parts.editing(context, principal, task) as (connection, row):
        old = task_parts.find(connection, row, PART, identifier)
        _check(values, problems)
        key = values.get("key", old.key)
        if task_parts.others_with(connection, row, PART, besides=old.id, key=key):
            problems.add("key", Kind.TAKEN, value=key)
        problems.raise_if_any()
        return task_parts.change(connection, old, PART, values)


def _check(values: dict[str, Any], problems: Problems) -> None:
    if "key" in values:
        check_text("key", values["key"], KEY_CHARACTERS_MAXIMUM, problems)
        if "=" in (values["key"] or ""):
            problems.add("key", Kind.INVALID, value=values["key"])
    if "value" in values:
        if values["value"] is None and "value" not in problems:
            problems.add("value", Kind.BLANK)
        elif len(values["value"] or "") > VALUE_CHARACTERS_MAXIMUM:
            problems.add("value", Kind.TOO_LONG, count=VALUE_CHARACTERS_MAXIMUM)
