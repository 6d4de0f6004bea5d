"""Why a task waits, goes slowly or does not start.

The api puts together what it knows of the task itself with what the controller has written down of
the queue and of the runs. Nothing is computed that a task needs to run: this only reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row

from longshore.database import explaining, leases, schedules, waits
from longshore.database import tasks as task_rows
from longshore.database.connection import reading
from longshore.domain.execution import ACTIVE, IDLE, JobStatus, TaskAction, TaskStatus
from longshore.domain.task import (
    MATRIX,
    OptionType,
    StorageType,
    WorkflowAction,
    WorkflowType,
    refused_fields,
)
from longshore.domain.waiting import Reason, ReasonCode, concerning, moment, named_tasks
from longshore.services.context import Context
from longshore.services.principal import Principal
from longshore.services.tasks import require

_STATUSES = {
    TaskStatus.NOT_ACTIVATED: "The task does not run",
    TaskStatus.IN_QUEUE: "The task waits in the queue",
    TaskStatus.CALCULATING: "The task lists what it has to process",
    TaskStatus.IN_PROGRESS: "The task runs",
    TaskStatus.PAUSED: "The task is paused",
    TaskStatus.DONE: "The task is done",
    TaskStatus.FINISHED_WITH_WARNINGS: "The task has finished, but not with every file",
    TaskStatus.ERROR: "The task has failed",
    TaskStatus.STOPPED_BY_USER: "The task was stopped on request",
    TaskStatus.STOPPED_BY_SYSTEM: "The task was stopped by the system",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """A status, a sentence, and the reasons in it."""

    status: str
    summary: str
    reasons: list[Reason]


def explain(context: Context, principal: Principal, identifier: str) -> Explanation:
    """What there is to say about the task now. Raises NotFound."""
    with reading(context.database.journal) as connection:
        lease = leases.read(connection)
    has_controller = lease is not None and lease.expires_at > context.clock()
    with reading(context.database.state) as connection:
        task = require(connection, principal, identifier)
        found = list(_reasons(connection, task, has_controller=has_controller))
        shown = [_for(connection, principal, reason) for reason in found]
    status = TaskStatus(task.status)
    causes = "; ".join(reason.text for reason in shown)
    summary = f"{_STATUSES[status]}: {causes}." if causes else f"{_STATUSES[status]}."
    return Explanation(status.value, summary, shown)


def _reasons(connection: Connection, task: Row[Any], *, has_controller: bool) -> Iterator[Reason]:
    requests = explaining.requests(connection, task.id)
    status = TaskStatus(task.status)
    if not has_controller and (status not in IDLE or task.action != TaskAction.NOOP.value):
        yield Reason(ReasonCode.NO_CONTROLLER, "no controller is at work that could go on with it")
    yield from _open_request(requests)
    if status in IDLE:
        yield from _idle(connection, task, status, requests)
    elif status is TaskStatus.PAUSED:
        yield _paused(requests)
    elif status is TaskStatus.IN_QUEUE:
        yield from _queued(connection, task)
    elif status in ACTIVE:
        yield from waits.read(connection, task.execution_id)


def _open_request(requests: list[Row[Any]]) -> Iterator[Reason]:
    """What was asked last, if that is not done yet or has failed."""
    if not requests:
        return
    last = requests[0]
    data = {"action": last.action, "user": last.name, "since": _moment(last)}
    if explaining.is_pending(last):
        text = f"the request to {last.action} it, made at {_moment(last)}, is not carried out yet"
        yield Reason(ReasonCode.REQUEST_PENDING, text, data)
    elif last.status == JobStatus.FAILED.value:
        text = f"the last request, to {last.action} it, failed: {last.reason}"
        yield Reason(ReasonCode.REQUEST_FAILED, text, data | {"reason": last.reason})


# ----------------------------------------------------------------------- without a run


def _idle(
    connection: Connection, task: Row[Any], status: TaskStatus, requests: list[Row[Any]]
) -> Iterator[Reason]:
    yield from _last_run(connection, task, status, requests)
    if task.activate != 1:
        yield Reason(
            ReasonCode.NOT_ACTIVATED, "it is not activated, so neither people nor schedules run it"
        )
    yield from _scheduled(connection, task)
    for text in _refusals(connection, task):
        yield Reason(ReasonCode.RUN_REFUSED, f"a run would be refused: {text}")


def _last_run(
    connection: Connection, task: Row[Any], status: TaskStatus, requests: list[Row[Any]]
) -> Iterator[Reason]:
    last = explaining.execution(connection, task.execution_id) if task.execution_id else None
    if last is None:
        yield Reason(ReasonCode.NEVER_RUN, "it was never run")
    elif status is TaskStatus.STOPPED_BY_USER:
        yield _stopped(requests, moment(last.log_time))
    elif status is TaskStatus.STOPPED_BY_SYSTEM:
        text = f"{last.reason or 'it could not go on'}; resume continues it"
        yield Reason(
            ReasonCode.STOPPED, text, {"reason": last.reason, "since": moment(last.log_time)}
        )
    elif last.reason:
        yield Reason(
            ReasonCode.ENDED, last.reason, {"reason": last.reason, "since": moment(last.log_time)}
        )


def _stopped(requests: list[Row[Any]], since: str) -> Reason:
    request = _carried_out(requests, TaskAction.STOP)
    user = request.name if request is not None else None
    text = f"{user or 'somebody'} stopped it at {since}; run begins again"
    return Reason(ReasonCode.STOPPED, text, {"user": user, "since": since})


def _paused(requests: list[Row[Any]]) -> Reason:
    request = _carried_out(requests, TaskAction.PAUSE)
    if request is None:
        return Reason(ReasonCode.PAUSED, "resume continues it", {"user": None, "since": None})
    user, since = request.name, _moment(request)
    text = f"{user or 'somebody'} paused it at {since}; resume continues it"
    return Reason(ReasonCode.PAUSED, text, {"user": user, "since": since})


def _carried_out(requests: list[Row[Any]], action: TaskAction) -> Row[Any] | None:
    """The last request for the action that took effect; requests are forgotten after a day."""
    done = JobStatus.COMPLETED.value
    fitting = [each for each in requests if each.action == action.value and each.status == done]
    return fitting[0] if fitting else None


def _scheduled(connection: Connection, task: Row[Any]) -> Iterator[Reason]:
    schedule = schedules.of_task(connection, task.id)
    if schedule is None or schedule.done:
        state = "has no schedule" if schedule is None else "has a schedule that is over"
        yield Reason(ReasonCode.NO_SCHEDULE, f"it {state}, so it only runs on request")
    elif schedule.next is not None and task.activate == 1:
        next_run = moment(schedule.next)
        yield Reason(ReasonCode.SCHEDULED, f"its next run is at {next_run}", {"next": next_run})


def _refusals(connection: Connection, task: Row[Any]) -> Iterator[str]:
    """What is missing before the task can run, as far as the task itself tells."""
    if task.activate != 1:
        yield "the task is not activated"
    if explaining.has_option(connection, task.id, OptionType.TASK_TEMPLATE.value, "1"):
        yield "the task is a template: it can be copied, not run"
    if not task.workflow_type or not task.workflow_action:
        yield "the task has no workflow type or no workflow action yet"
        return
    action, workflow = WorkflowAction(task.workflow_action), WorkflowType(task.workflow_type)
    types = [
        StorageType(given) if given else None for given in (task.source_type, task.destination_type)
    ]
    for field in refused_fields(workflow, action, *types):
        yield f"{field} does not fit {workflow.value} {action.value}"
    has_source, has_destination = explaining.has_ends(connection, task.id)
    if not has_source and action is not WorkflowAction.CACHE_CLEANING:
        yield "the task has no source"
    pairs = MATRIX[action].get(workflow, ())
    if not has_destination and pairs and all(destination for _, destination in pairs):
        yield "the task has no destination"


# --------------------------------------------------------------------------- in the queue


def _queued(connection: Connection, task: Row[Any]) -> Iterator[Reason]:
    waiting = explaining.execution(connection, task.execution_id)
    assert waiting is not None
    yield from waits.read(connection, waits.QUEUE)
    ids, count = explaining.tasks_ahead(connection, waiting)
    if count:
        text = "one task of" if count == 1 else f"{count} tasks of"
        yield Reason(
            ReasonCode.TASKS_AHEAD,
            f"{text} higher priority, or earlier with the same, {'is' if count == 1 else 'are'} "
            "ahead of it",
            concerning(ids, count),
        )


# ---------------------------------------------------------------------------- for whom


def _for(connection: Connection, principal: Principal, reason: Reason) -> Reason:
    """The reason as the user may see it: only with those other tasks that are theirs."""
    if "task_ids" not in reason.data:
        return reason
    ids, count = reason.data["task_ids"], reason.data["task_count"]
    if not principal.administrator:
        ids = [each for each in ids if _owns(connection, principal, each)]
    text = f"{reason.text} ({named_tasks(ids, count)})" if ids else reason.text
    return msgspec.structs.replace(reason, text=text, data=reason.data | {"task_ids": ids})


def _owns(connection: Connection, principal: Principal, task_id: int) -> bool:
    task = task_rows.fetch(connection, task_id)
    return task is not None and task.owner_id == principal.user_id


def _moment(request: Row[Any]) -> str:
    return moment(request.creation_ns / 1_000_000_000)
