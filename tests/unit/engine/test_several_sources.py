"""A restore from several pools: each file once, from the best copy that can be read."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from longshore.database.connection import reading
from longshore.database.tables.catalogue import copies
from longshore.domain.errors import ErrorKind, Side
from longshore.domain.execution import TaskStatus
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record
from tests.exactness import check_records, last_execution, status_of, work_left
from tests.records import files_on_record
from tests.story import Task, add_copy_task, created
from tests.trees import describe, grow, staged_left
from tests.unit.engine.archiving import Archiving
from tests.workshop import CrashAt, Workshop, reaching

COMMITS_MAXIMUM = 200  # a run of so few files has fewer
SEGMENT = 64 * 1024
FILES = 24


class Mirrored(Archiving):
    """A tree that two pools hold, the nearer or newer one being `first`."""

    def __init__(self, workshop: Workshop, folder: Path) -> None:
        super().__init__(workshop, folder)
        self.other = self.add_pool("other", "offline_archive")
        self.second = folder / "other"

    def archive(self) -> None:
        """Copy everything to both, to `other` first: so what is newer lies in `destination`."""
        for pool in (self.other, self.away):
            self.run(self.copy(pool))

    def back_up(self, pool: int, name: str = "b", action: str = "full_backup") -> int:
        task = add_copy_task(self.client, self.live, pool, name=name, workflow_action=action)
        return self.run(task)

    def empty(self) -> None:
        for path in self.source.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def restore(
        self, *pools: int, to: int | None = None, options: dict[str, str] | None = None
    ) -> Task:
        body = {"name": "r", "workflow_type": "offline_archive", "workflow_action": "restore"}
        task = Task(self.client, int(created(self.client.post("/tasks", json=body))["id"]))
        for pool in pools or (self.other, self.away):
            created(self.client.post(f"/tasks/{task.id}/task_sources", json={"pool_id": pool}))
        if to is not None:
            path = f"/tasks/{task.id}/task_destinations"
            created(self.client.post(path, json={"pool_id": to}))
        for kind, value in (options or {}).items():
            given = {"type": kind, "value": value}
            created(self.client.post(f"/tasks/{task.id}/task_options", json=given))
        return task

    def records(self, execution_id: int) -> list[Record]:
        return [each.record for each in files_on_record(self.workshop.database, execution_id)]

    def verified(self, path: bytes) -> list[bool | None]:
        """Whether the live copies at this path count as verified, that of `destination` first."""
        query = select(copies.c.verified).where(copies.c.path == path, copies.c.live)
        with reading(self.workshop.database.journal) as connection:
            return list(connection.execute(query.order_by(copies.c.storage_id)).scalars())

    def check(self, execution_id: int, status: TaskStatus = TaskStatus.DONE) -> list[Record]:
        """The records of an execution that has ended like this, with nothing left behind."""
        database = self.workshop.database
        assert status_of(database, execution_id) is status
        assert work_left(database, execution_id) == 0
        check_records(database, execution_id)
        assert staged_left(self.source) == []
        return self.records(execution_id)


@pytest.fixture
def mirrored(workshop: Workshop, tmp_path: Path) -> Mirrored:
    return Mirrored(workshop, tmp_path / "s")


def damage(path: Path) -> None:
    """Other bytes, with the same size and times."""
    state = path.stat()
    path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def files_of(root: Path) -> dict[bytes, tuple[object, ...]]:
    return {path: what for path, what in describe(root).items() if what[0] != "folder"}


def outcomes(records: list[Record]) -> Counter[str]:
    return Counter(record.outcome.name for record in records)


def test_each_file_of_two_pools_comes_back_once_from_the_newer_copy(mirrored: Mirrored) -> None:
    grow(mirrored.source, FILES)
    before = describe(mirrored.source)
    mirrored.archive()
    mirrored.empty()
    records = mirrored.check(mirrored.run(mirrored.restore()))
    assert describe(mirrored.source) == before
    assert outcomes(records) == {"COPIED": FILES}
    assert {record.source for record in records} == {1}
    assert {record.attempts for record in records} == {1}


def missing(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("not archived")


def shortened(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


WRONGS: dict[Callable[[Path], None], ErrorKind] = {
    missing: ErrorKind.NOT_FOUND,
    a_folder: ErrorKind.IS_A_FOLDER,
    damage: ErrorKind.CHECKSUM_MISMATCH,
    shortened: ErrorKind.CHECKSUM_MISMATCH,
}


@pytest.mark.parametrize(
    ("wrong", "to_place"),
    # To a destination a folder is copied, too: the file has to give way.
    [(wrong, to_place) for wrong in WRONGS for to_place in (True, False) if wrong is not a_folder]
    + [(a_folder, True)],
)
@pytest.mark.parametrize("size", [5_000, 5 * SEGMENT])
def test_a_copy_that_cannot_be_restored_gives_way_to_the_next_one(
    mirrored: Mirrored, wrong: Callable[[Path], None], to_place: bool, size: int
) -> None:
    object.__setattr__(mirrored.workshop.config, "segment_bytes", SEGMENT)
    content = os.urandom(size)
    (mirrored.source / "a").mkdir()
    (mirrored.source / "a" / "file").write_bytes(content)
    (mirrored.source / "a" / "sound").write_bytes(b"sound")
    before = describe(mirrored.source)
    mirrored.archive()
    mirrored.empty()
    wrong(mirrored.destination / "a" / "file")
    to = None if to_place else mirrored.add_pool("elsewhere", "primary")
    target = mirrored.source if to_place else mirrored.folder / "elsewhere"
    execution_id = mirrored.run(mirrored.restore(to=to))
    status = TaskStatus.DONE
    if wrong is a_folder:  # what lies in it is nobody's copy
        status = TaskStatus.FINISHED_WITH_WARNINGS
    records = {each.entry.name: each for each in mirrored.check(execution_id, status)}
    record = records[b"file"]
    assert (target / "a" / "file").read_bytes() == content
    assert files_of(target) == {k: v for k, v in before.items() if v[0] != "folder"}
    assert (record.outcome, record.source, record.folder) == (Outcome.COPIED, 0, b"a")
    assert record.failure is not None
    assert (record.failure.kind, record.failure.side) == (WRONGS[wrong], Side.SOURCE)
    assert "a/file" in record.failure.text
    assert "nas_share" in record.failure.text
    assert record.attempts == 2
    assert records[b"sound"].failure is None
    # The copy is still there for the catalogue, but nobody relies on it any more.
    assert mirrored.verified(b"a/file")[:2] == [False, True]
    assert mirrored.verified(b"a/sound")[:2] == [True, True]


def test_when_no_copy_of_the_newest_content_is_left_that_is_an_error(mirrored: Mirrored) -> None:
    file = mirrored.source / "file"
    file.write_text("old")
    mirrored.back_up(mirrored.away, "old")
    mirrored.back_up(mirrored.other, "old")
    file.write_text("the new one")
    mirrored.back_up(mirrored.away, "new")
    mirrored.back_up(mirrored.other, "new")
    file.unlink()
    shutil.rmtree(mirrored.destination / "new")
    (damaged,) = (mirrored.second / "new").rglob("file")
    damage(damaged)
    execution_id = mirrored.run(mirrored.restore())
    records = mirrored.check(execution_id, TaskStatus.FINISHED_WITH_WARNINGS)
    assert not file.exists()
    assert outcomes(records) == {"KEPT": 2, "FAILED": 1}
    (failed,) = (record for record in records if record.outcome is Outcome.FAILED)
    assert failed.failure is not None
    assert failed.failure.kind is ErrorKind.NOT_FOUND  # of the copy that was tried last
    text = failed.failure.text
    assert "no copy of the newest content is left" in text
    assert text.count("/file on nas_share") == 2
    assert failed.attempts == 2


@pytest.mark.parametrize("whole", [True, False])
def test_a_file_whose_only_copy_has_gone_is_an_error(mirrored: Mirrored, whole: bool) -> None:
    for name in ("gone", "there"):
        (mirrored.source / name).write_text(name)
    mirrored.run(mirrored.move())
    (mirrored.destination / "gone").unlink()
    if whole:
        (mirrored.destination / "there").unlink()
    execution_id = mirrored.run(mirrored.restore(mirrored.away))
    status = TaskStatus.ERROR if whole else TaskStatus.FINISHED_WITH_WARNINGS
    records = mirrored.check(execution_id, status)
    failed = {
        (each.entry.name, each.failure.kind)
        for each in records
        if each.failure is not None and each.outcome is Outcome.FAILED
    }
    assert (b"gone", ErrorKind.NOT_FOUND) in failed
    assert mirrored.verified(b"gone") == [False]
    assert len(records) == 2
    assert len(failed) == (2 if whole else 1)


def test_newer_content_in_one_pool_wins_over_that_of_the_other(mirrored: Mirrored) -> None:
    for name in ("a", "b"):
        (mirrored.source / name).write_text(f"old {name}")
    mirrored.archive()
    (mirrored.source / "a").write_text("a newer one")
    mirrored.back_up(mirrored.other, "nightly")
    (mirrored.source / "a").unlink()
    (mirrored.source / "b").unlink()
    records = mirrored.check(mirrored.run(mirrored.restore()))
    assert (mirrored.source / "a").read_text() == "a newer one"
    assert (mirrored.source / "b").read_text() == "old b"
    assert outcomes(records) == {"COPIED": 2, "KEPT": 2}


def test_a_pool_and_a_folder_of_it_give_each_file_once(mirrored: Mirrored) -> None:
    grow(mirrored.source, FILES)
    before = describe(mirrored.source)
    mirrored.run(mirrored.copy(mirrored.away))
    mirrored.empty()
    task = mirrored.restore(mirrored.away)
    name = mirrored.client.get(f"/pools/{mirrored.away}").json()["name"]
    body = {"pool_id": mirrored.away, "file_path": f"/{name}/d000"}
    created(mirrored.client.post(f"/tasks/{task.id}/task_sources", json=body))
    records = mirrored.check(mirrored.run(task))
    assert describe(mirrored.source) == before
    assert outcomes(records) == {"COPIED": FILES}


def test_several_destinations_get_every_file_once_each(mirrored: Mirrored) -> None:
    grow(mirrored.source, FILES)
    mirrored.archive()
    (victim, *_) = (each for each in sorted(mirrored.destination.rglob("*")) if each.is_file())
    victim.unlink()
    task = mirrored.restore(to=mirrored.add_pool("one", "primary"))
    two = mirrored.add_pool("two", "primary")
    created(mirrored.client.post(f"/tasks/{task.id}/task_destinations", json={"pool_id": two}))
    execution_id = mirrored.run(task)
    database = mirrored.workshop.database
    assert status_of(database, execution_id) is TaskStatus.DONE
    assert outcomes(mirrored.records(execution_id)) == {"COPIED": 2 * FILES}
    for name in ("one", "two"):
        assert files_of(mirrored.folder / name) == files_of(mirrored.source)
    mirrored.run(task)
    again = mirrored.records(last_execution(database, task.id))
    assert outcomes(again) == {"IDENTICAL": 2 * FILES}


@pytest.mark.parametrize("by", ["execution_task_id", "task_id"])
def test_a_list_of_files_brings_back_the_newest_copy_of_each(mirrored: Mirrored, by: str) -> None:
    for name in ("a", "b", "c"):
        (mirrored.source / name).write_text(f"old {name}")
    listed = add_copy_task(
        mirrored.client, mirrored.live, mirrored.away, name="l", workflow_action="full_backup"
    )
    (mirrored.source / "c").rename(mirrored.folder / "c")  # not on the list
    execution_id = mirrored.run(listed)
    (mirrored.folder / "c").rename(mirrored.source / "c")
    (mirrored.source / "a").write_text("a newer one")
    mirrored.back_up(mirrored.other, "nightly")
    mirrored.empty()
    value = str(execution_id if by == "execution_task_id" else listed.id)
    task = mirrored.restore(options={by: value})
    records = mirrored.check(mirrored.run(task))
    assert outcomes(records) == {"COPIED": 2}
    assert {each.name: each.read_text() for each in mirrored.source.iterdir()} == {
        "a": "a newer one",
        "b": "old b",
    }


def test_the_list_of_a_restore_that_failed_is_tried_again_from_all_copies(
    mirrored: Mirrored,
) -> None:
    (mirrored.source / "file").write_text("file")
    mirrored.archive()
    (mirrored.source / "file").unlink()
    for folder in (mirrored.destination, mirrored.second):
        (folder / "file").rename(folder / "away")
    failed = mirrored.run(mirrored.restore())
    assert outcomes(mirrored.records(failed))["FAILED"]
    (mirrored.destination / "away").rename(mirrored.destination / "file")
    task = mirrored.restore(options={"execution_task_id": str(failed)})
    records = mirrored.records(mirrored.run(task))
    assert (mirrored.source / "file").read_text() == "file"
    assert Outcome.COPIED in {record.outcome for record in records}


def test_a_fall_back_is_exact_after_a_crash_at_any_point(
    workshop: Workshop, tmp_path: Path
) -> None:
    # Every slice ends after its first step; one file is small, one is given out in parts.
    workshop.config = replace(
        workshop.config, slice_seconds=1e-9, batch_files_maximum=1, segment_bytes=SEGMENT
    )
    points = ("journal.commit", "mover.staged", "mover.published", "mover.reply")
    for number in range(1, COMMITS_MAXIMUM, 4):
        mirrored = Mirrored(workshop, tmp_path / str(number))
        for name in ("gone", "damaged", "sound"):
            (mirrored.source / name).write_bytes(name.encode() * 10)
        (mirrored.source / "big").write_bytes(os.urandom(3 * SEGMENT))
        before = describe(mirrored.source)
        mirrored.archive()
        mirrored.empty()
        (mirrored.destination / "gone").unlink()
        for name in ("damaged", "big"):
            damage(mirrored.destination / name)
        task = mirrored.restore()
        crash = CrashAt(points, number)
        with reaching(crash):
            workshop.live_through_crashes(partial(asked_until_over, mirrored, task))
        records = mirrored.check(last_execution(workshop.database, task.id))
        assert files_of(mirrored.source) == {k: v for k, v in before.items() if v[0] == "file"}
        # What was published, but not on record yet, is found there.
        assert len(records) == 4
        assert outcomes(records).keys() <= {"COPIED", "IDENTICAL"}
        # For each place that files may go back to there are both pools as sources.
        assert Counter(record.source % 2 for record in records) == {0: 3, 1: 1}
        assert all(record.failure for record in records if record.source % 2 == 0)
        if not crash.has_happened:
            return
    raise AssertionError("it goes on for ever")


def asked_until_over(mirrored: Mirrored, task: Task) -> bool:
    """Whether the task has ended; it is asked to run, again where a crash swallowed that."""
    status = mirrored.workshop.status(task.id)
    if status is TaskStatus.NOT_ACTIVATED:
        if task.show()["action"] == "noop":
            assert task.client.put(f"/tasks/{task.id}/action/run").status_code == 202
        return False
    return status in {TaskStatus.DONE, TaskStatus.FINISHED_WITH_WARNINGS, TaskStatus.ERROR}


def test_hard_links_that_come_back_leave_nothing_behind(mirrored: Mirrored) -> None:
    (mirrored.source / "one").write_text("several names")
    os.link(mirrored.source / "one", mirrored.source / "two")
    mirrored.archive()
    mirrored.empty()
    mirrored.check(mirrored.run(mirrored.restore()))
    assert sorted(each.name for each in mirrored.source.iterdir()) == ["one", "two"]
