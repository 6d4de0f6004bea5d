"""A pool of several shares as destination: filled one after the other, looked through as one."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from longshore.database.connection import reading
from longshore.database.tables.catalogue import copies, nodes
from longshore.domain.errors import ErrorKind, RetryClass
from longshore.domain.execution import IDLE, TaskStatus
from longshore.domain.outcome import Outcome
from longshore.domain.storage import StorageAddress
from longshore.storage.handler import StorageHandler
from longshore.storage.wrappers.faults import Deed, Fault, FaultPlan, Refuse
from longshore.storage.wrappers.faulty import FaultyStorage
from tests.exactness import check_records, last_execution, outcomes, status_of
from tests.story import Task, add_copy_task, add_share_pool, created
from tests.trees import describe, grow, staged_left
from tests.workshop import CrashAt, Workshop, open_quickly, reaching

FILES = 12
ROOM = 4  # files that the first share takes where it is small
FOR_EVER = 1_000_000
COMMITS_MAXIMUM = 400


class Story:
    """A primary pool, and an archive of two shares of which the first may be small."""

    def __init__(self, workshop: Workshop, folder: Path, *, room: int | None = None) -> None:
        self.workshop = workshop
        self.source = folder / "source"
        self.shares = [folder / "first", folder / "second"]
        for each in (self.source, *self.shares):
            each.mkdir(parents=True)
        grow(self.source, FILES, per_folder=5)
        if room is not None:
            workshop.open_storage = self._small(room)
        self.client = workshop.client()
        self.live = add_share_pool(self.client, "live", "primary", self.source)
        self.share_ids: list[int] = []
        self.away = self._add_pool()

    def _add_pool(self) -> int:
        name = f"archive-{uuid.uuid4().hex[:8]}"
        body: dict[str, object] = {"name": name, "host": "localhost", "type": "nfs_v4"}
        nas = created(self.client.post("/nas", json=body))
        for share in self.shares:
            body = {"name": share.name, "path": "/", "options": f"mount_point={share}"}
            answer = self.client.post(f"/nas/{nas['id']}/nas_shares", json=body)
            self.share_ids.append(int(created(answer)["id"]))
        body = {"name": name, "type": "offline_archive", "content": "nas"}
        body["nas_share_ids"] = self.share_ids
        return int(created(self.client.post("/pools", json=body))["id"])

    def _small(self, room: int) -> Callable[[StorageAddress], StorageHandler]:
        full = Refuse(ErrorKind.NO_SPACE, RetryClass.LATER, whole_storage=True)
        plan = FaultPlan([Fault(Deed.WRITE, full, first=room + 1, times=FOR_EVER)])

        def open_storage(address: StorageAddress) -> StorageHandler:
            opened = open_quickly(address)
            is_small = address.settings["root"] == str(self.shares[0])
            return FaultyStorage(opened, plan) if is_small else opened

        return open_storage

    def task(self, **fields: Any) -> Task:
        return add_copy_task(self.client, self.live, self.away, **fields)

    def run(self, task: Task) -> int:
        assert task.client.put(f"/tasks/{task.id}/action/run").status_code == 202

        def is_over() -> bool:
            shown = task.show()
            return shown["action"] == "noop" and self.workshop.status(task.id) in IDLE

        self.workshop.live(is_over)
        return last_execution(self.workshop.database, task.id)

    def arrived(self) -> list[dict[bytes, tuple[object, ...]]]:
        return [files_in(share) for share in self.shares]

    def storages_on_record(self) -> dict[bytes, set[int]]:
        """The shares on which the catalogue has live copies, by the name of the file."""
        query = (
            select(nodes.c.name, copies.c.storage_id)
            .join(copies, copies.c.file_id == nodes.c.id)
            .where(copies.c.live, nodes.c.kind == 1)
        )
        found: dict[bytes, set[int]] = {}
        with reading(self.workshop.database.journal) as connection:
            for name, storage_id in connection.execute(query):
                found.setdefault(bytes(name), set()).add(storage_id)
        return found


def files_in(folder: Path) -> dict[bytes, tuple[object, ...]]:
    return {path: what for path, what in describe(folder).items() if what[0] == "file"}


def test_a_full_share_is_followed_by_the_next_one(workshop: Workshop, tmp_path: Path) -> None:
    story = Story(workshop, tmp_path / "s", room=ROOM)
    execution = story.run(story.task())
    assert status_of(workshop.database, execution) is TaskStatus.DONE
    first, second = story.arrived()
    assert (len(first), len(second)) == (ROOM, FILES - ROOM)
    assert first | second == files_in(story.source)
    assert [left for share in story.shares for left in staged_left(share)] == []
    check_records(workshop.database, execution)
    on_record = story.storages_on_record()
    for share_id, there in zip(story.share_ids, (first, second), strict=True):
        assert {name for name, ids in on_record.items() if ids == {share_id}} == {
            os.path.basename(path) for path in there
        }


def test_a_second_run_finds_every_file_on_whichever_share_it_is(
    workshop: Workshop, tmp_path: Path
) -> None:
    story = Story(workshop, tmp_path / "s", room=ROOM)
    task = story.task(conflict_resolution="overwrite")
    story.run(task)
    before = story.arrived()
    execution = story.run(task)
    assert outcomes(workshop.database, execution) == {Outcome.IDENTICAL: FILES}
    assert story.arrived() == before
    on_second = os.fsdecode(next(iter(before[1])))
    (story.source / on_second).chmod(0o644)
    (story.source / on_second).write_text("changed meanwhile")
    workshop.open_storage = open_quickly  # there is room again
    execution = story.run(task)
    assert outcomes(workshop.database, execution) == {
        Outcome.IDENTICAL: FILES - 1,
        Outcome.OVERWRITTEN: 1,
    }
    first, second = story.arrived()
    assert first == before[0]
    assert first | second == files_in(story.source)


def test_a_file_that_is_in_the_way_on_another_share_is_a_conflict(
    workshop: Workshop, tmp_path: Path
) -> None:
    story = Story(workshop, tmp_path / "s")
    path = next(iter(files_in(story.source)))
    standing = story.shares[1] / os.fsdecode(path)
    standing.parent.mkdir(parents=True)
    standing.write_text("something else")
    execution = story.run(story.task())
    assert outcomes(workshop.database, execution) == {
        Outcome.COPIED: FILES - 1,
        Outcome.RENAMED: 1,
    }
    assert standing.read_text() == "something else"
    assert not (story.shares[0] / os.fsdecode(path)).exists()


def test_a_share_that_is_gone_is_passed_over(workshop: Workshop, tmp_path: Path) -> None:
    story = Story(workshop, tmp_path / "s")
    shutil.rmtree(story.shares[0])
    execution = story.run(story.task())
    assert status_of(workshop.database, execution) is TaskStatus.DONE
    assert describe(story.shares[1]) == describe(story.source)


def test_a_pool_without_any_share_left_stops_the_execution(
    workshop: Workshop, tmp_path: Path
) -> None:
    story = Story(workshop, tmp_path / "s")
    for share in story.shares:
        shutil.rmtree(share)
    execution = story.run(story.task())
    assert status_of(workshop.database, execution) is TaskStatus.STOPPED_BY_SYSTEM


@pytest.mark.parametrize("full", [False, True])
def test_a_big_file_in_parts_lies_on_one_share_that_has_room(
    workshop: Workshop, tmp_path: Path, full: bool
) -> None:
    workshop.config = replace(workshop.config, segment_bytes=64 * 1024)
    story = Story(workshop, tmp_path / "s")
    (story.source / "big").write_bytes(os.urandom(500_000))
    if full:
        refusal = Refuse(ErrorKind.NO_SPACE, RetryClass.LATER, whole_storage=True)
        plan = FaultPlan([Fault(Deed.STAGE, refusal, times=FOR_EVER)])

        def open_storage(address: StorageAddress) -> StorageHandler:
            opened = open_quickly(address)
            is_full = address.settings["root"] == str(story.shares[0])
            return FaultyStorage(opened, plan) if is_full else opened

        workshop.open_storage = open_storage
    execution = story.run(story.task())
    assert status_of(workshop.database, execution) is TaskStatus.DONE
    assert story.arrived()[full] == files_in(story.source)
    assert story.arrived()[not full] == {}
    assert [left for share in story.shares for left in staged_left(share)] == []


@pytest.mark.parametrize("parallel", ["1", "64"])
@pytest.mark.parametrize("has_room", [True, False])
def test_a_big_file_leaves_a_share_that_fills_midway_for_one_with_room(
    workshop: Workshop, tmp_path: Path, parallel: str, has_room: bool
) -> None:
    workshop.config = replace(workshop.config, segment_bytes=64 * 1024)
    story = Story(workshop, tmp_path / "s")
    shutil.rmtree(story.source)
    story.source.mkdir()
    (story.source / "big").write_bytes(os.urandom(500_000))
    full = Refuse(ErrorKind.NO_SPACE, RetryClass.LATER, whole_storage=True)
    filling = FaultPlan([Fault(Deed.WRITE, full, first=4, times=FOR_EVER)])
    crowded = FaultPlan([Fault(Deed.SPACE, full, times=FOR_EVER)])

    def open_storage(address: StorageAddress) -> StorageHandler:
        opened = open_quickly(address)
        if address.settings["root"] == str(story.shares[0]):
            return FaultyStorage(opened, filling)
        if address.settings["root"] == str(story.shares[1]) and not has_room:
            return FaultyStorage(opened, crowded)
        return opened

    workshop.open_storage = open_storage
    task = story.task(options={"parallel_processing": parallel})
    execution = story.run(task)
    first, second = story.arrived()
    if not has_room:
        assert status_of(workshop.database, execution) is TaskStatus.STOPPED_BY_SYSTEM
        assert b"big" not in first | second
        return
    assert status_of(workshop.database, execution) is TaskStatus.DONE
    assert (first, second) == ({}, files_in(story.source))
    assert [left for share in story.shares for left in staged_left(share)] == []
    check_records(workshop.database, execution)


def test_an_incremental_backup_knows_what_lies_on_every_share(
    workshop: Workshop, tmp_path: Path
) -> None:
    story = Story(workshop, tmp_path / "s", room=ROOM)
    task = story.task(workflow_action="incremental_backup")
    story.run(task)
    execution = story.run(task)
    assert outcomes(workshop.database, execution) == {Outcome.IDENTICAL: FILES}
    assert sum(len(there) for there in story.arrived()) == FILES
    for share_id, there in zip(story.share_ids, story.arrived(), strict=True):
        on_record = story.storages_on_record().items()
        assert {name for name, ids in on_record if ids == {share_id}} == {
            os.path.basename(path) for path in there
        }


@pytest.mark.parametrize("points", [("journal.commit",), ("mover.staged", "mover.published")])
def test_a_pool_is_filled_exactly_after_a_crash_anywhere(
    workshop: Workshop, tmp_path: Path, points: tuple[str, ...]
) -> None:
    for number in range(1, COMMITS_MAXIMUM):
        story = Story(workshop, tmp_path / str(number), room=ROOM)
        task = story.task()
        crash = CrashAt(points, number)

        def is_over(task: Task = task) -> bool:
            status = workshop.status(task.id)
            if status is TaskStatus.NOT_ACTIVATED and task.show()["action"] == "noop":
                task.client.put(f"/tasks/{task.id}/action/run")
            return status is not TaskStatus.NOT_ACTIVATED and status in IDLE

        with reaching(crash):
            workshop.live_through_crashes(is_over)
        execution = last_execution(workshop.database, task.id)
        assert status_of(workshop.database, execution) is TaskStatus.DONE
        first, second = story.arrived()
        assert first | second == files_in(story.source)
        assert not first.keys() & second.keys()
        assert [left for share in story.shares for left in staged_left(share)] == []
        check_records(workshop.database, execution)
        if not crash.has_happened:
            return
    raise AssertionError("it goes on for ever")
