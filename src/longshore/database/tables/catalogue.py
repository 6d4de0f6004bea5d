"""Every file and every copy: the tree of nodes, and what is known of whole folders."""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    event,
)

from longshore.database.folder_triggers import triggers as folder_triggers
from longshore.database.tables.base import Identity, journal

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
