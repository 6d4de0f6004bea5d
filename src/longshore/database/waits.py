"""Why executions wait, as the controller sees it: it writes, the api reads.

There is at most one row for each execution that is under way and one for the queue, and a row is
only written when it changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, delete, insert, select

from longshore.database.tables.control import waits
from longshore.domain.waiting import Reason

QUEUE = 0
"""Stands in the place of an execution's id: why nothing is taken out of the queue."""

_decoder = msgspec.json.Decoder(list[Reason])


def put(connection: Connection, execution_id: int, reasons: Sequence[Reason]) -> None:
    """Replace what is known of the execution."""
    connection.execute(delete(waits).where(waits.c.execution_id == execution_id))
    if reasons:
        encoded = msgspec.json.encode(reasons).decode()
        connection.execute(insert(waits).values(execution_id=execution_id, reasons=encoded))


def read(connection: Connection, execution_id: int) -> list[Reason]:
    query = select(waits.c.reasons).where(waits.c.execution_id == execution_id)
    found = connection.execute(query).scalar_one_or_none()
    return _decoder.decode(found) if found is not None else []


def forget_all(connection: Connection) -> None:
    """A controller begins: what the one before knew is over."""
    connection.execute(delete(waits))
