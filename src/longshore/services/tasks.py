"""Tasks: create, list, show, change, remove."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Connection, Row

from longshore.database import tasks
from longshore.database.connection import reading, writing
from longshore.database.query import Page
from longshore.database.task_pages import TaskPage, number_of
from longshore.domain.execution import RUNNING, TaskStatus
from longshore.domain.task import (
    COMMENT_CHARACTERS_MAXIMUM,
    NAME_CHARACTERS_MAXIMUM,
    PRIORITY_DEFAULT,
    PRIORITY_MAXIMUM,
    PRIORITY_MINIMUM,
    ConflictResolution,
    StorageType,
    WorkflowAction,
    WorkflowType,
    refused_fields,
)
from longshore.services.context import Context
from longshore.services.errors import BASE, Invalid, Kind, NotFound, Problem, Problems
from longshore.services.input import Input, Switch, Whole, Words
from longshore.services.listing import Listing, found
from longshore.services.principal import Principal

LOCAL_PATH_CHARACTERS_MAXIMUM = 4_096  # PATH_MAX of Linux

_CLEARED = {"priority": PRIORITY_DEFAULT, "activate": 1, "delete": 0}
"""What a column holds that may not be null when a client clears it."""

_ALWAYS_EDITABLE = frozenset({"name", "comment", "priority", "activate"})


class TaskInput(Input):
    """What a client may say about a task."""

    name: Words | None = None
    comment: Words | None = None
    workflow_type: Annotated[WorkflowType, Field(strict=False)] | None = None
    workflow_action: Annotated[WorkflowAction, Field(strict=False)] | None = None
    source_type: Annotated[StorageType, Field(strict=False)] | None = None
    destination_type: Annotated[StorageType, Field(strict=False)] | None = None
    priority: Whole | None = None
    conflict_resolution: Annotated[ConflictResolution, Field(strict=False)] | None = None
    activate: Switch | None = None
    delete: Switch | None = None
    local_server_path: Words | None = None


def index(context: Context, principal: Principal, page: Page, *, everybody: bool) -> Listing:
    """The user's own tasks; with `everybody` an administrator gets those of all users."""
    owner_id = None if everybody and principal.administrator else principal.user_id

    def total(connection: Connection) -> int:
        return context.task_totals.of(
            owner_id, context.monotonic(), lambda: number_of(connection, owner_id)
        )

    return found(context.database.state, page, TaskPage(owner_id, page, total))


def show(context: Context, principal: Principal, identifier: str) -> Row[Any]:
    """The task. Raises NotFound."""
    with reading(context.database.state) as connection:
        return require(connection, principal, identifier)


def require(connection: Connection, principal: Principal, identifier: str) -> Row[Any]:
    """The task, if the user may see it: its owner and administrators may. Raises NotFound."""
    owner_id = None if principal.administrator else principal.user_id
    task = tasks.find(connection, identifier, owner_id)
    if task is None:
        raise NotFound("task")
    return task


def create(
    context: Context, principal: Principal, given: TaskInput, problems: Problems
) -> Row[Any]:
    """The new task, which belongs to the user. Raises Invalid."""
    if given.name is None and "name" not in problems:
        problems.add("name", Kind.BLANK)
    _check(given.given(), problems)
    problems.raise_if_any()
    now = context.now()
    values = {
        **_CLEARED,
        **_columns(given),
        "owner_id": principal.user_id,
        "status": TaskStatus.NOT_ACTIVATED.value,
        "creation_date": now,
        "creation_username": principal.name,
        "modification_date": now,
        "modification_username": principal.name,
    }
    with writing(context.database.state) as connection:
        task = tasks.fetch(connection, tasks.create(connection, values))
    assert task is not None
    return task


def update(
    context: Context,
    principal: Principal,
    identifier: str,
    given: TaskInput,
    problems: Problems,
    *,
    check_present: Callable[[Row[Any]], None] = lambda _: None,
) -> Row[Any]:
    """The changed task. Raises NotFound, Invalid, and what `check_present` raises.

    `check_present` sees the task as it is before the change, with nobody in between.
    """
    with writing(context.database.state) as connection:
        task = require(connection, principal, identifier)
        check_present(task)
        columns = _columns(given)
        _check_frozen(task, columns, problems)
        _check({**_workflow(task), **given.given()}, problems)
        problems.raise_if_any()
        if columns:
            tasks.change(connection, task.id, columns | modified(context, principal))
        changed = tasks.fetch(connection, task.id)
    assert changed is not None
    return changed


def destroy(context: Context, principal: Principal, identifier: str) -> None:
    """Remove the task; its executions stay. Raises NotFound, Invalid while it runs."""
    with writing(context.database.state) as connection:
        task = require(connection, principal, identifier)
        require_idle(task)
        tasks.remove(connection, task.id)


def require_idle(task: Row[Any]) -> None:
    """Return if no execution of the task is under way. Raises Invalid."""
    if TaskStatus(task.status) in RUNNING:
        raise Invalid(Problem(BASE, Kind.FROZEN, note="the task is running"))


def modified(context: Context, principal: Principal) -> dict[str, Any]:
    """The columns that say who changed a task last, and when."""
    return {"modification_date": context.now(), "modification_username": principal.name}


def _columns(given: TaskInput) -> dict[str, Any]:
    values = given.given()
    return {name: _CLEARED.get(name) if value is None else value for name, value in values.items()}


def _workflow(task: Row[Any]) -> dict[str, Any]:
    """The stored fields that are checked together with new ones."""
    return {
        "workflow_type": task.workflow_type and WorkflowType(task.workflow_type),
        "workflow_action": task.workflow_action and WorkflowAction(task.workflow_action),
        "source_type": task.source_type and StorageType(task.source_type),
        "destination_type": task.destination_type and StorageType(task.destination_type),
    }


def _check_frozen(task: Row[Any], columns: Mapping[str, Any], problems: Problems) -> None:
    """While a task runs, only what its execution does not depend on may become another."""
    if TaskStatus(task.status) not in RUNNING:
        return
    for name, value in columns.items():
        if name not in _ALWAYS_EDITABLE and value != getattr(task, name):
            problems.add(name, Kind.FROZEN)


def _check(values: Mapping[str, Any], problems: Problems) -> None:
    _check_texts(values, problems)
    priority = values.get("priority")
    if priority is not None:
        check_bounds("priority", priority, PRIORITY_MINIMUM, PRIORITY_MAXIMUM, problems)
    refused = refused_fields(
        values.get("workflow_type"),
        values.get("workflow_action"),
        values.get("source_type"),
        values.get("destination_type"),
    )
    for name in refused:
        if name not in problems:
            problems.add(name, Kind.INVALID, value=str(values[name]))


def _check_texts(values: Mapping[str, Any], problems: Problems) -> None:
    if "name" in values:
        check_text("name", values["name"], NAME_CHARACTERS_MAXIMUM, problems)
    for name, maximum in (
        ("comment", COMMENT_CHARACTERS_MAXIMUM),
        ("local_server_path", LOCAL_PATH_CHARACTERS_MAXIMUM),
    ):
        if len(values.get(name) or "") > maximum:
            problems.add(name, Kind.TOO_LONG, count=maximum)
    prefix = values.get("local_server_path")
    if prefix and not prefix.startswith("/"):
        problems.add("local_server_path", Kind.INVALID, value=prefix)


def check_text(name: str, text: str | None, maximum: int, problems: Problems) -> None:
    """A text that has to be there, up to a number of characters."""
    if text is None or not text.strip():
        if name not in problems:
            problems.add(name, Kind.BLANK)
    elif len(text) > maximum:
        problems.add(name, Kind.TOO_LONG, count=maximum)


def check_bounds(name: str, number: int, low: int, high: int, problems: Problems) -> None:
    """A number between two others, both included."""
    if number < low:
        problems.add(name, Kind.GREATER_THAN_OR_EQUAL_TO, count=low, value=number)
    elif number > high:
        problems.add(name, Kind.LESS_THAN_OR_EQUAL_TO, count=high, value=number)
