"""A move removes a source only if its copy was read back, and it still is what was read."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select, update

from longshore.database.connection import writing
from longshore.database.tables.tasks import task_executions
from longshore.domain.execution import IDLE, TaskStatus
from longshore.domain.outcome import Outcome
from longshore.domain.storage import StorageAddress
from longshore.pipeline.messages.plan import decode_plan
from longshore.pipeline.messages.work import encode
from longshore.storage.handler import StorageHandler
from longshore.storage.wrappers.faults import Corrupt, Deed, Fault, FaultPlan
from longshore.storage.wrappers.faulty import FaultyStorage
from tests.exactness import check_records, last_execution, outcomes, status_of
from tests.story import Task
from tests.trees import describe, grow, staged_left
from tests.unit.engine.archiving import Archiving
from tests.workshop import Crash, CrashAt, Workshop, open_quickly, reaching

FOR_EVER = 1_000_000


def test_move_reads_its_copies_back_even_if_that_is_switched_off(
    workshop: Workshop, tmp_path: Path
) -> None:
    workshop.config = replace(workshop.config, verify_by_reading_back=False)
    archiving = Archiving(workshop, tmp_path / "s")
    grow(archiving.source, 3)
    before = describe(archiving.source)

    def open_storage(address: StorageAddress) -> StorageHandler:
        opened = open_quickly(address)
        damage = FaultPlan([Fault(Deed.WRITE, Corrupt(3), times=FOR_EVER)])
        is_there = address.settings["root"] == str(archiving.destination)
        return FaultyStorage(opened, damage) if is_there else opened

    workshop.open_storage = open_storage
    execution = archiving.run(archiving.move())
    assert outcomes(workshop.database, execution) == {Outcome.FAILED: 3}
    assert describe(archiving.source) == before
    assert staged_left(archiving.destination) == []


def change(path: Path) -> None:
    path.write_bytes(path.read_bytes()[::-1])


def shorten(path: Path) -> None:
    """Of the same time, which only its size gives away."""
    state = path.stat()
    os.truncate(path, 1)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def replace_alike(path: Path) -> None:
    """Of the same size and time, which only its identity gives away."""
    state, other = path.stat(), path.with_name("other")
    other.write_bytes(path.read_bytes()[::-1])
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    other.replace(path)


def change_in_secret(path: Path) -> None:
    """Of the same size, time and identity, which only the time of change gives away."""
    state = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def release_after(archiving: Archiving, deed: Callable[[Path], object]) -> int:
    """Move two files, of which one meets the deed when both are on record; the execution."""
    folder = archiving.source / "folder"
    folder.mkdir()
    for name in ("changing", "steady"):
        (folder / name).write_bytes(b"what was read")
        os.utime(folder / name, ns=(10**18, 10**18))
    done: list[str] = []

    def reach(point: str, detail: bytes) -> None:
        if point == "mover.order" and detail == b"RELEASE" and not done:
            done.append("once")
            deed(folder / "changing")

    with reaching(reach):
        execution = archiving.run(archiving.move())
    assert done, "nothing was released"
    copied = {path.name: path.read_bytes() for path in (archiving.destination / "folder").iterdir()}
    assert copied == {"changing": b"what was read", "steady": b"what was read"}
    assert archiving.state("folder", "steady") == "stub"
    check_records(archiving.workshop.database, execution)
    return execution


@pytest.mark.parametrize("deed", [change, shorten, replace_alike, change_in_secret, make_folder])
def test_move_keeps_a_source_that_is_not_what_was_read(
    workshop: Workshop, tmp_path: Path, deed: Callable[[Path], None]
) -> None:
    archiving = Archiving(workshop, tmp_path / "s")
    expected = tmp_path / "changing"
    expected.write_bytes(b"what was read")
    os.utime(expected, ns=(10**18, 10**18))
    deed(expected)
    execution = release_after(archiving, deed)
    assert status_of(workshop.database, execution) is TaskStatus.FINISHED_WITH_WARNINGS
    folder = archiving.source / "folder"
    assert os.listdir(folder) == ["changing"]
    assert (folder / "changing").is_dir() == expected.is_dir()
    if expected.is_file():
        assert (folder / "changing").read_bytes() == expected.read_bytes()
    assert archiving.state("folder", "changing") == archiving.state("folder") == "live"


def test_reading_a_source_is_no_change_to_it(workshop: Workshop, tmp_path: Path) -> None:
    archiving = Archiving(workshop, tmp_path / "s")
    execution = release_after(archiving, Path.read_bytes)
    assert status_of(workshop.database, execution) is TaskStatus.DONE
    assert os.listdir(archiving.source) == []


def test_the_names_of_a_file_all_go_though_each_one_changes_the_others(
    workshop: Workshop, tmp_path: Path
) -> None:
    workshop.config = replace(workshop.config, batch_files_maximum=2)
    archiving = Archiving(workshop, tmp_path / "s")
    (archiving.source / "a").write_text("content")
    for name in ("b", "c", "d", "e"):
        (archiving.source / name).hardlink_to(archiving.source / "a")
    execution = archiving.run(archiving.move())
    assert status_of(workshop.database, execution) is TaskStatus.DONE
    assert os.listdir(archiving.source) == []
    assert sorted(os.listdir(archiving.destination)) == ["a", "b", "c", "d", "e"]


def test_move_is_done_when_a_source_has_vanished_by_itself(
    workshop: Workshop, tmp_path: Path
) -> None:
    archiving = Archiving(workshop, tmp_path / "s")
    execution = release_after(archiving, Path.unlink)
    assert status_of(workshop.database, execution) is TaskStatus.DONE
    assert os.listdir(archiving.source) == []
    assert archiving.state("folder", "changing") == archiving.state("folder") == "stub"


def as_older_versions_planned(workshop: Workshop, task: Task) -> None:
    """Give the task's execution a plan that does not read copies back."""
    execution = last_execution(workshop.database, task.id)
    of_it = task_executions.c.id == execution
    with writing(workshop.database.state) as connection:
        plan = connection.execute(select(task_executions.c.plan).where(of_it)).scalar_one()
        older = msgspec.structs.replace(decode_plan(plan), verify=False)
        connection.execute(update(task_executions).where(of_it).values(plan=encode(older)))


def crash_in_the_middle(archiving: Archiving, task: Task, crash: CrashAt) -> None:
    task.client.put(f"/tasks/{task.id}/action/run").raise_for_status()
    with reaching(crash), pytest.raises(Crash):
        archiving.workshop.live(lambda: False)


def is_over(archiving: Archiving, task: Task) -> bool:
    return archiving.workshop.status(task.id) in IDLE


def test_a_move_that_an_older_version_has_planned_reads_its_copies_back(
    workshop: Workshop, tmp_path: Path
) -> None:
    archiving = Archiving(workshop, tmp_path / "s")
    grow(archiving.source, 3)
    before = describe(archiving.source)
    task = archiving.move()
    crash_in_the_middle(archiving, task, CrashAt(("journal.commit",), 2))
    as_older_versions_planned(workshop, task)

    def open_storage(address: StorageAddress) -> StorageHandler:
        opened = open_quickly(address)
        damage = FaultPlan([Fault(Deed.WRITE, Corrupt(3), times=FOR_EVER)])
        is_there = address.settings["root"] == str(archiving.destination)
        return FaultyStorage(opened, damage) if is_there else opened

    workshop.open_storage = open_storage
    workshop.live(lambda: is_over(archiving, task))
    execution = last_execution(workshop.database, task.id)
    assert outcomes(workshop.database, execution) == {Outcome.FAILED: 3}
    assert describe(archiving.source) == before


def test_a_move_with_copies_that_an_older_version_did_not_read_back_is_to_be_run_anew(
    workshop: Workshop, tmp_path: Path
) -> None:
    archiving = Archiving(workshop, tmp_path / "s")
    grow(archiving.source, 12, per_folder=3)
    before = describe(archiving.source)
    task = archiving.move()

    def crash(point: str, detail: bytes) -> None:
        if point != "journal.committed" or workshop.status(task.id) in IDLE:
            return
        if outcomes(workshop.database, last_execution(workshop.database, task.id)):
            raise Crash

    task.client.put(f"/tasks/{task.id}/action/run").raise_for_status()
    with reaching(crash), pytest.raises(Crash):
        workshop.live(lambda: False)
    as_older_versions_planned(workshop, task)
    begun = last_execution(workshop.database, task.id)
    assert outcomes(workshop.database, begun)
    workshop.live(lambda: is_over(archiving, task))
    assert status_of(workshop.database, begun) is TaskStatus.STOPPED_BY_SYSTEM
    assert "run it anew" in task.execution()["reason"]
    assert describe(archiving.source) == before, "nothing was released"
    again = archiving.run(task)
    assert outcomes(workshop.database, again) == {
        Outcome.IDENTICAL: outcomes(workshop.database, begun)[Outcome.COPIED],
        Outcome.COPIED: 12 - outcomes(workshop.database, begun)[Outcome.COPIED],
    }
    assert describe(archiving.destination) == before
    assert list(archiving.source.iterdir()) == []
