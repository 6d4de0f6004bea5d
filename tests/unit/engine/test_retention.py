"""The controller removes, by itself, what the settings do not want kept any longer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from longshore.database import retention, runs
from longshore.database.connection import reading, writing
from longshore.database.tables.engine import counters
from longshore.database.tables.tasks import task_executions
from longshore.database.tables.users import users
from longshore.domain.execution import TaskStatus
from tests.records import every_file_on_record
from tests.story import Task, add_copy_task, add_share_pool
from tests.trees import grow
from tests.workshop import Workshop

FILES = 30
HOURS_OF_40_DAYS = 40 * 24  # each life of the workshop is an hour after the one before


def finished_task(workshop: Workshop, folder: Path) -> Task:
    client, source, destination = workshop.client(), folder / "source", folder / "destination"
    source.mkdir()
    destination.mkdir()
    grow(source, FILES)
    task = add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
    )
    client.put(f"/tasks/{task.id}/action/run").raise_for_status()
    workshop.live(lambda: workshop.status(task.id) is TaskStatus.DONE)
    return task


def records(workshop: Workshop) -> tuple[int, int]:
    """(executions with counters, records of files)."""
    with reading(workshop.database.journal) as connection:
        return (
            connection.execute(select(func.count(counters.c.execution_id))).scalar_one(),
            len(every_file_on_record(workshop.database)),
        )


def test_records_go_after_their_days_and_the_sums_stay(workshop: Workshop, tmp_path: Path) -> None:
    task = finished_task(workshop, tmp_path)
    report = f"/task_executions/{task.execution()['id']}/report"
    assert len(task.client.get(report).content.splitlines()) == FILES + 5
    workshop.config = replace(workshop.config, keep_outcomes_days=30)
    rounds = iter(range(20))
    workshop.live(lambda: next(rounds, None) is None)
    assert records(workshop) == (1, FILES), "an hour later nothing is old enough"
    workshop.lives = HOURS_OF_40_DAYS
    workshop.live(lambda: records(workshop) == (0, 0))
    assert task.client.get(report).status_code == 404
    assert task.files() == []
    assert task.execution()["processed_files"] == FILES
    assert task.show()["status"] == "done"
    client = task.client
    client.put(f"/tasks/{task.id}/action/run").raise_for_status()
    workshop.live(lambda: records(workshop)[1] == FILES and workshop.status(task.id) == "done")
    assert {each["outcome"] for each in task.files()} == {"identical"}


FULL, INCREMENTAL = "full_backup", "incremental_backup"


@pytest.mark.parametrize(
    ("backups", "needed"),
    [
        ([(FULL, "done"), (INCREMENTAL, "done"), (INCREMENTAL, "done")], {1, 2, 3}),
        ([(FULL, "done"), (INCREMENTAL, "done"), (FULL, "done")], {3}),
        ([(FULL, "done"), (FULL, "done"), (INCREMENTAL, "finished_with_warnings")], {2, 3}),
        # One that ended badly is nothing to build upon, and ends no chain either.
        ([(FULL, "done"), (INCREMENTAL, "error"), (FULL, "stopped_by_user")], {1}),
        # Without a full one the first incremental one was full.
        ([(INCREMENTAL, "done"), (INCREMENTAL, "done")], {1, 2}),
        ([("copy", "done"), ("copy", "done")], set()),
    ],
)
def test_a_backup_stays_as_long_as_a_later_one_may_build_upon_it(
    workshop: Workshop, tmp_path: Path, backups: list[tuple[str, str]], needed: set[int]
) -> None:
    for each in ("source", "destination"):
        (tmp_path / each).mkdir()
    client = workshop.client()
    pool = add_share_pool(client, "live", "primary", tmp_path / "source")
    away = add_share_pool(client, "archive", "offline_archive", tmp_path / "destination")
    task = add_copy_task(client, pool, away)
    zeros = dict.fromkeys(
        (
            "to_process_size", "processed_size", "to_process_files", "processed_files",
            "finalized_files", "failed_files", "log_time", "active_seconds",
        ), 0,
    )  # fmt: skip
    rows = [
        {
            "id": number, "task_id": task.id, "name": "backup", "priority": 5,
            "workflow_action": action, "status": status, "plan": b"", **zeros,
        }
        for number, (action, status) in enumerate(backups, start=1)
    ]  # fmt: skip
    with writing(workshop.database.state) as connection:
        owner = connection.execute(select(func.min(users.c.id))).scalar_one()
        connection.execute(insert(task_executions), [row | {"owner_id": owner} for row in rows])
    with reading(workshop.database.state) as connection:
        facts = retention.facts(connection, range(1, len(rows) + 1))
        chain = runs.backup_chain(connection, task.id, full=FULL, incremental=INCREMENTAL, limit=99)
    assert {row.id for row in facts if row.needed_backup} == needed
    assert set(chain) == needed, "what an incremental backup builds upon is what is kept"
