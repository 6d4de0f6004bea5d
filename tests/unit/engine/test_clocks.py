"""Clocks that jump by hours while a task runs: durations, order and records stay right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from longshore import faults
from longshore.database import runs
from longshore.database.connection import writing
from longshore.database.tables.tasks import jobs
from longshore.domain.errors import ErrorKind, RetryClass
from longshore.domain.execution import JobStatus, TaskStatus
from longshore.domain.outcome import Outcome
from longshore.domain.storage import StorageAddress
from longshore.storage.handler import StorageHandler
from longshore.storage.wrappers.faults import Deed, Fault, FaultPlan, Refuse
from longshore.storage.wrappers.faulty import FaultyStorage
from tests.exactness import check_exact, outcomes, status_of
from tests.story import add_copy_task
from tests.trees import describe, grow
from tests.unit.engine.archiving import Archiving
from tests.workshop import Workshop, open_quickly, reaching

FILES = 40
HOUR = 3600.0
JUMPS = (5 * HOUR, -7 * HOUR, 50 * HOUR, -50 * HOUR)


def jumping(workshop: Workshop) -> faults.Reach:
    """With every order of a mover the clock of controller and movers is another one."""
    seen = 0

    def reach(point: str, detail: bytes) -> None:
        nonlocal seen
        if point in {"mover.order", "mover.reply"}:
            seen += 1
            workshop.jumped_seconds = JUMPS[seen % len(JUMPS)]

    return reach


def test_a_copy_and_a_move_are_exact_while_clocks_jump(workshop: Workshop, tmp_path: Path) -> None:
    archiving = Archiving(workshop, tmp_path / "s")
    grow(archiving.source, FILES)
    before = describe(archiving.source)
    with reaching(jumping(workshop)):
        copied = archiving.run(archiving.copy(archiving.away))
        check_exact(workshop.database, copied, archiving.source, archiving.destination)
        moved = archiving.run(archiving.move())
    assert outcomes(workshop.database, moved) == {Outcome.IDENTICAL: FILES}
    assert status_of(workshop.database, moved) is TaskStatus.DONE
    assert describe(archiving.destination) == before
    assert list(archiving.source.iterdir()) == []


def test_a_run_does_not_end_before_it_began(workshop: Workshop, tmp_path: Path) -> None:
    archiving = Archiving(workshop, tmp_path / "s")
    grow(archiving.source, 5)

    def reach(point: str, detail: bytes) -> None:
        if point == "mover.order":
            workshop.jumped_seconds = -7 * HOUR

    task = archiving.copy(archiving.away)
    with reaching(reach):
        archiving.run(task)
    for shown in (task.execution(), task.show()):
        assert shown["job_finished"] == shown["job_started"]


@pytest.mark.parametrize("jump", JUMPS)
def test_a_lost_storage_is_waited_for_as_long_as_ever(
    workshop: Workshop, tmp_path: Path, jump: float
) -> None:
    """Neither given up at once nor waited for over hours: the pauses are durations."""
    workshop.config = replace(workshop.config, storage_retry_seconds=60.0)
    archiving = Archiving(workshop, tmp_path / "s")
    grow(archiving.source, 5)
    full = Refuse(ErrorKind.NO_SPACE, RetryClass.LATER, whole_storage=True)
    plan = FaultPlan([Fault(Deed.STAGE, full, times=1)])

    def open_storage(address: StorageAddress) -> StorageHandler:
        opened = open_quickly(address)
        is_there = address.settings["root"] == str(archiving.destination)
        return FaultyStorage(opened, plan) if is_there else opened

    workshop.open_storage = open_storage

    def reach(point: str, detail: bytes) -> None:
        if (point, detail) == ("mover.reply", b"COPY"):
            workshop.jumped_seconds = jump

    with reaching(reach):
        execution = archiving.run(archiving.copy(archiving.away))
    check_exact(workshop.database, execution, archiving.source, archiving.destination)


def test_backups_build_upon_each_other_though_the_clock_was_put_back(
    workshop: Workshop, tmp_path: Path
) -> None:
    archiving = Archiving(workshop, tmp_path / "s")
    grow(archiving.source, 6)
    client = archiving.client
    task = add_copy_task(
        client, archiving.live, archiving.away, workflow_action="incremental_backup"
    )
    executions = []
    for jump, copied in ((0.0, 6), (-20 * HOUR, 1), (-40 * HOUR, 1)):
        workshop.jumped_seconds = jump
        executions.append(archiving.run(task))
        found = outcomes(workshop.database, executions[-1])
        assert found[Outcome.COPIED] == copied
        (archiving.source / f"new-{jump}").write_text("new")
    assert executions == sorted(executions), "in the order in which they were run"
    assert task.execution()["id"] == str(executions[-1])


def test_a_request_outlives_a_clock_that_jumps(workshop: Workshop) -> None:
    """Answers are removed after a day, requests that nobody has carried out are not."""
    row = {"user_id": 1, "controller": "tasks", "resource_id": 1, "action": "run", "creation_ns": 1}
    with writing(workshop.database.state) as connection:
        for status in JobStatus:
            connection.execute(insert(jobs), row | {"id": status.value, "status": status.value})
        runs.remove_jobs_before(connection, 2)
        left = set(connection.execute(select(jobs.c.id)).scalars())
    assert left == {JobStatus.QUEUED.value, JobStatus.WORKING.value}
