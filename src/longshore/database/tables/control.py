"""What holds runs back: limits, what waits for them, and the fence against an older server."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, SmallInteger, Table, Text

from longshore.database.tables.base import Identity, state

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
