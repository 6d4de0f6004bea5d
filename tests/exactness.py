"""What has to hold once nothing runs any more, whatever has happened before."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sqlalchemy import Connection, func, select

from longshore.database import journal
from longshore.database.connection import Database, reading
from longshore.database.record_blocks import ANY_OUTCOME
from longshore.database.tables.engine import record_outcomes, work
from longshore.database.tables.tasks import task_executions
from longshore.domain.execution import TaskStatus
from longshore.domain.outcome import PROCESSED, Outcome
from tests.records import files_on_record, path_of
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
    return Counter(each.record.outcome for each in files_on_record(database, execution_id))


def failures(database: Database, execution_id: int) -> list[tuple[bytes, str]]:
    """Path and error of each file that has failed."""
    return [
        (path_of(each), each.record.failure.text)
        for each in files_on_record(database, execution_id)
        if each.record.failure is not None
    ]


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
        heads = _heads(connection, execution_id)
    assert sums is not None
    files = files_on_record(database, execution_id)
    times = Counter((each.record.source, path_of(each)) for each in files)
    assert max(times.values(), default=1) == 1, "a file is there twice"
    numbers = [each.number for each in files]
    assert numbers == sorted(set(numbers)), "numbers are unique and in the order of the work"
    records = [each.record for each in files]
    assert heads == {**Counter(each.outcome.value for each in records), ANY_OUTCOME: len(records)}
    processed = [each for each in records if each.outcome in PROCESSED]
    counted = [each for each in records if each.outcome is not Outcome.REFUSED]
    assert sums.processed_files == len(processed)
    assert sums.processed_size == sum(each.entry.size for each in processed)
    assert sums.failed_files == sum(each.outcome is Outcome.FAILED for each in records)
    if complete:
        assert sums.to_process_files == len(counted)
        assert sums.to_process_size == sum(each.entry.size for each in counted)
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


def _heads(connection: Connection, execution_id: int) -> dict[int, int]:
    """How many files of each outcome the header tables say that there are."""
    columns = record_outcomes.c
    query = (
        select(columns.outcome, func.sum(columns.files))
        .where(columns.execution_id == execution_id)
        .group_by(columns.outcome)
    )
    found = {outcome: int(files) for outcome, files in connection.execute(query)}
    return {ANY_OUTCOME: 0} | found


def check_exact(
    database: Database,
    execution_id: int,
    source: Path,
    destination: Path,
    *,
    status: TaskStatus = TaskStatus.DONE,
) -> None:
    """The copy is complete and equal, every file is on record once, and nothing is left over."""
    found = status_of(database, execution_id)
    assert found is status, (found, failures(database, execution_id))
    assert describe(destination) == describe(source)
    assert staged_left(destination) == []
    assert work_left(database, execution_id) == 0
    check_records(database, execution_id)
    recorded = {path_of(each) for each in files_on_record(database, execution_id)}
    present = {path for path, (kind, *_) in describe(source).items() if kind != "folder"}
    assert recorded == present
