"""The controller removes, by itself, what the settings do not want kept any longer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sqlalchemy import func, select

from longshore.database.connection import reading
from longshore.database.tables import counters, execution_files
from longshore.domain.execution import TaskStatus
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
            connection.execute(select(func.count(execution_files.c.number))).scalar_one(),
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
