"""Files in parts in the whole engine: one record, whatever dies, changes, fails or is stopped."""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from longshore.database.connection import reading
from longshore.database.tables.engine import work
from longshore.domain.execution import IDLE, TaskStatus
from longshore.domain.outcome import Outcome
from longshore.engine.deaths import DEATHS_MAXIMUM
from longshore.pipeline.messages.plan import WorkKind
from tests.exactness import (
    check_exact,
    check_records,
    last_execution,
    outcomes,
    status_of,
    work_left,
)
from tests.records import failed_on_record
from tests.story import Task, add_copy_task, add_share_pool
from tests.trees import grow, staged_left
from tests.workshop import Crash, CrashAt, Workshop, reaching

SEGMENT = 64 * 1024
SEGMENTS = 18
SMALL_FILES = 3


@pytest.fixture
def workshop(workshop: Workshop) -> Workshop:
    object.__setattr__(workshop.config, "segment_bytes", SEGMENT)
    return workshop


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    grow(folder, SMALL_FILES)
    (folder / "big").write_bytes(os.urandom(SEGMENTS * SEGMENT - 7))
    return folder


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    folder = tmp_path / "destination"
    folder.mkdir()
    return folder


@pytest.fixture
def task(workshop: Workshop, source: Path, destination: Path) -> Task:
    return new_task(workshop, source, destination)


def new_task(workshop: Workshop, source: Path, destination: Path, **options: str) -> Task:
    client = workshop.client()
    return add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
        options=options,
    )


def request(task: Task, action: str) -> None:
    assert task.client.put(f"/tasks/{task.id}/action/{action}").status_code == 202


def is_over(workshop: Workshop, task: Task) -> bool:
    status = workshop.status(task.id)
    return status is not TaskStatus.NOT_ACTIVATED and status in IDLE


def run_to_end(workshop: Workshop, task: Task) -> int:
    request(task, "run")
    workshop.live_through_crashes(lambda: is_over(workshop, task))
    return last_execution(workshop.database, task.id)


def hurry(workshop: Workshop, point: str, detail: bytes) -> None:
    """Let slices for big files end after one segment: an hour between two looks at the clock."""
    if point == "mover.order":
        hours = itertools.count(0.0, 3600.0)
        big = detail in {b"PART", b"FINISH"}
        workshop.executor.monotonic = hours.__next__ if big else time.monotonic


@pytest.mark.parametrize("workers", ["1", "2", "64"])
def test_a_big_file_has_one_record_however_many_share_it(
    workshop: Workshop, source: Path, destination: Path, workers: str
) -> None:
    task = new_task(workshop, source, destination, parallel_processing=workers)
    at_once = []

    def look(point: str, detail: bytes) -> None:
        if point == "mover.order" and detail == b"PART":
            with reading(workshop.database.journal) as connection:
                rows = connection.execute(select(work.c.kind)).scalars()
                at_once.append(Counter(rows)[WorkKind.PART])

    with reaching(look):
        execution_id = run_to_end(workshop, task)
    check_exact(workshop.database, execution_id, source, destination)
    kinds = Counter(order.kind for order in workshop.executor.orders)
    parts = -(-SEGMENTS // 4)
    assert kinds[WorkKind.PART] == (0 if workers == "1" else parts)
    assert max(at_once, default=0) == {"1": 0, "2": 2, "64": parts}[workers]


@pytest.mark.parametrize("point", ["mover.segment", "mover.reply", "mover.published"])
@pytest.mark.parametrize("number", [1, 4, 9, 14])
def test_a_mover_that_dies_costs_at_most_the_slice_it_was_at(
    workshop: Workshop, task: Task, source: Path, destination: Path, point: str, number: int
) -> None:
    crash = CrashAt((point,), number)
    read: Counter[bytes] = Counter()

    def reach(name: str, detail: bytes) -> None:
        hurry(workshop, name, detail)
        if name == "mover.segment":
            read[detail] += 1
        crash(name, detail)

    with reaching(reach):
        execution_id = run_to_end(workshop, task)
    check_exact(workshop.database, execution_id, source, destination)
    assert len(read) == SEGMENTS
    assert sum(read.values()) <= SEGMENTS + 1


@pytest.mark.parametrize("number", range(5, 50, 3))
def test_a_controller_that_dies_at_a_commit_changes_nothing_in_the_end(
    workshop: Workshop, task: Task, source: Path, destination: Path, number: int
) -> None:
    crash = CrashAt(("journal.commit", "journal.committed"), number)

    def reach(name: str, detail: bytes) -> None:
        hurry(workshop, name, detail)
        crash(name, detail)

    with reaching(reach):
        execution_id = run_to_end(workshop, task)
    assert crash.has_happened
    check_exact(workshop.database, execution_id, source, destination)


@pytest.mark.parametrize("deadly", ["mover.segment", "FINISH"])
def test_a_big_file_that_kills_movers_fails_alone(
    workshop: Workshop, task: Task, destination: Path, deadly: str
) -> None:
    def die_of_it(point: str, detail: bytes) -> None:
        if point == deadly and detail == b"big:7":
            raise Crash
        if point == "mover.order" and detail.decode() == deadly and not failing():
            raise Crash

    def failing() -> bool:
        return workshop.executor.deaths >= DEATHS_MAXIMUM

    with reaching(die_of_it):
        execution_id = run_to_end(workshop, task)
    assert status_of(workshop.database, execution_id) is TaskStatus.FINISHED_WITH_WARNINGS
    found = outcomes(workshop.database, execution_id)
    assert found == {Outcome.COPIED: SMALL_FILES, Outcome.FAILED: 1}
    check_records(workshop.database, execution_id)
    failed = failed_on_record(workshop.database)
    assert (failed.error_kind, failed.attempts) == ("mover_died", DEATHS_MAXIMUM)
    assert workshop.executor.deaths == DEATHS_MAXIMUM
    assert staged_left(destination) == []
    assert work_left(workshop.database, execution_id) == 0


@pytest.mark.parametrize("action", ["stop", "pause"])
def test_stop_and_pause_act_within_a_slice_of_a_part(
    workshop: Workshop, task: Task, source: Path, destination: Path, action: str
) -> None:
    read = []

    def reach(name: str, detail: bytes) -> None:
        hurry(workshop, name, detail)
        if name == "mover.segment":
            read.append(detail)
            if len(read) == 6:
                request(task, action)

    wanted = TaskStatus.PAUSED if action == "pause" else TaskStatus.STOPPED_BY_USER
    with reaching(reach):
        request(task, "run")
        workshop.live(lambda: workshop.status(task.id) is wanted)
        assert len(read) <= 7
        if action == "pause":
            request(task, "resume")
            workshop.live(lambda: is_over(workshop, task))
            execution_id = last_execution(workshop.database, task.id)
            check_exact(workshop.database, execution_id, source, destination)
            assert len(read) == SEGMENTS, "what was written before the pause was read again"
            return
    execution_id = last_execution(workshop.database, task.id)
    workshop.live(lambda: not work_left(workshop.database, execution_id))
    assert staged_left(destination) == []
    assert not (destination / "big").exists()


def test_names_of_one_big_file_share_it_again(
    workshop: Workshop, task: Task, source: Path, destination: Path
) -> None:
    os.link(source / "big", source / "other")
    execution_id = run_to_end(workshop, task)
    check_exact(workshop.database, execution_id, source, destination)
    assert (destination / "big").stat().st_ino == (destination / "other").stat().st_ino


def test_a_move_takes_a_big_source_away_when_all_its_parts_are_published(
    workshop: Workshop, source: Path, destination: Path
) -> None:
    client = workshop.client()
    task = add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
        workflow_action="move",
    )
    content = (source / "big").read_bytes()
    execution_id = run_to_end(workshop, task)
    check_records(workshop.database, execution_id)
    assert (destination / "big").read_bytes() == content
    assert [path for path in source.rglob("*") if path.is_file()] == []


def test_a_source_that_changes_begins_again_when_no_part_is_left(
    workshop: Workshop, task: Task, source: Path, destination: Path
) -> None:
    read: Counter[bytes] = Counter()

    def reach(name: str, detail: bytes) -> None:
        hurry(workshop, name, detail)
        if name == "mover.segment":
            read[detail] += 1
            if sum(read.values()) == 8:
                (source / "big").write_bytes(b"new" * SEGMENT * 5)

    with reaching(reach):
        execution_id = run_to_end(workshop, task)
    check_exact(workshop.database, execution_id, source, destination)
