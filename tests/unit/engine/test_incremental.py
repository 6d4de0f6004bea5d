"""Incremental backups that compare contents: `file_checksum` on the task."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from longshore.domain.errors import ErrorKind, RetryClass
from longshore.domain.execution import IDLE, TaskStatus
from longshore.domain.outcome import Outcome
from longshore.domain.storage import StorageAddress
from longshore.storage.handler import StorageHandler
from longshore.storage.wrappers.faults import Deed, Fault, FaultPlan, Refuse
from longshore.storage.wrappers.faulty import FaultyStorage
from tests.exactness import check_records, last_execution, outcomes, status_of, work_left
from tests.records import files_on_record, path_of
from tests.story import Task, add_copy_task, add_share_pool, created
from tests.workshop import Crash, CrashAt, Workshop, open_quickly, reaching

COMMITS_MAXIMUM = 200  # a run of so few files has fewer
AT_NS = 1_500_000_000_123_456_789


class Story:
    """A primary pool with some files, and a task that has backed them up once."""

    def __init__(self, workshop: Workshop, folder: Path, **options: str) -> None:
        self.workshop = workshop
        self.source, self.archive = folder / "source", folder / "archive"
        for each in (self.source / "inner", self.archive):
            each.mkdir(parents=True)
        for name in ("a", "b", "inner/c", "inner/d"):
            self.write(name, f"first {name}")
        (self.source / "link").symlink_to("there")
        self.client = workshop.client()
        self.task = add_copy_task(
            self.client,
            add_share_pool(self.client, "live", "primary", self.source),
            add_share_pool(self.client, "archive", "offline_archive", self.archive),
            workflow_action="incremental_backup",
            options={"file_checksum": "md5"} | options,
        )

    def write(self, name: str, text: str) -> None:
        """A file that always has the same time."""
        path = self.source / name
        path.write_text(text)
        os.utime(path, ns=(AT_NS, AT_NS))

    def run(self) -> int:
        ask(self.task)
        self.workshop.live(lambda: is_over(self.workshop, self.task))
        return last_execution(self.workshop.database, self.task.id)

    def outcomes(self, execution: int) -> Counter[Outcome]:
        check_records(self.workshop.database, execution)
        assert work_left(self.workshop.database, execution) == 0
        return outcomes(self.workshop.database, execution)

    def written(self, execution: int) -> dict[str, str]:
        """The contents of the files that the backup has in its own folder, by path."""
        root = self.archive / "archive" / str(execution)
        files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
        return {str(path.relative_to(root)): path.read_text() for path in files}


def ask(task: Task) -> None:
    assert task.client.put(f"/tasks/{task.id}/action/run").status_code == 202


def is_over(workshop: Workshop, task: Task) -> bool:
    return task.show()["action"] == "noop" and workshop.status(task.id) in IDLE


def test_another_content_of_the_same_size_and_time_is_backed_up(
    workshop: Workshop, tmp_path: Path
) -> None:
    story = Story(workshop, tmp_path / "s")
    assert story.outcomes(story.run()) == {Outcome.COPIED: 5}
    story.write("inner/c", "other inner/c")
    execution = story.run()
    assert story.outcomes(execution) == {Outcome.IDENTICAL: 4, Outcome.COPIED: 1}
    assert story.written(execution) == {"inner/c": "other inner/c"}


def test_without_checksums_size_and_time_decide(workshop: Workshop, tmp_path: Path) -> None:
    story = Story(workshop, tmp_path / "s", file_checksum="none")
    story.run()
    story.write("inner/c", "other inner/c")
    assert story.outcomes(story.run()) == {Outcome.IDENTICAL: 5}


def test_the_same_content_with_another_time_is_not_written_again(
    workshop: Workshop, tmp_path: Path
) -> None:
    story = Story(workshop, tmp_path / "s")
    first = story.run()
    os.utime(story.source / "a", ns=(AT_NS, AT_NS + 7))
    for _ in range(2):
        execution = story.run()
        assert story.outcomes(execution) == {Outcome.IDENTICAL: 5}
        assert story.written(execution) == {}
    by_path = {path_of(each): each.record for each in files_on_record(workshop.database, execution)}
    record = by_path[b"a"]
    assert record.entry.mtime_ns == AT_NS + 7
    assert record.target_path == b"archive/%d/a" % first
    assert record.xxh3_128, "it was read"
    assert record.checksum


def test_a_link_with_another_target_is_backed_up_and_one_with_another_time_is_not(
    workshop: Workshop, tmp_path: Path
) -> None:
    story = Story(workshop, tmp_path / "s")
    story.run()
    link = story.source / "link"
    at = link.lstat().st_mtime_ns
    link.unlink()
    link.symlink_to("where")
    os.utime(link, ns=(at, at), follow_symlinks=False)
    execution = story.run()
    assert story.outcomes(execution) == {Outcome.IDENTICAL: 4, Outcome.COPIED: 1}
    os.utime(link, ns=(at, at + 9), follow_symlinks=False)
    assert story.outcomes(story.run()) == {Outcome.IDENTICAL: 5}


def test_a_big_file_that_differs_in_its_last_byte_is_backed_up(
    workshop: Workshop, tmp_path: Path
) -> None:
    workshop.config = replace(workshop.config, segment_bytes=64 * 1024)
    story = Story(workshop, tmp_path / "s")
    content = "x" * 700_000
    story.write("big", content)
    story.run()
    assert story.outcomes(story.run()) == {Outcome.IDENTICAL: 6}
    story.write("big", content[:-1] + "y")
    execution = story.run()
    assert story.outcomes(execution) == {Outcome.IDENTICAL: 5, Outcome.COPIED: 1}
    assert story.written(execution) == {"big": content[:-1] + "y"}


@pytest.mark.parametrize(("order", "step"), [("none", 1), ("name", 3)])
def test_a_backup_is_exact_after_a_crash_at_any_commit(
    workshop: Workshop, tmp_path: Path, order: str, step: int
) -> None:
    for number in range(1, COMMITS_MAXIMUM, step):
        story = Story(workshop, tmp_path / str(number), processing_order=order)
        story.run()
        story.write("b", "other b")
        before = last_execution(workshop.database, story.task.id)
        crash = CrashAt(("journal.commit",), number)

        def is_done(task: Task = story.task, before: int = before) -> bool:
            begun = last_execution(workshop.database, task.id) != before
            if not begun and task.show()["action"] == "noop":
                ask(task)
            return begun and workshop.status(task.id) in IDLE

        with reaching(crash):
            workshop.live_through_crashes(is_done)
        execution = last_execution(workshop.database, story.task.id)
        assert story.outcomes(execution) == {Outcome.IDENTICAL: 4, Outcome.COPIED: 1}
        assert story.written(execution) == {"b": "other b"}
        if not crash.has_happened:
            return
    raise AssertionError("it goes on for ever")


def test_files_whose_reading_kills_movers_are_copied_instead(
    workshop: Workshop, tmp_path: Path
) -> None:
    story = Story(workshop, tmp_path / "s")
    story.run()

    def kill(point: str, detail: bytes) -> None:
        if (point, detail) == ("mover.order", b"CHECK"):
            raise Crash

    with reaching(kill):
        execution = story.run()
    assert story.outcomes(execution) == {Outcome.IDENTICAL: 1, Outcome.COPIED: 4}
    assert workshop.executor.deaths


def test_a_file_that_cannot_be_read_is_tried_again_and_fails_alone(
    workshop: Workshop, tmp_path: Path
) -> None:
    story = Story(workshop, tmp_path / "s")
    story.run()
    workshop.open_storage = refusing(story.source, "b")
    execution = story.run()
    assert status_of(workshop.database, execution) is TaskStatus.FINISHED_WITH_WARNINGS
    assert story.outcomes(execution) == {Outcome.IDENTICAL: 4, Outcome.FAILED: 1}


def refusing(root: Path, name: str) -> Callable[[StorageAddress], StorageHandler]:
    """Storages of which one lets nobody open this file."""
    refusal = Refuse(ErrorKind.PERMISSION, RetryClass.NEVER)
    plan = FaultPlan([Fault(Deed.OPEN, refusal, pattern=name, times=1_000_000)])

    def open_storage(address: StorageAddress) -> StorageHandler:
        opened = open_quickly(address)
        return FaultyStorage(opened, plan) if address.settings["root"] == str(root) else opened

    return open_storage


def test_a_plain_backup_follows_one_by_content(workshop: Workshop, tmp_path: Path) -> None:
    story = Story(workshop, tmp_path / "s")
    story.run()
    os.utime(story.source / "a", ns=(AT_NS, AT_NS + 7))
    story.run()
    path = f"/tasks/{story.task.id}/task_options"
    (option,) = story.client.get(path).json()["task_options"]
    story.client.delete(f"{path}/{option['id']}").raise_for_status()
    assert story.outcomes(story.run()) == {Outcome.IDENTICAL: 5}, "the new time is on record"
    created(story.client.post(path, json={"type": "file_checksum", "value": "sha256"}))
    assert story.outcomes(story.run()) == {Outcome.IDENTICAL: 5}, "whatever the kind of checksum"
