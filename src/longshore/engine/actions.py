"""Carrying out what clients ask of tasks: run, pause, resume, stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Row

from longshore.database import runs
from longshore.domain.execution import (
    RUNNING,
    Event,
    IllegalTransition,
    TaskAction,
    TaskStatus,
    after,
)
from longshore.domain.task import StorageType
from longshore.engine import lifecycle
from longshore.engine.admission import admit, require_callbacks
from longshore.engine.ends import CannotStart
from longshore.engine.facts import facts_of
from longshore.engine.floor import Floor
from longshore.engine.hooking import asked_to_start, with_start
from longshore.engine.run import Run, Wish
from longshore.pipeline.messages.work import encode

Job = Row[Any]


def carry_out(floor: Floor, job: Job) -> None:
    """Do what the job asks, or fail it with the reason. Slow requests end when the run has."""
    with floor.state() as connection:
        runs.begin_job(connection, job.id)
        task = runs.task(connection, job.resource_id)
    try:
        if task is None:
            raise CannotStart("the task does not exist any more")
        _DEEDS[TaskAction(job.action)](floor, task, job)
    except (CannotStart, IllegalTransition) as refusal:
        with floor.state() as connection:
            runs.finish_job(connection, job.id, job.resource_id, reason=str(refusal))


def _run(floor: Floor, task: runs.TaskRow, job: Job) -> None:
    with floor.state() as connection:
        left = start(floor, connection, task)
        runs.finish_job(connection, job.id, task.id, reason=None)
    if left is not None:
        abandon(floor, left)


def start(floor: Floor, connection: Connection, task: runs.TaskRow) -> int | None:
    """Put a new execution of the task into the queue. Raises CannotStart, IllegalTransition.

    Returns the execution that can no longer be resumed because of it, to be abandoned after the
    transaction.
    """
    after(TaskStatus(task.status), Event.RUN)
    if task.activate != 1:
        raise CannotStart("the task is not activated")
    execution_id = runs.next_execution_id(connection, floor.time_ns())
    started = asked_to_start(floor.hooks, connection, task, execution_id)
    try:
        changed = None if started is None else started.options
        admission = admit(connection, task, execution_id, floor.config, changed_options=changed)
    except ValueError as error:
        if started is None:
            raise
        raise CannotStart(f"options that plug-ins have changed cannot be run: {error}") from error
    require_callbacks(admission.plan, floor.callbacks_test.result())
    runs.create_execution(
        connection,
        execution_id,
        task,
        encode(admission.plan),
        facts=with_start(facts_of(connection, task, admission.plan), started),
        now=floor.now(),
        source_type=admission.source_type.value,
        destination_type=_value(admission.destination_type),
    )
    return task.execution_id if task.status == TaskStatus.STOPPED_BY_SYSTEM.value else None


def _value(kind: StorageType | None) -> str | None:
    return None if kind is None else kind.value


def abandon(floor: Floor, execution_id: int) -> None:
    """Clean up after an execution that nobody will resume; its history stays as it is."""
    run = lifecycle.load(floor, execution_id, recovered=True)
    run.wish = Wish.STOP
    lifecycle.begin_cleaning(floor, run)
    floor.runs[execution_id] = run


def _pause(floor: Floor, task: runs.TaskRow, job: Job) -> None:
    status = TaskStatus(task.status)
    after(status, Event.PAUSE)
    run = _present(floor, task)
    if run is None:
        run = lifecycle.load(floor, task.execution_id, recovered=True)
        floor.runs[run.execution_id] = run
    _wish(run, Wish.PAUSE, job)


def _stop(floor: Floor, task: runs.TaskRow, job: Job) -> None:
    after(TaskStatus(task.status), Event.STOP)
    run = _present(floor, task)
    if run is None:
        run = lifecycle.load(floor, task.execution_id, recovered=True)
        floor.runs[run.execution_id] = run
    if run.job_id is not None:
        # A pause that was still waiting for files under way: the stop takes its place.
        lifecycle.finish_job(floor, run, reason="the task was stopped instead")
    run.wish = Wish.GO_ON
    _wish(run, Wish.STOP, job)


def _resume(floor: Floor, task: runs.TaskRow, job: Job) -> None:
    status = after(TaskStatus(task.status), Event.RESUME)
    with floor.state() as connection:
        runs.set_status(
            connection,
            task.execution_id,
            status,
            now=floor.now(),
            reason=None,
            finished=False,
        )
        runs.finish_job(connection, job.id, task.id, reason=None)


def _present(floor: Floor, task: runs.TaskRow) -> Run | None:
    assert TaskStatus(task.status) in RUNNING
    return floor.runs.get(task.execution_id)


def _wish(run: Run, wish: Wish, job: Job) -> None:
    """Ask the run to pause or stop; the job ends when it has."""
    if run.wish is not Wish.GO_ON:
        raise CannotStart(f"the task is about to {run.wish.value} already")
    run.wish, run.job_id = wish, job.id


_DEEDS: dict[TaskAction, Callable[[Floor, runs.TaskRow, Job], None]] = {
    TaskAction.RUN: _run,
    TaskAction.PAUSE: _pause,
    TaskAction.STOP: _stop,
    TaskAction.RESUME: _resume,
}
