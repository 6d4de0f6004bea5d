"""The one question of a controller that has nothing to do: does anybody want anything."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, update

from longshore.database import runs
from longshore.database.connection import Database, looking, writing
from longshore.database.tables.tasks import jobs, task_executions, task_schedules, tasks
from longshore.database.tables.users import users

NOW = 1_700_000_000


@pytest.fixture(autouse=True)
def _a_task(database: Database) -> None:
    task = {
        "id": 1, "owner_id": 1000, "name": "t", "priority": 5, "action": "noop", "activate": 1,
        "creation_date": 0, "creation_username": "u", "modification_date": 0,
        "modification_username": "u", "status": "not_started", "progress": 0, "processed_size": 0,
        "to_process_size": 0, "delete": 0,
    }  # fmt: skip
    user = {
        "id": 1000, "name": "u", "password_hash": "x", "administrator": True, "creation_date": 0,
    }  # fmt: skip
    with writing(database.state) as connection:
        connection.execute(insert(users), [user])
        connection.execute(insert(tasks), [task])


def is_anything_wanted(database: Database) -> bool:
    with looking(database.state) as connection:
        return runs.is_anything_wanted(connection, NOW)


def add_schedule(database: Database, **more: Any) -> None:
    row = {
        "task_id": 1, "rrule": "FREQ=DAILY", "done": False, "creation_date": 0, "next": NOW,
        "missed_count": 0, "skipped_count": 0,
    }  # fmt: skip
    with writing(database.state) as connection:
        connection.execute(insert(task_schedules), [row | more])


def test_nothing_is_wanted_of_a_server_at_rest(database: Database) -> None:
    assert not is_anything_wanted(database)


def test_a_request_is_wanted_until_somebody_begins_it(database: Database) -> None:
    job = {
        "id": "j", "user_id": 1000, "controller": "tasks", "resource_id": 1, "action": "run",
        "status": "queued", "creation_ns": 0,
    }  # fmt: skip
    with writing(database.state) as connection:
        connection.execute(insert(jobs), [job])
    assert is_anything_wanted(database)
    with writing(database.state) as connection:
        runs.begin_job(connection, "j")
    assert not is_anything_wanted(database)


def test_an_execution_is_wanted_while_it_is_queued(database: Database) -> None:
    row = {
        "id": 1, "task_id": 1, "owner_id": 1000, "name": "t", "priority": 5, "status": "in_queue",
        "log_time": 0, "active_seconds": 0.0, "plan": b"", "to_process_size": 0,
        "processed_size": 0, "to_process_files": 0, "processed_files": 0, "finalized_files": 0,
        "failed_files": 0,
    }  # fmt: skip
    with writing(database.state) as connection:
        connection.execute(insert(task_executions), [row])
    assert is_anything_wanted(database)
    with writing(database.state) as connection:
        connection.execute(update(task_executions).values(status="done"))
    assert not is_anything_wanted(database)


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"next": NOW}, True),
        ({"next": NOW + 1}, False),
        ({"next": None}, True),
        ({"next": NOW, "done": True}, False),
    ],
    ids=["due", "later", "after a run's end", "done"],
)
def test_a_schedule_is_wanted_when_its_time_has_come(
    database: Database, row: dict[str, Any], wanted: bool
) -> None:
    add_schedule(database, **row)
    assert is_anything_wanted(database) is wanted
