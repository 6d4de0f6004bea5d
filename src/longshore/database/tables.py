"""All tables. `state` and `journal` are two files on SQLite and one database on PostgreSQL.

    state     what people declare and ask for: users, storages, tasks, executions, jobs.
    journal   what the engine does: lease, work items, counters, per-file records, catalogue.

A commit is durable when it returns (SQLite: synchronous FULL), in the journal too: the source of a
move is removed because its copies are on record, so that record must not be lost with the power.

No statement joins across the two. Dates are whole seconds since 1970 (UTC), times of files are
nanoseconds since 1970, sizes are bytes, names and paths are the storage's bytes.
"""

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
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
)

from longshore.database.folder_triggers import triggers as folder_triggers
from longshore.database.task_counts import triggers as task_count_triggers
from longshore.database.task_indexes import SORTED_TASKS, null_first_indexes

_NAMING = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
}
state = MetaData(naming_convention=_NAMING)
journal = MetaData(naming_convention=_NAMING)

# SQLite gives automatic ids to "INTEGER PRIMARY KEY" only.
Identity = BigInteger().with_variant(Integer, "sqlite")

# Text that compares and sorts by code points, whatever the database's own language is.
Words = Text().with_variant(Text(collation="C"), "postgresql")


def _id() -> Column[int]:
    return Column("id", Identity, primary_key=True, autoincrement=True)


def _task_id() -> Column[int]:
    return Column(
        "task_id", Identity, ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False, index=True
    )


# ---------------------------------------------------------------------------------- users

users = Table(
    "users",
    state,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("administrator", Boolean, nullable=False),
    Column("creation_date", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

api_keys = Table(
    "api_keys",
    state,
    _id(),
    Column(
        "user_id", Identity, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    Column("name", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False, unique=True),  # SHA-256 of a random key
    Column("key_end", String(4), nullable=False),  # shown behind stars
    Column("scopes", Text, nullable=False),  # JSON list of {controller, action}; [] = everything
    Column("creation_date", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

# Answers to requests with an Idempotency-Key, to be given again.
answers = Table(
    "answers",
    state,
    _id(),  # grows with time
    Column("request", LargeBinary, nullable=False, unique=True),  # SHA-256 of user, path and key
    Column("content", LargeBinary, nullable=False),  # SHA-256 of the body that was sent
    Column("creation_date", BigInteger, nullable=False, index=True),
    Column("status", Integer),  # null while it is being worked on, which nobody else sees
    Column("headers", Text),  # JSON
    Column("body", LargeBinary),
    sqlite_autoincrement=True,
)

user_configurations = Table(
    "user_configurations",
    state,
    _id(),
    Column("user_id", Identity, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    UniqueConstraint("user_id", "key"),
    sqlite_autoincrement=True,
)

# ------------------------------------------------------------------------------- storages

nas = Table(
    "nas",
    state,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("host", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("comment", Text),
    Column("price", Text),  # per TB and month, decimal text
    sqlite_autoincrement=True,
)

pools = Table(
    "pools",
    state,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("comment", Text),
    Column("type", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("root_id", BigInteger),  # journal: nodes.id, of primary pools
    sqlite_autoincrement=True,
)

nas_shares = Table(
    "nas_shares",
    state,
    _id(),
    Column("nas_id", Identity, ForeignKey("nas.id"), nullable=False, index=True),
    Column("pool_id", Identity, ForeignKey("pools.id"), index=True),
    Column("name", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("options", Text),
    Column("username", Text),
    Column("password_encrypted", LargeBinary),
    UniqueConstraint("nas_id", "name"),
    sqlite_autoincrement=True,
)

cloud_connectors = Table(
    "cloud_connectors",
    state,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("provider", Text, nullable=False),
    Column("url", Text),
    Column("url_proxy", Text),
    Column("region", Text),
    Column("access_key", Text),
    Column("secret_key_encrypted", LargeBinary),
    Column("options", Text),
    Column("proxy_login_encrypted", LargeBinary),  # user:password, as in an address
    sqlite_autoincrement=True,
)

cloud_buckets = Table(
    "cloud_buckets",
    state,
    _id(),
    Column("cloud_connector_id", Identity, ForeignKey("cloud_connectors.id"), nullable=False),
    Column("pool_id", Identity, ForeignKey("pools.id"), index=True),
    Column("name", Text, nullable=False, index=True),
    Column("location", Text),
    Column("price", Text),  # per TB and month, decimal text
    Column("options", Text),
    Column("config_file_encrypted", LargeBinary),
    UniqueConstraint("cloud_connector_id", "name"),  # its index serves lists of a connector, too
    sqlite_autoincrement=True,
)

containers = Table(
    "containers",
    state,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("comment", Text),
    Column("quota_total_size", BigInteger, nullable=False),  # bytes, 0 = none
    Column("quota_on_cache", Integer, nullable=False),  # percent
    Column("guest_right", Text, nullable=False),
    Column("folder", Text, nullable=False),  # its folder's name below containers_root
    Column("root_id", BigInteger),  # journal: nodes.id
    Column("last_update", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

container_privileges = Table(
    "container_privileges",
    state,
    _id(),
    Column(
        "container_id", Identity, ForeignKey("containers.id", ondelete="CASCADE"), nullable=False
    ),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("privilege", Text, nullable=False),
    UniqueConstraint("container_id", "name", "type"),
    sqlite_autoincrement=True,
)

primary_scans = Table(
    "primary_scans",
    state,
    _id(),
    Column(
        "pool_id", Identity, ForeignKey("pools.id", ondelete="CASCADE"), nullable=False, unique=True
    ),
    Column("enabled", Boolean, nullable=False),
    Column("operand", Float, nullable=False),  # how many of the unit lie between two scans
    Column("unit", Text, nullable=False),
    Column("task_id", BigInteger),  # the task that carries it out, once there was one
    Column("next", BigInteger),  # when it is due; null = at once
    sqlite_autoincrement=True,
)

# ---------------------------------------------------------------------------------- tasks

tasks = Table(
    "tasks",
    state,
    _id(),
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
    _id(),
    _task_id(),
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
    _id(),
    _task_id(),
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
    _id(),
    _task_id(),
    Column("type", Text, nullable=False),
    Column("value", Text, nullable=False),
    sqlite_autoincrement=True,
)

task_callbacks = Table(
    "task_callbacks",
    state,
    _id(),
    _task_id(),
    Column("type", Text, nullable=False),
    Column("script", Text, nullable=False),
    sqlite_autoincrement=True,
)

task_metadata = Table(
    "task_metadata",
    state,
    _id(),
    _task_id(),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    UniqueConstraint("task_id", "key"),
    sqlite_autoincrement=True,
)

task_schedules = Table(
    "task_schedules",
    state,
    _id(),
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
    _id(),
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

# -------------------------------------------------------------------------------- control

task_limits = Table(
    "task_limits",
    state,
    Column(
        "task_id",
        Identity,
        ForeignKey("tasks.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("bandwidth", BigInteger, nullable=False),  # bytes per second; no row = no limit
)

storage_limits = Table(
    "storage_limits",
    state,
    Column("storage_kind", SmallInteger, primary_key=True),  # domain.storage.StorageKind
    Column("storage_id", BigInteger, primary_key=True, autoincrement=False),
    Column("bandwidth", BigInteger),  # bytes per second, null = no limit
    Column("slots", Integer),  # orders at once, null = the configured default
)

# What the controller knows of why executions wait: written when it changes, empty at its start.
waits = Table(
    "waits",
    state,
    Column("execution_id", BigInteger, primary_key=True, autoincrement=False),  # 0 = the queue
    Column("reasons", Text, nullable=False),  # JSON list of domain.waiting.Reason
)

# What lies on each storage, as the controller has counted it: see database/storage_counts.py.
storage_counts = Table(
    "storage_counts",
    state,
    Column("storage_kind", SmallInteger, primary_key=True),  # domain.storage.StorageKind
    Column("storage_id", BigInteger, primary_key=True, autoincrement=False),
    Column("files", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("cached_files", BigInteger, nullable=False),
    Column("cached_bytes", BigInteger, nullable=False),
    Column("only_cached_files", BigInteger, nullable=False),
    Column("only_cached_bytes", BigInteger, nullable=False),
)

# Which controller may write the state: the lease lies in the other file of SQLite.
fences = Table(
    "fences",
    state,
    Column("name", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False),  # of the newest lease; older ones commit nothing
)

# --------------------------------------------------------------------------------- engine

leases = Table(
    "leases",
    journal,
    Column("name", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False),  # grows with every new holder
    Column("holder", Text, nullable=False),  # host:pid:start
    Column("expires_at", Float, nullable=False),  # seconds since 1970
)

identifiers = Table(
    "identifiers",
    journal,
    Column("name", Text, primary_key=True),
    Column("next_id", BigInteger, nullable=False),
)

work = Table(
    "work",
    journal,
    _id(),
    Column("execution_id", BigInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),  # pipeline.messages.WorkKind
    Column("state", SmallInteger, nullable=False),  # database.journal.WorkState
    Column("attempts", SmallInteger, nullable=False),  # how many movers died on it
    Column("files", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),  # opaque to the controller
    Column("parent_id", BigInteger),  # of a part: the item of the file that it belongs to
    Column("sort_key", LargeBinary),  # where a task asks for an order: the smallest comes first
    sqlite_autoincrement=True,
)
Index("ix_work_queue", work.c.execution_id, work.c.state, work.c.kind, work.c.id)
Index(
    "ix_work_order",
    work.c.execution_id,
    work.c.kind,
    work.c.sort_key,
    work.c.id,
    sqlite_where=work.c.sort_key.is_not(None),
    postgresql_where=work.c.sort_key.is_not(None),
)
Index(
    "ix_work_parts",
    work.c.parent_id,
    sqlite_where=work.c.parent_id.is_not(None),
    postgresql_where=work.c.parent_id.is_not(None),
)

counters = Table(
    "counters",
    journal,
    Column("execution_id", BigInteger, primary_key=True, autoincrement=False),
    Column("to_process_files", BigInteger, nullable=False),
    Column("to_process_size", BigInteger, nullable=False),
    Column("processed_files", BigInteger, nullable=False),
    Column("processed_size", BigInteger, nullable=False),
    Column("finalized_files", BigInteger, nullable=False),
    Column("failed_files", BigInteger, nullable=False),
    Column("refused_files", BigInteger, nullable=False),
    Column("warnings", BigInteger, nullable=False),  # kept files with lost metadata and the like
)

# Files that a cache cleaning has found, until all are found: see database/freeable.py.
freeable_files = Table(
    "freeable_files",
    journal,
    Column("execution_id", BigInteger, primary_key=True, autoincrement=False),
    Column("atime_ns", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # tells the others apart
    Column("file_id", BigInteger, nullable=False),  # nodes.id
    Column("payload", LargeBinary, nullable=False),  # msgpack of pipeline.messages.CopyGroup
    sqlite_with_rowid=False,
)

# The records of an execution's files, in blocks: see database/record_blocks.py.
record_blocks = Table(
    "record_blocks",
    journal,
    Column("execution_id", BigInteger, primary_key=True, autoincrement=False),
    Column("first_number", BigInteger, primary_key=True, autoincrement=False),
    Column("files", Integer, nullable=False),  # their numbers follow each other
    Column("format", SmallInteger, nullable=False),  # database.record_blocks.Format
    Column("checksum_kind", Text),  # of the checksums that the task asked for
    Column("file_ids", LargeBinary),  # nodes.id of the files, packed; null = the catalogue has none
    Column("payload", LargeBinary, nullable=False),
)

# How many files of each outcome are in which block: for counting, and for finding blocks.
record_outcomes = Table(
    "record_outcomes",
    journal,
    Column("execution_id", BigInteger, primary_key=True, autoincrement=False),
    Column("outcome", SmallInteger, primary_key=True, autoincrement=False),  # 0 = of any
    Column("first_number", BigInteger, primary_key=True, autoincrement=False),  # of the block
    Column("files", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# Which blocks hold files of a folder of the source storage, and between which names.
record_folders = Table(
    "record_folders",
    journal,
    Column("execution_id", BigInteger, primary_key=True, autoincrement=False),
    Column("folder_key", BigInteger, primary_key=True, autoincrement=False),  # path_keys.path_key
    Column("first_number", BigInteger, primary_key=True, autoincrement=False),  # of the block
    Column("first_name", LargeBinary, nullable=False),
    Column("last_name", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# ------------------------------------------------------------------------------ catalogue

nodes = Table(
    "nodes",
    journal,
    Column("id", Identity, primary_key=True, autoincrement=False),  # from `identifiers`
    Column("root_id", BigInteger, nullable=False),  # nodes.id of the container or primary pool
    Column("parent_id", BigInteger),  # null for roots
    Column("name", LargeBinary, nullable=False),
    Column("kind", SmallInteger, nullable=False),  # domain.entry.EntryKind
    Column("size", BigInteger, nullable=False),
    Column("mode", Integer, nullable=False),
    Column("uid", BigInteger, nullable=False),
    Column("gid", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("atime_ns", BigInteger, nullable=False),
    Column("ctime_ns", BigInteger, nullable=False),
    Column("link_target", LargeBinary),
    Column("state", SmallInteger, nullable=False),  # database.node_rows.NodeState
    Column("lost", LargeBinary),  # domain.fidelity.Unkept: what a copy of the folder does not bear
    UniqueConstraint("parent_id", "name"),
)
Index(
    "ix_nodes_folders",
    nodes.c.parent_id,
    nodes.c.name,
    sqlite_where=nodes.c.kind == 2,
    postgresql_where=nodes.c.kind == 2,
)

copies = Table(
    "copies",
    journal,
    Column("file_id", BigInteger, primary_key=True, autoincrement=False),
    Column("storage_kind", SmallInteger, primary_key=True),  # domain.storage.StorageKind
    Column("storage_id", BigInteger, primary_key=True, autoincrement=False),
    Column("path", LargeBinary, primary_key=True),
    Column("path_key", BigInteger, nullable=False),  # database.path_keys.path_key
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("checksum_kind", Text),
    Column("checksum", LargeBinary),
    Column("xxh3_128", LargeBinary),
    Column("live", Boolean, nullable=False),
    Column("execution_id", BigInteger, nullable=False),
    Column("written_ns", BigInteger, nullable=False),
    Column("lost", LargeBinary),  # domain.fidelity.Unkept: what this copy does not bear
    # It was read back after it was written, or checked later. Null: before there was this column.
    Column("verified", Boolean),
    sqlite_with_rowid=False,
)
Index("ix_copies_path", copies.c.path_key, copies.c.storage_id)

# Which files a restore has taken in hand, as bits: see database/files_in_hand.py.
files_in_hand = Table(
    "files_in_hand",
    journal,
    Column("execution_id", BigInteger, primary_key=True, autoincrement=False),
    Column("destination", Integer, primary_key=True, autoincrement=False),
    Column("page", BigInteger, primary_key=True, autoincrement=False),
    Column("bits", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# What is known of a folder's files as a whole: see database/folder_digests.py.
folder_digests = Table(
    "folder_digests",
    journal,
    Column("folder_id", BigInteger, primary_key=True, autoincrement=False),  # nodes.id
    Column("place_key", BigInteger, primary_key=True, autoincrement=False),  # of copies and piece
    Column("digest", LargeBinary, nullable=False),
    Column("file_ids", LargeBinary, nullable=False),  # as of record_blocks, in the order of names
    sqlite_with_rowid=False,
)
for _statement, _dialect in folder_triggers():
    _made = DDL(_statement.replace("%", "%%"))  # type: ignore[no-untyped-call]
    event.listen(journal, "after_create", _made.execute_if(dialect=_dialect))
