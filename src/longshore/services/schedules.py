"""When tasks run by themselves: at most one schedule per task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection

from longshore.database import rows
from longshore.database import schedules as schedule_rows
from longshore.database import tasks as task_rows
from longshore.database.connection import reading, writing
from longshore.database.query import Page
from longshore.database.rows import Listed
from longshore.database.schedules import TaskSchedule
from longshore.database.tables.tasks import task_schedules
from longshore.domain.recurrence_rule import InvalidRule
from longshore.domain.schedule import (
    TEXT_CHARACTERS_MAXIMUM,
    Schedule,
    initial_state,
    parse_schedule,
)
from longshore.services.attributes import check_text, refusing_duplicates
from longshore.services.context import Context
from longshore.services.errors import Kind, NotFound, Problems
from longshore.services.input import Input, Switch, Words
from longshore.services.principal import Principal
from longshore.services.tasks import modified, require


class ScheduleInput(Input):
    rrule: Words | None = None
    done: Switch | None = None


def index(
    context: Context, principal: Principal, page: Page, *, everybody: bool
) -> Listed[TaskSchedule]:
    """The schedules of the user's tasks; administrators may ask for everybody's."""
    owner_id = None if everybody and principal.administrator else principal.user_id
    with reading(context.database.state) as connection:
        return schedule_rows.index(connection, page, owner_id)


def show(context: Context, principal: Principal, task: str) -> TaskSchedule:
    with reading(context.database.state) as connection:
        return _resolved(connection, require(connection, principal, task).id)


def create(
    context: Context, principal: Principal, task: str, body: Mapping[str, Any]
) -> TaskSchedule:
    problems, now = Problems(), context.now()
    given = ScheduleInput.read(body, problems)
    schedule = _parsed(problems, given.rrule, now)
    # Computed before the transaction: a rule may take its 50 ms to be found without occurrence.
    state = None if schedule is None else asdict(initial_state(schedule, now))
    with refusing_duplicates("task_id", task), writing(context.database.state) as connection:
        owner = require(connection, principal, task)
        if schedule_rows.of_task(connection, owner.id) is not None:
            problems.add("task_id", Kind.TAKEN, value=owner.id)
        if state is not None and state["done"]:
            problems.add("rrule", Kind.INVALID, value=given.rrule, note="it never comes to pass")
        problems.raise_if_any()
        stored = {"task_id": owner.id, "rrule": given.rrule, "creation_date": now, **(state or {})}
        if given.done:
            stored |= {"done": True, "next": None}
        rows.add(connection, task_schedules, stored)
        task_rows.change(connection, owner.id, modified(context, principal))
        row = _resolved(connection, owner.id)
    context.wake()
    return row


def update(
    context: Context, principal: Principal, task: str, body: Mapping[str, Any]
) -> TaskSchedule:
    """Another rule or, by `done`, a pause. Both begin a new count of what is missed or skipped."""
    problems, now = Problems(), context.now()
    given = ScheduleInput.read(body, problems)
    with reading(context.database.state) as connection:
        before = _resolved(connection, require(connection, principal, task).id)
    text = given.rrule if given.has("rrule") else before.rrule
    done = bool(given.done) if given.has("done") else before.done
    changes = _changes(problems, before, text, done, now)
    problems.raise_if_any()
    with writing(context.database.state) as connection:
        owner = require(connection, principal, task)
        current = _resolved(connection, owner.id)
        rows.change(connection, task_schedules, current.id, changes)
        task_rows.change(connection, owner.id, modified(context, principal))
        row = _resolved(connection, owner.id)
    context.wake()
    return row


def destroy(context: Context, principal: Principal, task: str) -> None:
    with writing(context.database.state) as connection:
        owner = require(connection, principal, task)
        rows.remove(connection, task_schedules, _resolved(connection, owner.id).id)
        task_rows.change(connection, owner.id, modified(context, principal))


def _changes(
    problems: Problems, before: TaskSchedule, text: str | None, done: bool, now: int
) -> dict[str, Any]:
    """The columns that change. What a client sends back as it read it changes nothing."""
    if text == before.rrule and done == before.done:
        return {}
    schedule = _parsed(problems, text, before.creation_date)
    if schedule is None:
        return {}
    if done:
        return {"rrule": text, "done": True, "next": None}
    state = asdict(initial_state(schedule, now))
    if text != before.rrule and state["done"]:
        problems.add("rrule", Kind.INVALID, value=text, note="it never comes to pass")
    return {"rrule": text, **state}


def _parsed(problems: Problems, text: str | None, creation_date: int) -> Schedule | None:
    check_text(problems, "rrule", text, required=True, maximum=TEXT_CHARACTERS_MAXIMUM)
    if "rrule" in problems or text is None:
        return None
    try:
        return parse_schedule(text, creation_date)
    except InvalidRule as error:
        problems.add("rrule", Kind.INVALID, value=text, note=str(error))
        return None


def _resolved(connection: Connection, task_id: int) -> TaskSchedule:
    found = schedule_rows.of_task(connection, task_id)
    if found is None:
        raise NotFound("task_schedule")
    return found
