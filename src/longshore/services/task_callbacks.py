"""Callbacks of a task: scripts that decide which files are processed."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Row

from longshore.callbacks import SandboxUnavailable
from longshore.database.tables.tasks import task_callbacks
from longshore.domain.task import CallbackType
from longshore.services import task_parts
from longshore.services.context import Context, ScriptFault
from longshore.services.errors import Kind, Problems
from longshore.services.input import Input, Words
from longshore.services.principal import Principal

SCRIPT_BYTES_MAXIMUM = 64 * 1024

PART = task_parts.part("task_callback", task_callbacks, ("type", "script"))


class CallbackInput(Input):
    """What a client may say about a callback."""

    type: Annotated[CallbackType, Field(strict=False)] | None = None
    script: Words | None = None


def create(
    context: Context, principal: Principal, task: str, given: CallbackInput, problems: Problems
) -> Row[Any]:
    """The new callback, whose script has been tried in the sandbox. Raises NotFound, Invalid."""
    task_parts.require_editable(context, principal, task)
    values = {"type": None, "script": None} | given.given()
    _check(context, values, problems)
    problems.raise_if_any()
    with task_parts.editing(context, principal, task) as (connection, row):
        return task_parts.add(connection, row, PART, values)


def update(
    context: Context,
    principal: Principal,
    task: str,
    identifier: str,
    given: CallbackInput,
    problems: Problems,
) -> Row[Any]:
    """The changed callback. Raises NotFound, Invalid."""
    task_parts.require_editable(context, principal, task)
    task_parts.show(context, principal, task, PART, identifier)
    values = given.given()
    _check(context, values, problems)
    problems.raise_if_any()
    with task_parts.editing(context, principal, task) as (connection, row):
        old = task_parts.find(connection, row, PART, identifier)
        return task_parts.change(connection, old, PART, values)


def _check(context: Context, values: dict[str, Any], problems: Problems) -> None:
    if "type" in values and values["type"] is None and "type" not in problems:
        problems.add("type", Kind.BLANK)
    if "script" in values and "script" not in problems:
        check_script(context, values["script"], problems)


def check_script(context: Context, script: str | None, problems: Problems) -> None:
    """Add what is wrong with the script, having tried it in the sandbox."""
    if script is None or not script.strip():
        problems.add("script", Kind.BLANK)
    elif len(script.encode()) > SCRIPT_BYTES_MAXIMUM:
        problems.add("script", Kind.TOO_LONG, count=SCRIPT_BYTES_MAXIMUM)
    else:
        fault = _fault(context, script)
        if fault is not None:
            problems.add("script", Kind.INVALID, value=script, note=fault)


def _fault(context: Context, script: str) -> str | None:
    try:
        found = context.validate_script(script)
    except SandboxUnavailable as error:
        return f"callbacks cannot run on this server: {error}"
    return None if found is None else _in_words(found)


def _in_words(fault: ScriptFault) -> str:
    place = [
        f"{name} {number}"
        for name, number in (("line", fault.line), ("column", fault.column))
        if number
    ]
    return f"{fault.message} ({', '.join(place)})" if place else fault.message
