"""Keep the records of files in blocks instead of a row for each.

The rows become blocks of format 1 in the order of their numbers, and the table of rows is dropped.
The space it took is used again; the file of SQLite does not become smaller.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
import xxhash
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

FILES_AT_ONCE = 1_000  # rows in memory, and files of a block
PLACES_PER_WORK = 1 << 24
FORMAT_RECORDS = 1
ANY_OUTCOME = 0
UNKNOWN_SOURCE = -1

_rows = sa.table(
    "execution_files",
    *(
        sa.column(name)
        for name in (
            "execution_id", "number", "file_id", "path", "kind", "size", "mtime_ns", "outcome",
            "target_path", "checksum_kind", "checksum", "xxh3_128", "error_kind", "error_stage",
            "error_side", "error_text", "callback_id", "attempts", "finished_ns", "source",
        )
    ),
)  # fmt: skip
_nodes = sa.table(
    "nodes",
    *(
        sa.column(name)
        for name in ("id", "mode", "uid", "gid", "atime_ns", "ctime_ns", "link_target")
    ),
)


def upgrade() -> None:
    blocks, outcomes, folders = _create()
    connection = op.get_bind()
    execution_id: int | None = None
    while (execution_id := _next_execution(connection, execution_id)) is not None:
        for run in _runs(_read(connection, execution_id)):
            _write(connection, execution_id, run, blocks, outcomes, folders)
    op.drop_index("ix_execution_files_file", table_name="execution_files")
    op.drop_index("ix_execution_files_outcome", table_name="execution_files")
    op.drop_table("execution_files")


def _create() -> tuple[sa.Table, sa.Table, sa.Table]:
    blocks = op.create_table(
        "record_blocks",
        sa.Column("execution_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("format", sa.SmallInteger(), nullable=False),
        sa.Column("checksum_kind", sa.Text(), nullable=True),
        sa.Column("file_ids", sa.LargeBinary(), nullable=True),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("execution_id", "first_number", name=op.f("pk_record_blocks")),
    )
    outcomes = op.create_table(
        "record_outcomes",
        sa.Column("execution_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("outcome", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("first_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "execution_id", "outcome", "first_number", name=op.f("pk_record_outcomes")
        ),
        sqlite_with_rowid=False,
    )
    folders = op.create_table(
        "record_folders",
        sa.Column("execution_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("folder_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_name", sa.LargeBinary(), nullable=False),
        sa.Column("last_name", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "execution_id", "folder_key", "first_number", name=op.f("pk_record_folders")
        ),
        sqlite_with_rowid=False,
    )
    return blocks, outcomes, folders


# ------------------------------------------------------------------------------- reading


def _next_execution(connection: sa.Connection, last: int | None) -> int | None:
    query = sa.select(sa.func.min(_rows.c.execution_id))
    if last is not None:
        query = query.where(_rows.c.execution_id > last)
    return connection.execute(query).scalar()


def _read(connection: sa.Connection, execution_id: int) -> Iterator[sa.Row[Any]]:
    """The rows of an execution, with what the catalogue knows of the files."""
    number = -1
    query = (
        sa.select(_rows, *(column for column in _nodes.c if column.name != "id"))
        .select_from(_rows.outerjoin(_nodes, _nodes.c.id == _rows.c.file_id))
        .where(_rows.c.execution_id == execution_id)
        .order_by(_rows.c.number)
        .limit(FILES_AT_ONCE)
    )
    while some := connection.execute(query.where(_rows.c.number > number)).all():
        yield from some
        number = some[-1].number


def _runs(rows: Iterable[sa.Row[Any]]) -> Iterator[list[sa.Row[Any]]]:
    """Rows that one block can hold."""
    run: list[sa.Row[Any]] = []
    for row in rows:
        if run and not _follows(run, row):
            yield run
            run = []
        run.append(row)
    if run:
        yield run


def _follows(run: Sequence[sa.Row[Any]], row: sa.Row[Any]) -> bool:
    if len(run) == FILES_AT_ONCE or row.number != run[-1].number + 1:
        return False
    if row.checksum is not None and _kind(run) not in {None, row.checksum_kind}:
        return False
    return bool(row.number % PLACES_PER_WORK != 0)


def _kind(run: Sequence[sa.Row[Any]]) -> str | None:
    """The kind of the checksums: mostly the first row has it already."""
    return next((row.checksum_kind for row in run if row.checksum is not None), None)


# ------------------------------------------------------------------------------- writing


def _write(
    connection: sa.Connection,
    execution_id: int,
    run: Sequence[sa.Row[Any]],
    blocks: sa.Table,
    outcomes: sa.Table,
    folders: sa.Table,
) -> None:
    key = {"execution_id": execution_id, "first_number": run[0].number}
    values = {
        "files": len(run),
        "format": FORMAT_RECORDS,
        "checksum_kind": _kind(run),
        "file_ids": _ids([row.file_id for row in run]),
        "payload": msgspec.msgpack.encode([_record(row) for row in run]),
    }
    connection.execute(sa.insert(blocks), [key | values])
    counted = {ANY_OUTCOME: len(run)}
    names: dict[int, list[bytes]] = {}
    for row in run:
        counted[row.outcome] = counted.get(row.outcome, 0) + 1
        folder, name = _split(row.path)
        names.setdefault(_folder_key(folder), []).append(name)
    connection.execute(
        sa.insert(outcomes),
        [key | {"outcome": outcome, "files": files} for outcome, files in counted.items()],
    )
    connection.execute(
        sa.insert(folders),
        [
            key | {"folder_key": folder_key, "first_name": min(inside), "last_name": max(inside)}
            for folder_key, inside in names.items()
        ],
    )


def _record(row: sa.Row[Any]) -> list[object]:
    """The record as format 1 has it: the fields of domain.record.Record at this schema."""
    folder, name = _split(row.path)
    failure = row.error_kind and [
        row.error_kind,
        row.error_stage,
        row.error_side or 0,
        row.error_text or "",
    ]
    entry = [name, row.kind, row.size, row.mode or 0, row.uid or 0, row.gid or 0, row.mtime_ns]
    if row.mode:
        entry += [row.atime_ns, row.ctime_ns, 0, 1, bytes(row.link_target or b"")]
    else:
        entry += [0, 0]
    return [
        row.number % PLACES_PER_WORK,
        UNKNOWN_SOURCE if row.source is None else row.source,
        folder,
        entry,
        row.outcome,
        bytes(row.target_path or b""),
        bytes(row.xxh3_128 or b""),
        bytes(row.checksum or b""),
        failure or None,
        row.callback_id or 0,
        row.attempts,
        row.finished_ns,
    ]


def _split(path: bytes) -> tuple[bytes, bytes]:
    folder, _, name = bytes(path).rpartition(b"/")
    return folder, name


def _ids(file_ids: Sequence[int | None]) -> bytes | None:
    """Runs of ids that follow each other: the first one, 0 for none, and how many."""
    if not any(file_ids):
        return None
    runs: list[int] = []
    expected = -1
    for file_id in file_ids:
        if (file_id or 0) == expected:
            runs[-1] += 1
        else:
            runs += (file_id or 0, 1)
        expected = file_id + 1 if file_id else 0
    return msgspec.msgpack.encode(runs)


def _folder_key(path: bytes) -> int:
    folder, _, name = path.rpartition(b"/")
    unsigned = xxhash.xxh32_intdigest(folder) << 32 | xxhash.xxh32_intdigest(name)
    return unsigned - (1 << 64) if unsigned >= 1 << 63 else unsigned
