"""What became of each file of an execution, joined with the catalogue's entries."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Select, case, func, select

from longshore.database.query import Filterable, Filterables, Kind
from longshore.database.tables import execution_files, nodes
from longshore.domain.entry import EntryKind
from longshore.domain.outcome import Outcome

COLUMNS = execution_files.c

FILES_DEFAULT = 1_000  # rows of a listing that names no limit

_OUTCOMES = {outcome.name.lower(): outcome.value for outcome in Outcome}


def _date(column: Any, *, nullable: bool = True) -> Filterable:
    return Filterable(column, Kind.NANOSECONDS, nullable=nullable)


FILTERABLES: Filterables = {
    "file_id": Filterable(COLUMNS.file_id, Kind.INTEGER),
    "name": Filterable(func.coalesce(nodes.c.name, COLUMNS.path), Kind.BYTES, nullable=False),
    "type": Filterable(
        case((COLUMNS.kind == EntryKind.FOLDER.value, "folder"), else_="file"), nullable=False
    ),
    "permission": Filterable(nodes.c.mode, Kind.PERMISSION),
    "size": Filterable(COLUMNS.size, Kind.INTEGER, nullable=False),
    "change_date": _date(nodes.c.ctime_ns),
    "modification_date": _date(COLUMNS.mtime_ns, nullable=False),
    "access_date": _date(nodes.c.atime_ns),
    "gid": Filterable(nodes.c.gid, Kind.INTEGER),
    "uid": Filterable(nodes.c.uid, Kind.INTEGER),
    "outcome": Filterable(COLUMNS.outcome, Kind.INTEGER, nullable=False, codes=_OUTCOMES),
}


def of(execution_id: int, *, parent_id: int | None = None) -> Select[Any]:
    """The files of an execution; with a parent those directly in that folder."""
    statement = (
        select(
            *[column for column in COLUMNS if column.name != "xxh3_128"],
            nodes.c.name,
            nodes.c.parent_id,
            nodes.c.root_id,
            nodes.c.mode,
            nodes.c.uid,
            nodes.c.gid,
            nodes.c.ctime_ns,
            nodes.c.atime_ns,
        )
        .select_from(execution_files.outerjoin(nodes, nodes.c.id == COLUMNS.file_id))
        .where(COLUMNS.execution_id == execution_id)
    )
    return statement if parent_id is None else statement.where(nodes.c.parent_id == parent_id)


def find(connection: Connection, execution_id: int, file_id: int) -> Row[Any] | None:
    """The file of the execution; of several records the first."""
    statement = of(execution_id).where(COLUMNS.file_id == file_id)
    return connection.execute(statement.order_by(COLUMNS.number).limit(1)).one_or_none()
