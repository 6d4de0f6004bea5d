"""Limits, reasons of waiting and what explains a task, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from longshore.database import explaining, limits, waits
from longshore.database.connection import Database, reading, writing
from longshore.database.limits import StorageLimits
from longshore.database.storage_names import name_of
from longshore.database.tables.tasks import jobs, task_executions, tasks
from longshore.database.tables.users import users
from longshore.domain.storage import StorageKind, StorageReference
from longshore.domain.waiting import Reason, ReasonCode

SHARE = StorageReference(StorageKind.NAS_SHARE, 7)
CONTAINER = StorageReference(StorageKind.CONTAINER, 7)


@pytest.fixture
def task_id(database: Database) -> int:
    user = {"name": "u", "password_hash": "", "administrator": False, "creation_date": 0}
    with writing(database.state) as connection:
        owner = connection.execute(insert(users).values(user).returning(users.c.id)).scalar_one()
        task: dict[str, object] = dict.fromkeys(
            ("creation_date", "modification_date", "progress", "processed_size", "to_process_size"),
            0,
        )
        task |= {"owner_id": owner, "name": "t", "priority": 5, "action": "noop", "activate": 1}
        task |= {"creation_username": "u", "modification_username": "u"}
        task |= {"status": "not_activated", "delete": 0}
        made = connection.execute(insert(tasks).values(task).returning(tasks.c.id))
        return int(made.scalar_one())


def test_the_limit_of_a_task_is_set_changed_and_taken_away(
    database: Database, task_id: int
) -> None:
    for bandwidth in (1, 2**50, None):
        with writing(database.state) as connection:
            limits.limit_task(connection, task_id, bandwidth)
        with reading(database.state) as connection:
            assert limits.bandwidth_of_task(connection, task_id) == bandwidth
            assert limits.bandwidths_of_tasks(connection, []) == {}


def test_limits_of_storages_are_told_apart_by_kind(database: Database) -> None:
    found = StorageLimits(bandwidth=2**50, slots=0)
    with writing(database.state) as connection:
        limits.limit_storage(connection, SHARE, found)
        limits.limit_storage(connection, CONTAINER, StorageLimits())
    with reading(database.state) as connection:
        assert limits.of_storages(connection, [SHARE, CONTAINER]) == {SHARE: found}
        assert limits.of_storage(connection, CONTAINER) == StorageLimits()
        assert limits.of_storages(connection, []) == {}
        assert name_of(connection, SHARE) == "nas_share 7"


def test_reasons_come_back_as_they_were_written(database: Database) -> None:
    reason = Reason(ReasonCode.MOVERS_BUSY, "all movers are at work — “now”", {"task_ids": [1]})
    with writing(database.state) as connection:
        waits.put(connection, 5, [reason])
        waits.put(connection, 5, [reason, reason])
        waits.put(connection, waits.QUEUE, [reason])
    with reading(database.state) as connection:
        assert waits.read(connection, 5) == [reason, reason]
        assert waits.read(connection, 6) == []
    with writing(database.state) as connection:
        waits.put(connection, 5, [])
        assert waits.read(connection, 5) == []
        waits.forget_all(connection)
        assert waits.read(connection, waits.QUEUE) == []


def test_tasks_ahead_are_those_of_higher_priority_and_earlier_ones(
    database: Database, task_id: int
) -> None:
    numbers = (
        "to_process_size", "processed_size", "to_process_files", "processed_files",
        "finalized_files", "failed_files", "log_time", "active_seconds",
    )  # fmt: skip
    with writing(database.state) as connection:
        owner = connection.execute(tasks.select()).one().owner_id
        for number, (priority, status) in enumerate(
            [(5, "in_queue"), (9, "in_queue"), (5, "done"), (1, "in_queue"), (5, "in_queue")], 1
        ):
            row = dict.fromkeys(numbers, 0) | {
                "id": number,
                "task_id": 100 + number,
                "owner_id": owner,
                "name": "t",
                "priority": priority,
                "status": status,
                "plan": b"",
            }
            connection.execute(insert(task_executions).values(row))
        last, low = (explaining.execution(connection, number) for number in (5, 4))
        assert last is not None
        assert low is not None
        assert explaining.tasks_ahead(connection, last) == ([102, 101], 2)
        assert explaining.tasks_ahead(connection, low) == ([102, 101, 105], 3)


def test_requests_come_newest_first_and_name_who_asked(database: Database, task_id: int) -> None:
    with writing(database.state) as connection:
        user_id = connection.execute(users.select()).one().id
        for number, (asker, resource) in enumerate(
            [(user_id, task_id), (4711, task_id), (user_id, task_id + 1)]
        ):
            row = {
                "id": str(number),
                "user_id": asker,
                "controller": "tasks",
                "resource_id": resource,
                "action": "run",
                "status": "queued",
                "creation_ns": number,
            }
            connection.execute(insert(jobs).values(row))
        found = explaining.requests(connection, task_id)
        assert [(each.creation_ns, each.name) for each in found] == [(1, None), (0, "u")]
        assert explaining.is_pending(found[0])
        assert explaining.has_ends(connection, task_id) == (False, False)
        assert not explaining.has_option(connection, task_id, "overwrite", "1")
