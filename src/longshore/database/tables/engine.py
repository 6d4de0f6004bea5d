"""What the engine does: its lease, its work, what it counts, and its records of files."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
)

from longshore.database.tables.base import id_column, journal

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
    id_column(),
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
