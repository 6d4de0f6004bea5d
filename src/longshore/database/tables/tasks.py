"""What is to be done, and what has come of it: tasks and all of theirs, executions, jobs."""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
)

from longshore.database.tables.base import (
    Identity,
    Words,
    id_column,
    state,
    task_id_column,
)
from longshore.database.task_counts import triggers as task_count_triggers
from longshore.database.task_indexes import SORTED_TASKS, null_first_indexes

tasks = Table(
    "tasks",
    state,
    id_column(),
    Column("owner_id", Identity, ForeignKey("users.id"), nullable=False),
    Column("name", Words, nullable=False),
    Column("comment", Words),
    Column("workflow_type", Words),
    Column("workflow_action", Words),
    Column("source_type", Words),
    Column("destination_type", Words),
    Column("priority", Integer, nullable=False),
    Column("conflict_resolution", Words),
    Column("action", Words, nullable=False),
    Column("activate", Integer, nullable=False),
    Column("creation_date", BigInteger, nullable=False),
    Column("creation_username", Words, nullable=False),
    Column("modification_date", BigInteger, nullable=False),
    Column("modification_username", Words, nullable=False),
    Column("status", Words, nullable=False),
    Column("progress", Integer, nullable=False),
    Column("job_started", BigInteger),
    Column("job_finished", BigInteger),
    Column("processed_size", BigInteger, nullable=False),
    Column("to_process_size", BigInteger, nullable=False),
    Column("delete", Integer, nullable=False),
    Column("local_server_path", Words),
    Column("execution_id", BigInteger),  # the current or last one; executions outlive tasks
    sqlite_autoincrement=True,
)
Index("ix_tasks_name", tasks.c.name, tasks.c.id)
Index("ix_tasks_owner_id", tasks.c.owner_id, tasks.c.id)
# One user's tasks in the order of each column that people sort and filter by. Where a column has
# many values, its index carries what is mostly filtered by besides, so that passing over rows and
# counting them need not look at the rows.
for _name, _carried in SORTED_TASKS.items():
    Index(
        f"ix_tasks_owner_id_{_name}",
        *[tasks.c[each] for each in ("owner_id", _name, "id", *_carried)],
    )
# Rare combinations of what is filtered by most.
Index(
    "ix_tasks_rare",
    tasks.c.owner_id,
    tasks.c.status,
    tasks.c.priority,
    tasks.c.workflow_type,
    tasks.c.workflow_action,
    tasks.c.id,
    tasks.c.name,
)

# How many tasks of each user have each combination of the columns with few values; kept by
# triggers, see database/task_counts.py. On PostgreSQL a combination may stand in several rows,
# which are to be added up.
task_counts = Table(
    "task_counts",
    state,
    Column("owner_id", BigInteger, nullable=False),
    Column("status", Words, nullable=False),
    Column("workflow_type", Words),
    Column("workflow_action", Words),
    Column("source_type", Words),
    Column("destination_type", Words),
    Column("conflict_resolution", Words),
    Column("priority", Integer, nullable=False),
    Column("activate", Integer, nullable=False),
    Column("action", Words, nullable=False),
    Column("number", BigInteger, nullable=False),
)
Index(
    "ix_task_counts_owner_id",
    task_counts.c.owner_id,
    task_counts.c.status,
    task_counts.c.workflow_type,
    task_counts.c.workflow_action,
    task_counts.c.priority,
)
for _statement, _dialect in (*task_count_triggers(), *null_first_indexes()):
    _made = DDL(_statement.replace("%", "%%"))  # type: ignore[no-untyped-call]
    event.listen(state, "after_create", _made.execute_if(dialect=_dialect))

task_sources = Table(
    "task_sources",
    state,
    id_column(),
    task_id_column(),
    Column("pool_id", Identity, ForeignKey("pools.id"), index=True),
    Column("container_id", Identity, ForeignKey("containers.id"), index=True),
    Column("path", LargeBinary, nullable=False),  # inside the pool or container, b"" = all of it
    Column("file_id", BigInteger),  # journal: nodes.id, where the catalogue has it
    Column("given_pool", Boolean, nullable=False),  # the pool was named itself, not by a path
    Column("range_first", BigInteger),
    Column("range_last", BigInteger),  # exclusive
    sqlite_autoincrement=True,
)

task_destinations = Table(
    "task_destinations",
    state,
    id_column(),
    task_id_column(),
    Column("pool_id", Identity, ForeignKey("pools.id"), index=True),
    Column("container_id", Identity, ForeignKey("containers.id"), index=True),
    Column("path", LargeBinary, nullable=False),
    Column("file_id", BigInteger),
    Column("given_pool", Boolean, nullable=False),
    sqlite_autoincrement=True,
)

task_options = Table(
    "task_options",
    state,
    id_column(),
    task_id_column(),
    Column("type", Text, nullable=False),
    Column("value", Text, nullable=False),
    sqlite_autoincrement=True,
)

task_callbacks = Table(
    "task_callbacks",
    state,
    id_column(),
    task_id_column(),
    Column("type", Text, nullable=False),
    Column("script", Text, nullable=False),
    sqlite_autoincrement=True,
)

task_metadata = Table(
    "task_metadata",
    state,
    id_column(),
    task_id_column(),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    UniqueConstraint("task_id", "key"),
    sqlite_autoincrement=True,
)

task_schedules = Table(
    "task_schedules",
    state,
    id_column(),
    Column(
        "task_id", Identity, ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False, unique=True
    ),
    Column("rrule", Text, nullable=False),
    Column("done", Boolean, nullable=False),
    Column("creation_date", BigInteger, nullable=False),  # stands in for a missing DTSTART
    Column("next", BigInteger),  # the occurrence waited for; null = none, or after the run's end
    Column("missed_count", BigInteger, nullable=False),
    Column("missed_first", BigInteger),
    Column("missed_last", BigInteger),
    Column("skipped_count", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_task_schedules_next", task_schedules.c.done, task_schedules.c.next)

task_executions = Table(
    "task_executions",
    state,
    # Start time in nanoseconds since 1970.
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("task_id", BigInteger, nullable=False, index=True),  # no key: it outlives the task
    Column("owner_id", Identity, ForeignKey("users.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("workflow_type", Text),
    Column("workflow_action", Text),
    Column("source_type", Text),
    Column("destination_type", Text),
    Column("priority", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text),  # why it ended or waits as it does, in words
    Column("log_time", BigInteger, nullable=False),  # of the last change
    Column("job_started", BigInteger),
    Column("job_finished", BigInteger),
    Column("to_process_size", BigInteger, nullable=False),
    Column("processed_size", BigInteger, nullable=False),
    Column("to_process_files", BigInteger, nullable=False),
    Column("processed_files", BigInteger, nullable=False),
    Column("finalized_files", BigInteger, nullable=False),
    Column("failed_files", BigInteger, nullable=False),
    Column("estimation_time", BigInteger),  # seconds left
    Column("bandwidth", BigInteger),  # bytes per second
    Column("active_seconds", Float, nullable=False),  # time spent calculating or in progress
    Column("plan", LargeBinary, nullable=False),  # msgpack of pipeline.messages.ExecutionPlan
    Column("facts", Text),  # JSON: what ran, for the manifest; see engine/facts.py
    Column("outcomes_removed", BigInteger),  # when its per-file records began to be removed
)
Index("ix_task_executions_status", task_executions.c.status)

execution_log = Table(
    "execution_log",
    state,
    id_column(),
    Column("execution_id", BigInteger, nullable=False, index=True),
    Column("date", BigInteger, nullable=False),
    Column("level", Text, nullable=False),
    Column("text", Text, nullable=False),
    sqlite_autoincrement=True,
)

jobs = Table(
    "jobs",
    state,
    Column("id", String(36), primary_key=True),  # UUID
    Column("user_id", Identity, nullable=False),
    Column("controller", Text, nullable=False),  # the resource, "tasks"
    Column("resource_id", BigInteger, nullable=False),
    Column("action", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("progress", Integer),
    Column("total", Integer),
    Column("reason", Text),  # why it failed, in words
    Column("creation_ns", BigInteger, nullable=False),
    Column("result", Text),  # JSON, of jobs whose answer is more than that they are done
)
Index("ix_jobs_status", jobs.c.status, jobs.c.creation_ns)
Index("ix_jobs_resource_id", jobs.c.resource_id, jobs.c.creation_ns)
