"""Which sources of a move may go: those whose copies are on record at every destination."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, distinct, func, select

from longshore.database.tables import execution_files
from longshore.domain.outcome import WRITTEN, Outcome
from longshore.domain.paths import join
from longshore.domain.record import PLACES_PER_WORK, Record
from longshore.pipeline.messages import ExecutionPlan, ReleaseGroup

HOLDING = WRITTEN | {Outcome.IDENTICAL}
"""Outcomes after which the destination holds the content of the source."""


def held_everywhere(
    connection: Connection, plan: ExecutionPlan, work_id: int, records: Sequence[Record]
) -> list[ReleaseGroup]:
    """The files of these records that every destination holds, grouped by folder.

    The records are in the database already. With several destinations the one that comes last
    finds the others on record, so each source is released exactly once.
    """
    holding = [record for record in records if record.outcome in HOLDING]
    if len(plan.destinations) > 1:
        complete = _complete(connection, plan, work_id)
        holding = [record for record in holding if _path(record) in complete]
    groups: list[ReleaseGroup] = []
    for record in holding:
        last = groups[-1] if groups else None
        if last is None or (last.source, last.folder) != (record.source, record.folder):
            last = ReleaseGroup(record.source, record.folder, [])
            groups.append(last)
        last.entries.append(record.entry)
    return groups


def _complete(connection: Connection, plan: ExecutionPlan, work_id: int) -> set[bytes]:
    """The source paths of the work item that are on record for every destination."""
    first = work_id * PLACES_PER_WORK
    ids = select(execution_files.c.file_id).where(
        execution_files.c.execution_id == plan.execution_id,
        execution_files.c.number.between(first, first + PLACES_PER_WORK - 1),
        execution_files.c.file_id.is_not(None),
    )
    query = (
        select(execution_files.c.path)
        .where(
            execution_files.c.execution_id == plan.execution_id,
            execution_files.c.file_id.in_(ids),
            execution_files.c.outcome.in_([outcome.value for outcome in HOLDING]),
        )
        .group_by(execution_files.c.path)
        .having(func.count(distinct(execution_files.c.number)) == len(plan.destinations))
    )
    return {bytes(path) for path in connection.execute(query).scalars()}


def _path(record: Record) -> bytes:
    return join(record.folder, record.entry.name)
