"""Movers that die again and again on the same work: the guilty file is found, the rest arrives."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from pathlib import Path

import pytest

from longshore.domain.execution import IDLE, TaskStatus
from longshore.domain.outcome import Outcome
from longshore.engine.deaths import DEATHS_MAXIMUM
from longshore.pipeline.messages.plan import WorkKind
from tests.exactness import check_records, last_execution, outcomes, status_of, work_left
from tests.records import failed_on_record
from tests.story import Task, add_copy_task, add_share_pool
from tests.trees import grow, staged_left
from tests.workshop import Crash, Workshop, reaching

FILES = 12
GUILTY = b"f000003.dat"


@pytest.fixture
def task(workshop: Workshop, tmp_path: Path) -> Task:
    source, destination = tmp_path / "source", tmp_path / "destination"
    source.mkdir()
    destination.mkdir()
    grow(source, FILES)
    client = workshop.client()
    return add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
    )


def run_to_end(workshop: Workshop, task: Task) -> int:
    assert task.client.put(f"/tasks/{task.id}/action/run").status_code == 202

    def is_over() -> bool:
        status = workshop.status(task.id)
        return status is not TaskStatus.NOT_ACTIVATED and status in IDLE

    workshop.live(is_over)
    return last_execution(workshop.database, task.id)


def test_the_file_that_kills_movers_is_isolated_and_the_others_arrive(
    workshop: Workshop, task: Task
) -> None:
    def die_of_it(point: str, detail: bytes) -> None:
        if point == "mover.file" and detail == GUILTY:
            raise Crash

    with reaching(die_of_it):
        execution_id = run_to_end(workshop, task)
    assert status_of(workshop.database, execution_id) is TaskStatus.FINISHED_WITH_WARNINGS
    assert outcomes(workshop.database, execution_id) == {
        Outcome.COPIED: FILES - 1,
        Outcome.FAILED: 1,
    }
    check_records(workshop.database, execution_id)
    failed = failed_on_record(workshop.database)
    assert (failed.path.endswith(GUILTY), failed.error_kind) == (True, "mover_died")
    assert work_left(workshop.database, execution_id) == 0


def test_the_staged_part_of_a_guilty_file_is_removed(
    workshop: Workshop, task: Task, tmp_path: Path
) -> None:
    guilty = False

    def die_after_it(point: str, detail: bytes) -> None:
        nonlocal guilty
        if point == "mover.file":
            guilty = detail == GUILTY
        elif point == "mover.staged" and guilty:
            raise Crash

    with reaching(die_after_it):
        execution_id = run_to_end(workshop, task)
    assert outcomes(workshop.database, execution_id)[Outcome.FAILED] == 1
    assert staged_left(tmp_path / "destination") == []


def test_deaths_are_forgotten_once_a_mover_comes_back_from_the_work(
    workshop: Workshop, task: Task
) -> None:
    """A batch of many slices may meet more deaths than one that dies at once."""
    orders: Counter[int] = Counter()
    hours = itertools.count(0.0, 3600.0)

    def die_every_second_time(point: str, detail: bytes) -> None:
        if point != "mover.order":
            return
        copying = detail == b"COPY"
        # An hour between two looks at the clock: each slice ends after its first file.
        workshop.executor.monotonic = hours.__next__ if copying else time.monotonic
        if copying:
            work_id = workshop.executor.orders[-1].work_id
            orders[work_id] += 1
            if orders[work_id] % 2:
                raise Crash

    with reaching(die_every_second_time):
        execution_id = run_to_end(workshop, task)
    assert max(orders.values()) // 2 >= DEATHS_MAXIMUM
    assert outcomes(workshop.database, execution_id) == {Outcome.COPIED: FILES}
    batches = {each.work_id for each in workshop.executor.orders if each.kind is WorkKind.COPY}
    assert len(batches) == -(-FILES // workshop.config.batch_files_maximum), "one was split"


def test_discovery_that_kills_movers_ends_the_execution(workshop: Workshop, task: Task) -> None:
    def die_of_scans(point: str, detail: bytes) -> None:
        if point == "mover.order" and detail == b"SCAN":
            raise Crash

    with reaching(die_of_scans):
        execution_id = run_to_end(workshop, task)
    assert status_of(workshop.database, execution_id) is TaskStatus.ERROR
    assert workshop.executor.deaths == DEATHS_MAXIMUM
