"""Requests to run, pause, stop or resume a task, and what became of them."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import Row

from longshore import faults
from longshore.database import jobs, tasks
from longshore.database.connection import reading, writing
from longshore.domain.execution import JobStatus, TaskAction
from longshore.services.context import Context
from longshore.services.errors import Kind, NotFound, Problems
from longshore.services.principal import Principal
from longshore.services.tasks import require

CONTROLLER = "tasks"


def request_action(
    context: Context, principal: Principal, identifier: str, action: TaskAction
) -> str:
    """The id of a new job; the controller takes it up at once. Raises NotFound."""
    job_id = str(uuid.uuid4())
    with writing(context.database.state) as connection:
        task = require(connection, principal, identifier)
        values = {
            "id": job_id,
            "user_id": principal.user_id,
            "controller": CONTROLLER,
            "resource_id": task.id,
            "action": action.value,
            "status": JobStatus.QUEUED.value,
            "creation_ns": int(context.clock() * 1_000_000_000),
        }
        jobs.create(connection, values)
        tasks.change(connection, task.id, {"action": action.value})
    faults.at("api.job_created")
    context.wake()
    return job_id


def show(
    context: Context, principal: Principal, identifier: str, action: TaskAction, job_id: str
) -> Row[Any]:
    """The job of this task, action and user. Raises NotFound, Invalid without a job id."""
    problems = Problems()
    if not job_id.strip():
        problems.add("job_id", Kind.BLANK)
    with reading(context.database.state) as connection:
        task = require(connection, principal, identifier)
        problems.raise_if_any()
        job = jobs.find(
            connection,
            job_id if "\0" not in job_id and job_id.isprintable() else "",
            now_ns=int(context.clock() * 1_000_000_000),
            user_id=principal.user_id,
            controller=CONTROLLER,
            resource_id=task.id,
            action=action.value,
        )
    if job is None:
        raise NotFound("job")
    return job
