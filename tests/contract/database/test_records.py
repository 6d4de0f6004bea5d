"""Paging through an execution's records, and removing them when they were kept long enough."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from sqlalchemy import Connection, Table, func, insert, select

from longshore.config import Config
from longshore.database import leases, reports, retention
from longshore.database.connection import Database, reading, writing
from longshore.database.recorded_files import files_after
from longshore.database.tables.engine import (
    counters,
    record_blocks,
    record_folders,
    record_outcomes,
    work,
)
from longshore.database.tables.tasks import execution_log, task_executions, tasks
from longshore.database.tables.users import users
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record
from longshore.engine.floor import Floor
from longshore.engine.retention import Retention, sweep
from tests.records import add_records, record

DAY = 86_400
NOW = 1_700_000_000
OLD = NOW - 40 * DAY
CHUNK = retention.CHUNK_BLOCKS


def execution_id(started: int, number: int = 0) -> int:
    return started * 1_000_000_000 + number


@pytest.fixture
def declared(database: Database) -> Database:
    with writing(database.state) as connection:
        connection.execute(
            insert(users).values(
                id=1000, name="u", password_hash="x", administrator=True, creation_date=0
            )
        )
    return database


FloorOf = Callable[..., Floor]


@pytest.fixture
def floor_of(declared: Database) -> FloorOf:
    def make(**settings: Any) -> Floor:
        with writing(declared.journal) as connection:
            lease = leases.take(connection, "test", NOW + 1000)
        return Floor(
            config=Config(**settings),
            database=declared,
            lease=lease,
            callbacks_test=Future(),
            clock=lambda: float(NOW),
            monotonic=itertools.count(0, 1).__next__,
            time_ns=lambda: NOW * 1_000_000_000,
        )

    return make


def add_task(database: Database, task_id: int, shows: int | None) -> None:
    row = {
        "id": task_id, "owner_id": 1000, "name": "t", "priority": 5, "action": "noop",
        "activate": 1, "creation_date": 0, "creation_username": "u", "modification_date": 0,
        "modification_username": "u", "status": "done", "progress": 0, "processed_size": 0,
        "to_process_size": 0, "delete": 0, "execution_id": shows,
    }  # fmt: skip
    with writing(database.state) as connection:
        connection.execute(insert(tasks), [row])


def add_execution(
    database: Database, number: int, *, ended: int | None = OLD, files: int = 3, **more: Any
) -> int:
    """An execution that began 50 days ago, with counters, files and a line of log."""
    key = execution_id(NOW - 50 * DAY, number)
    sums = ("to_process_size", "processed_size", "to_process_files", "processed_files",
            "finalized_files", "failed_files")  # fmt: skip
    row = {
        "id": key, "task_id": 1, "owner_id": 1000, "name": "t", "priority": 5, "status": "done",
        "workflow_action": "copy", "log_time": 0, "job_started": NOW - 50 * DAY,
        "job_finished": ended, "active_seconds": 0.0, "plan": b"", **dict.fromkeys(sums, 0),
    }  # fmt: skip
    with writing(database.state) as connection:
        connection.execute(insert(task_executions), [row | more])
        line = {"execution_id": key, "date": 0, "level": "info", "text": "x"}
        connection.execute(insert(execution_log), [line] * 3)
    with writing(database.journal) as connection:
        connection.execute(
            insert(counters),
            [{"execution_id": key, "refused_files": 0, "warnings": 0, **dict.fromkeys(sums, 0)}],
        )
        add_records(connection, key, (recorded(place) for place in range(files)))
    return key


def recorded(place: int) -> tuple[int, Record, None]:
    """Every seventh number is on record: each of them is a block of its own."""
    outcome = Outcome.FAILED if place % 10 == 3 else Outcome.COPIED
    return place * 7, record(place * 7, b"d%d/p" % (place % 5), outcome=outcome), None


def count(connection: Connection, table: Table, key: int) -> int:
    column = table.c.id if table is task_executions else table.c.execution_id
    query = select(func.count()).where(column == key)
    return connection.execute(query).scalar_one()


def left_of(database: Database, key: int) -> tuple[int, int, int, int]:
    """(executions, log lines, counters, files) that are still there."""
    with reading(database.state) as state, reading(database.journal) as journal:
        if not count(journal, record_blocks, key):
            assert not count(journal, record_outcomes, key)
            assert not count(journal, record_folders, key)
        return (
            count(state, task_executions, key),
            count(state, execution_log, key),
            count(journal, counters, key),
            count(journal, record_blocks, key),
        )


WHOLE, WITHOUT_FILES, GONE = (1, 3, 1, 3), (1, 3, 0, 0), (0, 0, 0, 0)


# --------------------------------------------------------------------------------- paging


@pytest.mark.parametrize("limit", [1, 7, 100, 1000])
@pytest.mark.parametrize("outcome", [None, Outcome.FAILED])
def test_pages_have_every_file_once_and_in_order(
    declared: Database, limit: int, outcome: Outcome | None
) -> None:
    key, _ = add_execution(declared, 1, files=100), add_execution(declared, 2)
    found: list[int] = []
    after = -1
    with reading(declared.journal) as connection:
        outcomes = None if outcome is None else {outcome}
        while rows := files_after(connection, key, after, limit=limit, outcomes=outcomes):
            assert len(rows) <= limit
            found += [row.number for row in rows]
            after = rows[-1].number
    places = [n for n in range(100) if outcome is None or n % 10 == 3]
    assert found == [7 * place for place in places]


# ------------------------------------------------------------------------------ retention


def test_nothing_is_removed_unless_a_setting_says_so(declared: Database, floor_of: FloorOf) -> None:
    key = add_execution(declared, 1)
    assert list(sweep(floor_of())) == []
    assert left_of(declared, key) == WHOLE


def test_records_of_files_go_when_their_time_is_over(declared: Database, floor_of: FloorOf) -> None:
    add_task(declared, 1, None)
    old, young = add_execution(declared, 1), add_execution(declared, 2, ended=NOW - 29 * DAY)
    failed = add_execution(declared, 3, status="error")
    for _ in sweep(floor_of(keep_outcomes_days=30)):
        pass
    assert left_of(declared, old) == left_of(declared, failed) == WITHOUT_FILES
    assert left_of(declared, young) == WHOLE
    with reading(declared.state) as connection:
        assert reports.outcomes_removed(connection, old)
        assert not reports.outcomes_removed(connection, young)
        assert reports.outcomes_removed(connection, 12345), "an execution that there is not"


@pytest.mark.parametrize(
    "status", ["in_queue", "calculating", "in_progress", "paused", "stopped_by_system"]
)
def test_an_execution_that_can_go_on_keeps_everything(
    declared: Database, floor_of: FloorOf, status: str
) -> None:
    key = add_execution(declared, 1, status=status)
    add_task(declared, 1, key)
    for _ in sweep(floor_of(keep_outcomes_days=1, keep_executions_days=1)):
        pass
    assert left_of(declared, key) == WHOLE


def test_an_execution_whose_staged_files_are_being_removed_keeps_everything(
    declared: Database, floor_of: FloorOf
) -> None:
    key = add_execution(declared, 1, status="stopped_by_user")
    item = {"execution_id": key, "kind": 4, "state": 1, "attempts": 0, "files": 0, "bytes": 0}
    with writing(declared.journal) as connection:
        connection.execute(insert(work), [item | {"payload": b""}])
    for _ in sweep(floor_of(keep_outcomes_days=1, keep_executions_days=1)):
        pass
    assert left_of(declared, key) == WHOLE


def test_what_the_system_stopped_goes_once_the_task_ran_again(
    declared: Database, floor_of: FloorOf
) -> None:
    stopped, later = add_execution(declared, 1, status="stopped_by_system"), execution_id(NOW)
    add_task(declared, 1, later)
    for _ in sweep(floor_of(keep_executions_days=30)):
        pass
    assert left_of(declared, stopped) == GONE


def test_executions_go_with_everything_but_the_one_that_a_task_shows(
    declared: Database, floor_of: FloorOf
) -> None:
    first, last = add_execution(declared, 1), add_execution(declared, 2)
    orphan = add_execution(declared, 3, task_id=77)
    young = add_execution(declared, 4, ended=NOW)
    add_task(declared, 1, last)
    for _ in sweep(floor_of(keep_executions_days=30)):
        pass
    assert left_of(declared, first) == left_of(declared, orphan) == GONE
    assert left_of(declared, last) == left_of(declared, young) == WHOLE


def test_the_last_full_backup_and_what_builds_on_it_stay_for_the_next_one(
    declared: Database, floor_of: FloorOf
) -> None:
    full = add_execution(declared, 1, workflow_action="full_backup")
    needed = add_execution(
        declared, 2, workflow_action="incremental_backup", status="finished_with_warnings"
    )
    failed = add_execution(declared, 3, workflow_action="incremental_backup", status="error")
    other = add_execution(declared, 4, workflow_action="full_backup", task_id=2)
    add_task(declared, 1, failed)
    for _ in sweep(floor_of(keep_outcomes_days=30, keep_executions_days=30)):
        pass
    assert left_of(declared, needed) == WHOLE
    assert left_of(declared, full) == WHOLE, "the incremental one builds on it"
    assert left_of(declared, failed) == WITHOUT_FILES
    assert left_of(declared, other) == GONE, "its task is gone, so nothing builds on it"


def test_records_go_in_chunks_and_a_broken_sweep_begins_again(
    declared: Database, floor_of: FloorOf
) -> None:
    key = add_execution(declared, 1, files=2 * CHUNK + 10)
    floor = floor_of(keep_outcomes_days=30)
    seen = []
    for _ in sweep(floor):
        seen.append(left_of(declared, key)[3])
        if seen[-1] == CHUNK + 10:
            break
    assert all(before - after <= CHUNK for before, after in itertools.pairwise(seen))
    with reading(declared.state) as connection:
        assert reports.outcomes_removed(connection, key), "marked before the first is removed"
    for _ in sweep(floor):
        pass
    assert left_of(declared, key) == WITHOUT_FILES


def test_a_sweep_takes_only_a_moment_of_each_round(declared: Database, floor_of: FloorOf) -> None:
    key = add_execution(declared, 1, files=3 * CHUNK)
    floor = floor_of(keep_outcomes_days=30)
    now = 0.0

    def monotonic() -> float:
        nonlocal now
        now += 0.01  # every look at the clock finds that much gone
        return now

    floor.monotonic = monotonic
    housekeeping = Retention()
    housekeeping.work(floor)
    assert left_of(declared, key)[3] == 2 * CHUNK, "two steps: a look, and one chunk"
    for _ in range(10):
        housekeeping.work(floor)
    assert left_of(declared, key) == WITHOUT_FILES
    other = add_execution(declared, 2)
    housekeeping.work(floor)
    assert left_of(declared, other) == WHOLE, "the next sweep is an hour away"
    now += 3600
    for _ in range(5):
        housekeeping.work(floor)
    assert left_of(declared, other) == WITHOUT_FILES
