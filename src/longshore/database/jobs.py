"""Jobs: requests for actions, on their way from the api to the controller."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, insert, select

from longshore.database.tables.tasks import jobs

LIFETIME_NANOSECONDS = 24 * 3600 * 1_000_000_000  # for so long a client may ask what became of it


def create(connection: Connection, values: dict[str, Any]) -> None:
    """Put a request where the controller finds it."""
    connection.execute(insert(jobs).values(**values))


def find(connection: Connection, job_id: str, *, now_ns: int, **belonging: Any) -> Row[Any] | None:
    """The job that has these columns, unless it is too old to be asked for."""
    query = select(jobs).where(
        jobs.c.id == job_id,
        jobs.c.creation_ns > now_ns - LIFETIME_NANOSECONDS,
        *[jobs.c[name] == value for name, value in belonging.items()],
    )
    return connection.execute(query).one_or_none()
