"""What the controller reads and writes of tasks, jobs and executions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from longshore.database import schedules
from longshore.database.journal import Counters
from longshore.database.tables.storages import (
    cloud_buckets,
    cloud_connectors,
    containers,
    nas_shares,
    pools,
)
from longshore.database.tables.tasks import (
    execution_log,
    jobs,
    task_callbacks,
    task_destinations,
    task_executions,
    task_options,
    task_sources,
    tasks,
)
from longshore.domain.execution import JobStatus, TaskAction, TaskStatus
from longshore.domain.storage import PoolType, StorageKind, StorageReference

LOG_LINES_MAXIMUM = 10_000  # per execution; a chatty callback cannot fill the disk
LOG_TEXT_CHARACTERS_MAXIMUM = 2000

TaskRow = Row[Any]

# ----------------------------------------------------------------------------------- jobs


def queued_jobs(connection: Connection) -> Sequence[Row[Any]]:
    """Requests that nobody has begun to carry out, oldest first."""
    query = (
        select(jobs)
        .where(jobs.c.status == JobStatus.QUEUED.value, jobs.c.controller == "tasks")
        .order_by(jobs.c.creation_ns)
    )
    return connection.execute(query).all()


def is_anything_wanted(connection: Connection, now: int) -> bool:
    """Whether a request, a queued execution or a due schedule waits for somebody to look at it."""
    requested = select(jobs.c.id).where(
        jobs.c.status == JobStatus.QUEUED.value, jobs.c.controller == "tasks"
    )
    queued = select(task_executions.c.id).where(
        task_executions.c.status == TaskStatus.IN_QUEUE.value
    )
    waiting = or_(requested.exists(), queued.exists(), schedules.are_pending(now).exists())
    return bool(connection.execute(select(waiting)).scalar_one())


def begin_job(connection: Connection, job_id: str) -> None:
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id)
        .values(status=JobStatus.WORKING.value, progress=1, total=2)
    )


def finish_job(connection: Connection, job_id: str, task_id: int, *, reason: str | None) -> None:
    """The request took effect, or failed for a reason; the task is asked nothing any more."""
    outcome = (
        {"status": JobStatus.FAILED.value, "reason": reason, "progress": None, "total": None}
        if reason
        else {"status": JobStatus.COMPLETED.value, "progress": 2, "total": 2}
    )
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(outcome))
    connection.execute(
        update(tasks).where(tasks.c.id == task_id).values(action=TaskAction.NOOP.value)
    )


def fail_begun_jobs(connection: Connection, reason: str) -> None:
    """Requests that were being carried out when the controller ended."""
    begun = connection.execute(
        select(jobs.c.id, jobs.c.resource_id).where(
            jobs.c.status == JobStatus.WORKING.value, jobs.c.controller == "tasks"
        )
    ).all()
    for job_id, task_id in begun:
        finish_job(connection, job_id, task_id, reason=reason)


def remove_jobs_before(connection: Connection, creation_ns: int) -> None:
    """Remove old jobs that are answered. A request is never lost because a clock has jumped."""
    answered = jobs.c.status.in_([JobStatus.COMPLETED.value, JobStatus.FAILED.value])
    connection.execute(delete(jobs).where(jobs.c.creation_ns < creation_ns, answered))


# ---------------------------------------------------------------------------------- tasks


def task(connection: Connection, task_id: int) -> TaskRow | None:
    return connection.execute(select(tasks).where(tasks.c.id == task_id)).one_or_none()


def sources(connection: Connection, task_id: int) -> Sequence[Row[Any]]:
    return connection.execute(
        select(task_sources).where(task_sources.c.task_id == task_id).order_by(task_sources.c.id)
    ).all()


def destinations(connection: Connection, task_id: int) -> Sequence[Row[Any]]:
    return connection.execute(
        select(task_destinations)
        .where(task_destinations.c.task_id == task_id)
        .order_by(task_destinations.c.id)
    ).all()


def options(connection: Connection, task_id: int) -> dict[str, str]:
    query = select(task_options.c.type, task_options.c.value).where(
        task_options.c.task_id == task_id
    )
    return {row.type: row.value for row in connection.execute(query)}


def callbacks(connection: Connection, task_id: int) -> list[tuple[int, str]]:
    query = (
        select(task_callbacks.c.id, task_callbacks.c.script)
        .where(task_callbacks.c.task_id == task_id)
        .order_by(task_callbacks.c.id)
    )
    return [(callback_id, script) for callback_id, script in connection.execute(query)]


def pool(connection: Connection, pool_id: int) -> Row[Any]:
    return connection.execute(select(pools).where(pools.c.id == pool_id)).one()


def shares_of_pool(connection: Connection, pool_id: int) -> Sequence[Row[Any]]:
    return connection.execute(
        select(nas_shares).where(nas_shares.c.pool_id == pool_id).order_by(nas_shares.c.id)
    ).all()


def buckets_of_pool(connection: Connection, pool_id: int) -> Sequence[Row[Any]]:
    """The buckets with what their connectors say of how they are reached, but for secrets."""
    connectors = cloud_connectors.c
    query: Select[Any] = (
        select(
            cloud_buckets.c.id,
            cloud_buckets.c.name,
            cloud_buckets.c.options,
            connectors.provider,
            connectors.url,
            connectors.region,
            connectors.access_key,
            connectors.options.label("connector_options"),
        )
        .join(cloud_connectors, connectors.id == cloud_buckets.c.cloud_connector_id)
        .where(cloud_buckets.c.pool_id == pool_id)
        .order_by(cloud_buckets.c.id)
    )
    return connection.execute(query).all()


def container(connection: Connection, container_id: int) -> Row[Any]:
    return connection.execute(select(containers).where(containers.c.id == container_id)).one()


def containers_with_roots(connection: Connection) -> Sequence[Row[Any]]:
    query = select(containers).where(containers.c.root_id.is_not(None)).order_by(containers.c.id)
    return connection.execute(query).all()


def primary_pools(connection: Connection) -> Sequence[Row[Any]]:
    query = select(pools).where(pools.c.root_id.is_not(None)).order_by(pools.c.id)
    return connection.execute(query).all()


def secondary_storages(connection: Connection) -> set[StorageReference]:
    """The shares and buckets of all pools that are not primary."""
    members = {StorageKind.NAS_SHARE: nas_shares, StorageKind.CLOUD_BUCKET: cloud_buckets}
    found = set()
    for kind, table in members.items():
        query = (
            select(table.c.id)
            .join(pools, pools.c.id == table.c.pool_id)
            .where(pools.c.type != PoolType.PRIMARY.value)
        )
        found |= {StorageReference(kind, each) for each in connection.execute(query).scalars()}
    return found


def remove_one_shot(connection: Connection, task_id: int, execution_id: int) -> None:
    """Remove the task if it wants to go after this execution."""
    connection.execute(
        delete(tasks).where(
            tasks.c.id == task_id, tasks.c.delete == 1, tasks.c.execution_id == execution_id
        )
    )


# ----------------------------------------------------------------------------- executions


def execution(connection: Connection, execution_id: int) -> Row[Any] | None:
    return connection.execute(
        select(task_executions).where(task_executions.c.id == execution_id)
    ).one_or_none()


def executions_with_status(
    connection: Connection, statuses: Sequence[TaskStatus]
) -> Sequence[Row[Any]]:
    """Executions in these statuses: highest priority first, then the longest waiting."""
    query = (
        select(task_executions)
        .where(task_executions.c.status.in_([status.value for status in statuses]))
        .order_by(task_executions.c.priority.desc(), task_executions.c.id)
    )
    return connection.execute(query).all()


def _shows(execution_id: int) -> ColumnElement[bool]:
    """The task that shows the execution as its present one, found by its id."""
    of_task = select(task_executions.c.task_id).where(task_executions.c.id == execution_id)
    return and_(tasks.c.id == of_task.scalar_subquery(), tasks.c.execution_id == execution_id)


def adopt_priorities(connection: Connection, statuses: Sequence[TaskStatus]) -> dict[int, int]:
    """Take over priorities that were changed while an execution waits or runs; the new ones."""
    query = (
        select(task_executions.c.id, tasks.c.priority)
        .join(tasks, tasks.c.id == task_executions.c.task_id)
        .where(
            task_executions.c.status.in_([status.value for status in statuses]),
            task_executions.c.priority != tasks.c.priority,
        )
    )
    changed = {row.id: row.priority for row in connection.execute(query)}
    for execution_id, priority in changed.items():
        connection.execute(
            update(task_executions)
            .where(task_executions.c.id == execution_id)
            .values(priority=priority)
        )
    return changed


def create_execution(
    connection: Connection,
    execution_id: int,
    of: TaskRow,
    plan: bytes,
    *,
    facts: str,
    now: int,
    **ends: str | None,
) -> None:
    """A new execution of the task, in the queue; the task shows it from now on."""
    nothing = dict.fromkeys(
        (
            "to_process_size",
            "processed_size",
            "to_process_files",
            "processed_files",
            "finalized_files",
            "failed_files",
        ),
        0,
    )
    connection.execute(
        insert(task_executions).values(
            id=execution_id,
            task_id=of.id,
            owner_id=of.owner_id,
            name=of.name,
            workflow_type=of.workflow_type,
            workflow_action=of.workflow_action,
            source_type=ends["source_type"],
            destination_type=ends["destination_type"],
            priority=of.priority,
            status=TaskStatus.IN_QUEUE.value,
            log_time=now,
            job_started=now,
            active_seconds=0.0,
            plan=plan,
            facts=facts,
            **nothing,
        )
    )
    connection.execute(
        update(tasks)
        .where(tasks.c.id == of.id)
        .values(
            execution_id=execution_id,
            status=TaskStatus.IN_QUEUE.value,
            progress=0,
            processed_size=0,
            to_process_size=0,
            job_started=now,
            job_finished=None,
        )
    )


def next_execution_id(connection: Connection, now_ns: int) -> int:
    """The id of an execution that begins now: this time, but after all that have begun before.

    Backups build upon each other in the order of their ids, even if the clock was put back.
    """
    last = connection.execute(select(func.max(task_executions.c.id))).scalar()
    return now_ns if last is None else max(now_ns, last + 1)


def set_status(
    connection: Connection,
    execution_id: int,
    status: TaskStatus,
    *,
    now: int,
    reason: str | None,
    finished: bool,
) -> None:
    """Write the status of the execution and of the task that shows it.

    It never ends before it began, whatever the clock says by then.
    """

    def ended(started: Column[int]) -> dict[str, object]:
        return {"job_finished": case((started > now, started), else_=now) if finished else None}

    connection.execute(
        update(task_executions)
        .where(task_executions.c.id == execution_id)
        .values(
            status=status.value,
            log_time=now,
            reason=reason,
            **ended(task_executions.c.job_started),
        )
    )
    connection.execute(
        update(tasks)
        .where(_shows(execution_id))
        .values(status=status.value, **ended(tasks.c.job_started))
    )


def set_progress(
    connection: Connection,
    execution_id: int,
    sums: Counters,
    *,
    progress: int,
    bandwidth: int | None,
    estimation_time: int | None,
    active_seconds: float,
) -> None:
    """Show how far the execution is, on it and on its task."""
    sizes = {"processed_size": sums.processed_size, "to_process_size": sums.to_process_size}
    connection.execute(
        update(task_executions)
        .where(task_executions.c.id == execution_id)
        .values(
            to_process_files=sums.to_process_files,
            processed_files=sums.processed_files,
            finalized_files=sums.finalized_files,
            failed_files=sums.failed_files,
            bandwidth=bandwidth,
            estimation_time=estimation_time,
            active_seconds=active_seconds,
            **sizes,
        )
    )
    connection.execute(update(tasks).where(_shows(execution_id)).values(progress=progress, **sizes))


def append_log(
    connection: Connection, execution_id: int, lines: Sequence[str], *, level: str, now: int
) -> None:
    """Add lines to the execution's log, as long as there is room."""
    if not lines:
        return
    present = connection.execute(
        select(func.count()).where(execution_log.c.execution_id == execution_id)
    ).scalar_one()
    room = max(0, LOG_LINES_MAXIMUM - int(present))
    rows = [
        {
            "execution_id": execution_id,
            "date": now,
            "level": level,
            "text": line[:LOG_TEXT_CHARACTERS_MAXIMUM].replace("\0", "\\0"),
        }
        for line in lines[:room]
    ]
    if rows:
        connection.execute(insert(execution_log), rows)


def shows(connection: Connection, execution_id: int) -> bool:
    """Whether a task shows this execution as its present one."""
    query = select(tasks.c.id).where(_shows(execution_id))
    return connection.execute(query).first() is not None


def backup_chain(
    connection: Connection, task_id: int, *, full: str, incremental: str, limit: int
) -> list[int]:
    """The task's last correct full backup and what builds upon it, newest first."""
    columns = task_executions.c
    correct = (TaskStatus.DONE.value, TaskStatus.FINISHED_WITH_WARNINGS.value)
    query = (
        select(columns.id, columns.workflow_action)
        .where(
            columns.task_id == task_id,
            columns.workflow_action.in_([full, incremental]),
            columns.status.in_(correct),
        )
        .order_by(columns.id.desc())
        .limit(limit)
    )
    chain = []
    for execution_id, action in connection.execute(query):
        chain.append(execution_id)
        if action == full:
            break
    return chain


def correct_executions(
    connection: Connection, task_id: int, actions: Sequence[str], *, limit: int
) -> list[int]:
    """The task's last executions of these actions that ended well, newest first."""
    correct = (TaskStatus.DONE.value, TaskStatus.FINISHED_WITH_WARNINGS.value)
    query = (
        select(task_executions.c.id)
        .where(
            task_executions.c.task_id == task_id,
            task_executions.c.workflow_action.in_(actions),
            task_executions.c.status.in_(correct),
        )
        .order_by(task_executions.c.id.desc())
        .limit(limit)
    )
    return list(connection.execute(query).scalars())
