"""Answers to requests that may come again, kept for a while.

A row is made at the beginning of the transaction that carries the request out and filled in at its
end, so nobody ever sees one without its answer: whoever sends the same request meanwhile waits
for the row and then finds it complete, or not at all.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from longshore.database.tables.users import answers
from longshore.domain.errors import LongshoreError

LIFETIME_SECONDS = 24 * 3600  # so long a client may come back
ANSWERS_MAXIMUM = 100_000  # some 100 MB; beyond it the oldest go early
REMOVED_AT_ONCE = 20  # with every new one, so the table shrinks faster than it grows

COLUMNS = answers.c


class RequestTaken(LongshoreError):
    """The same request was, or is being, carried out by somebody else."""


def find(connection: Connection, request: bytes, now: int) -> Row[Any] | None:
    """The answer that the request got, if it is not too old."""
    query = select(answers).where(
        COLUMNS.request == request, COLUMNS.creation_date > now - LIFETIME_SECONDS
    )
    return connection.execute(query).one_or_none()


def begin(connection: Connection, request: bytes, content: bytes, now: int) -> int:
    """The id of the row of a request that is about to be carried out. Raises RequestTaken."""
    old = COLUMNS.creation_date <= now - LIFETIME_SECONDS
    connection.execute(delete(answers).where(COLUMNS.request == request, old))
    row = {"request": request, "content": content, "creation_date": now}
    try:
        made = connection.execute(insert(answers).values(row).returning(COLUMNS.id)).scalar_one()
    except IntegrityError as error:
        raise RequestTaken("the request was carried out already") from error
    _remove_some(connection, old)
    _remove_some(connection, COLUMNS.id <= made - ANSWERS_MAXIMUM)
    return int(made)


def finish(connection: Connection, answer_id: int, status: int, headers: str, body: bytes) -> None:
    """Fill in the answer."""
    values = {"status": status, "headers": headers, "body": body}
    connection.execute(update(answers).where(COLUMNS.id == answer_id).values(values))


def _remove_some(connection: Connection, which: Any) -> None:
    oldest = select(COLUMNS.id).where(which).order_by(COLUMNS.id).limit(REMOVED_AT_ONCE)
    connection.execute(delete(answers).where(COLUMNS.id.in_(oldest)))
