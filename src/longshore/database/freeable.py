"""Files that may leave a cache, sorted by the database: in memory there is a page of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, tuple_

from longshore.database import bulk
from longshore.database.tables.engine import freeable_files

_KEY = (freeable_files.c.atime_ns, freeable_files.c.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeableFile:
    """A file of a cache. The number is unique in the execution and breaks ties."""

    atime_ns: int
    number: int
    file_id: int
    payload: bytes


def put(connection: Connection, execution_id: int, files: Sequence[FreeableFile]) -> None:
    """Take note of files that were found."""
    if files:
        columns = {name: [getattr(each, name) for each in files] for name in FreeableFile.__slots__}
        fixed = {"execution_id": execution_id}
        bulk.insert(connection, freeable_files, columns, fixed=fixed)


def take(connection: Connection, execution_id: int, *, limit: int) -> list[FreeableFile]:
    """Take out the files that were not accessed for longest, the oldest access first."""
    of_execution = freeable_files.c.execution_id == execution_id
    query = select(freeable_files).where(of_execution).order_by(*_KEY).limit(limit)
    found = [
        FreeableFile(
            atime_ns=row.atime_ns,
            number=row.number,
            file_id=row.file_id,
            payload=bytes(row.payload),
        )
        for row in connection.execute(query)
    ]
    if found:
        last = (found[-1].atime_ns, found[-1].number)
        taken = of_execution & (tuple_(*_KEY) <= tuple_(*last))
        connection.execute(delete(freeable_files).where(taken))
    return found


def forget(connection: Connection, execution_id: int) -> None:
    """Remove what is left of an execution that is not to go on."""
    connection.execute(delete(freeable_files).where(freeable_files.c.execution_id == execution_id))
