"""What has to hold once nothing runs any more, whatever has happened before."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sqlalchemy import func, select

from longshore.database import journal
from longshore.database.connection import Database, reading
from longshore.database.tables import execution_files, task_executions, work
from longshore.domain.execution import TaskStatus
from longshore.domain.outcome import PROCESSED, Outcome
from tests.trees import describe, staged_left


def last_execution(database: Database, task_id: int) -> int:
    with reading(database.state) as connection:
        query = select(func.max(task_executions.c.id)).where(task_executions.c.task_id == task_id)
        found = connection.execute(query).scalar()
    assert found is not None
    return int(found)


def status_of(database: Database, execution_id: int) -> TaskStatus:
    with reading(database.state) as connection:
        query = select(task_executions.c.status).where(task_executions.c.id == execution_id)
        return TaskStatus(connection.execute(query).scalar_one())


def outcomes(database: Database, execution_id: int) -> Counter[Outcome]:
    with reading(database.journal) as connection:
        query = select(execution_files.c.outcome).where(
            execution_files.c.execution_id == execution_id
        )
        return Counter(Outcome(value) for value in connection.execute(query).scalars())


def work_left(database: Database, execution_id: int) -> int:
    with reading(database.journal) as connection:
        query = select(func.count()).where(work.c.execution_id == execution_id)
        return int(connection.execute(query).scalar_one())


def check_records(database: Database, execution_id: int, *, complete: bool = True) -> None:
    """Each file is on record once, and every sum is the sum of the records.

    An execution that was not `complete` has found files which are not on record.
    """
    with reading(database.journal) as connection:
        sums = journal.read_counters(connection, execution_id)
        rows = connection.execute(
            select(
                execution_files.c.path,
                execution_files.c.outcome,
                execution_files.c.size,
            ).where(execution_files.c.execution_id == execution_id)
        ).all()
    assert sums is not None
    assert max(Counter(row.path for row in rows).values(), default=1) == 1, "a file is there twice"
    processed = [row for row in rows if Outcome(row.outcome) in PROCESSED]
    counted = [row for row in rows if Outcome(row.outcome) is not Outcome.REFUSED]
    assert sums.processed_files == len(processed)
    assert sums.processed_size == sum(row.size for row in processed)
    assert sums.failed_files == sum(Outcome(row.outcome) is Outcome.FAILED for row in rows)
    if complete:
        assert sums.to_process_files == len(counted)
        assert sums.to_process_size == sum(row.size for row in counted)
    with reading(database.state) as connection:
        shown = connection.execute(
            select(task_executions).where(task_executions.c.id == execution_id)
        ).one()
    assert (shown.processed_files, shown.processed_size) == (
        sums.processed_files,
        sums.processed_size,
    )
    assert (shown.to_process_files, shown.to_process_size, shown.failed_files) == (
        sums.to_process_files,
        sums.to_process_size,
        sums.failed_files,
    )


def check_exact(
    database: Database,
    execution_id: int,
    source: Path,
    destination: Path,
    *,
    status: TaskStatus = TaskStatus.DONE,
) -> None:
    """The copy is complete and equal, every file is on record once, and nothing is left over."""
    assert status_of(database, execution_id) is status
    assert describe(destination) == describe(source)
    assert staged_left(destination) == []
    assert work_left(database, execution_id) == 0
    check_records(database, execution_id)
    with reading(database.journal) as connection:
        query = select(execution_files.c.path).where(execution_files.c.execution_id == execution_id)
        recorded = {bytes(path) for path in connection.execute(query).scalars()}
    present = {path for path, (kind, *_) in describe(source).items() if kind != "folder"}
    assert recorded == present
